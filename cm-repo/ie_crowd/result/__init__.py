"""The facts that a result is made of.

runs         run.json documents and the entries made of them
predictions  what each test image was taken for
aggregate    mean, standard deviation and 95 % confidence interval over runs
system_info  the machine and its software
provenance   commit and command, scrubbed of paths and names
commitment   the hash of code and settings, which is committed to before label draws are issued
signature    what is signed of a result: its id
energy       energy counters (RAPL, NVML)
"""
