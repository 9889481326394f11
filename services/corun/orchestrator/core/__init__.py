"""What the orchestrator decides, without touching anything."""
