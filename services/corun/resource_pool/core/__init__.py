"""Pure decisions of the pool: which browser carries out a plan, and what its figures mean."""
