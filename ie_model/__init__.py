"""Invariant-equivariant representation learning (Feige, ICML 2019) in PyTorch.

The modules are used by name (`ie_model.data.fetch`, `ie_model.train`, …): importing the package itself loads nothing,
so that `data.fetch` and `device` work before torch is installed.
"""

__version__ = "0.1.0"
