"""The verdict on one result or results folder.

verdict           all of it: groups of findings
finding           one line of a verdict
opened            a results folder, its ZIP file, or a result.json alone
integrity         schema, identity, hashes, aggregates, files
rules             the rules of the challenge
bands             reference bands
claims            claims of the paper
checklists        artifact-evaluation checklists
checklist_probes  what a program can see for them
sentences         a verdict in three sentences
duplicates        the same raw values under another name
recompute         metrics from the weights, or training again
timeboxed         one child process with a time limit
same_platform     whether all digits must come out again here
"""
