"""TODO map of submit."""
