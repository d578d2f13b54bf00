"""TODO map of charts."""
