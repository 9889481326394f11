"""What the orchestrator keeps on its own disk: executions, their events, and records that wait for the validator."""
