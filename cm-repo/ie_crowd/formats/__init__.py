"""TODO map of formats."""
