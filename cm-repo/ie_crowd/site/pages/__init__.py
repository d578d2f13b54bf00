"""TODO map of pages."""
