"""TODO map of cli."""
