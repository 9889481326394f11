"""Predicts what a workload will cost under each strategy, from observed runs and from graphs."""
