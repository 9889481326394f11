"""Concrete schedules of workloads, made by the predictor, and by the orchestrator where that is silent."""
