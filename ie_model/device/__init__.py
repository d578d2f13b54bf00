"""TODO map of device."""
