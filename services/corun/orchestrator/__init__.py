"""The front door: predicts, chooses, runs, measures and validates by calling the other three services."""
