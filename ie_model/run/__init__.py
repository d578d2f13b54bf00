"""One run on disk and as a process.

run_folder  config.json, metrics.jsonl, run.json and the lock
checkpoint  weights and optimiser state as files
journal     how far a training has come: when a checkpoint is written, and what is gone on with
progress    the progress bar
epochs      the loop over epochs that every training has
processes   several runs at once
"""
