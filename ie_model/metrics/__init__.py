"""TODO map of metrics."""
