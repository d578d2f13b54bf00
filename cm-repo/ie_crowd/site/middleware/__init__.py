"""TODO map of middleware."""
