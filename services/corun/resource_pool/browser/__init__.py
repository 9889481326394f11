"""Real browsers: starting them, talking to their lanes, watching their processes, ending them for certain."""
