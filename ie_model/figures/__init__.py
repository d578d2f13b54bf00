"""TODO map of figures."""
