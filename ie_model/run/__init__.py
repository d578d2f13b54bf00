"""One run on disk and as a process.

run_folder  config.json, metrics.jsonl, run.json and the lock
checkpoint  weights and optimiser state
progress    the progress bar
processes   several runs at once
"""
