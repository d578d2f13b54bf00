"""Publish a result.

publication    what becomes public, and the confirmation in words
cm_experiment  a CM experiment artifact in a folder or git checkout
client         the HTTPS client of a results server, with retries and backoff
evidence       weights, predictions, histories and pictures that follow a result to a server
commitment     the hash that is committed to, and the file of the draws that a server issued
outbox         results that could not be sent yet
"""
