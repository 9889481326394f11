"""Drawing workloads, scoring predictions, baselines and the choice of strategies. Pure."""
