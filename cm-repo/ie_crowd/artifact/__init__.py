"""TODO map of artifact."""
