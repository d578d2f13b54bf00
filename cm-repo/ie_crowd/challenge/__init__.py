"""TODO map of challenge."""
