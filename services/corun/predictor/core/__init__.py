"""The cost model: plans, solo times, their composition, and the choice between strategies. Pure."""
