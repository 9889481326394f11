"""How good are the predictions? Keeps executions, validations and comparisons in a DuckDB file and sums them up."""
