"""TODO map of api."""
