"""Which accelerator there is, and how this process computes.

detect   which device, and why
cuda_builds  which builds of torch a driver and a GPU can run
limits   cores and memory of the control group, and of the CPU affinity
nvidia   what NVIDIA's driver says
probes   the questions asked of a machine, and of torch
threads  settings of OpenMP's under which torch waits for ever
runtime  threads, deterministic kernels, memory of this process
"""
