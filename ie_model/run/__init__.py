"""TODO map of run."""
