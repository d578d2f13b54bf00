"""TODO map of result."""
