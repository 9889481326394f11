"""How good the predictions are on this machine: random workloads, predicted first and measured afterwards."""
