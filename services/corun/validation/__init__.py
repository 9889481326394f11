"""Predictions held against measurements, by the validator, and by the orchestrator where nobody is to wait for that."""
