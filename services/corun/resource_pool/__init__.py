"""The resource pool: live browsers that hold models and run them, and what was measured while they did."""
