"""Stands in for ie_model in tests of the workflow: the same commands and files, no computing."""
