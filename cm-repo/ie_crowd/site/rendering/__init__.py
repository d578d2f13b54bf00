"""TODO map of rendering."""
