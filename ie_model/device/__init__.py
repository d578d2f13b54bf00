"""Which accelerator there is, and how this process computes.

detect   which device, and why
limits   cores and memory of the control group, and of the CPU affinity
probes   the questions asked of a machine
runtime  threads, deterministic kernels, memory of this process
"""
