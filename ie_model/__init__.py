"""Invariant-equivariant representation learning (Feige, ICML 2019) in PyTorch.

The modules are used by name (`ie_model.data.fetch`, `ie_model.train`, …): importing the package itself loads nothing,
so that `data.fetch` and `device` work before torch is installed. From the bottom up (a test holds that imports run
one way):

entry        start the command line: what is imported, and exit codes
facts        what is known of data sets before they are opened
recipes      what each recipe fixes, and the settings that came later
setting_checks  what each setting must be by itself
config       every setting of a run, with default, unit and range; the data sets' facts
setting_flags  a command-line flag for each of them
device       which accelerator there is, and how this process computes
adam         the optimiser, as one fused kernel
cuda_graphs  training steps recorded once and replayed by the GPU
moments      running moments of v by class, and their distance from the prior's
pose         the affine map, linear in v, of what is decoded
data         data sets: fetched, verified, as tensors
model        the networks: f(x), q(v|r,x), p(x|r,v), q(y|x)
objective    the bounds of the paper and what a step minimises, as pure functions
run          one run on disk and as a process
metrics      what a trained model is measured by
consistency  smoothness (virtual adversarial training) and moved copies
train        the training loop
evaluate     every metric of a finished run
figures      every figure of a finished run
new_classes  classes that no model has been trained on, from a few examples
ablation     a recipe without each of its parts, on several draws
bench        how fast it is, against what, and its limits
"""

__version__ = "0.1.0"
