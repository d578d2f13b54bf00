"""TODO map of check."""
