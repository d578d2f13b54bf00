"""Which accelerator there is, and how this process computes.

detect   which device, and why
probes   the questions asked of a machine
runtime  threads, deterministic kernels, memory of this process
"""
