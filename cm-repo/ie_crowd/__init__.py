"""What the crowd shares: assembles, validates, judges, stores and shows the results of a challenge described in YAML.

It knows nothing of torch, nor of any one paper. Imports run downward only, in this order (a test holds it):

cli         the commands of ``ie-crowd``
site        the results site and its API
submit      publishing a result
evidence    what results rest on, and the operator's machine that looks at it
store       the database of many people's results
artifact    what lies in a results folder beside the runs
ranking     ranks and comparison
check       the verdict on one result
result      the facts that a result is made of
challenge   rules, claims and words of a challenge
formats     file formats, read strictly and within limits
entry       starts the command line: what may be imported, and exit codes
run_module  starts a module that rules name
"""
