"""TODO map of data."""
