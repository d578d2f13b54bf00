"""TODO map of ranking."""
