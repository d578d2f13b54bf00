"""Invariant-equivariant representation learning (Feige, ICML 2019) in PyTorch.

    from ie_model import load, train
    run = train("my-run", dataset="glyphs", labels=100, smoke=True)
    run.swap(images, classes, under=3)

What `__all__` names is the documented library (docs/library.md) and is imported when it is first asked for: importing
the package itself loads nothing, so that `data.fetch` and `device` work before torch is installed. The modules can be
used by name, too. From the bottom up (a test holds that imports run one way):

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
training     the training loop
evaluate     every metric of a finished run
figures      every figure of a finished run
new_classes  classes that no model has been trained on, from a few examples
ablation     a recipe without each of its parts, on several draws
bench        how fast it is, against what, and its limits
api          the library: train, load and export with a function each
"""

TYPE_CHECKING = False  # as in typing, which is not imported: the current folder may still be on the path (entry.py)
if TYPE_CHECKING:
    from ie_model.api.exported import export
    from ie_model.api.runs import Run, load, load_published, train
    from ie_model.config import Config
    from ie_model.model import EquiVAE

__version__ = "0.1.0"
__all__ = ["Config", "EquiVAE", "Run", "export", "load", "load_published", "train"]

_HOMES = {
    "Config": "config",
    "EquiVAE": "model",
    "Run": "api.runs",
    "export": "api.exported",
    "load": "api.runs",
    "load_published": "api.runs",
    "train": "api.runs",
}


class MissingPins(ImportError):
    """This Python lacks what the library runs on. A notebook shows its one line, and no traceback."""

    def _render_traceback_(self, *_: object) -> list[str]:
        """What IPython shows instead of a traceback."""
        return [str(self)]


def __getattr__(name: str) -> object:
    """What ``__all__`` names, imported now. MissingPins, in one line, where this Python lacks torch or has another."""
    if name not in _HOMES:
        raise AttributeError(f"module 'ie_model' has no attribute {name!r}; expected one of: {', '.join(__all__)}")
    import importlib

    try:
        found = getattr(importlib.import_module(f"ie_model.{_HOMES[name]}"), name)
    except (ImportError, OSError) as error:  # OSError: a torch whose libraries do not load
        lacking = getattr(error, "name", None) or "torch"
        if lacking.startswith("ie_model"):
            raise
        import sys

        gone = isinstance(error, ModuleNotFoundError) and "." not in lacking
        here = "missing" if gone else "not the pinned one"
        why = "" if gone else f" ({' '.join(str(error).split())[:200]})"
        raise MissingPins(
            f"ie_model.{name}: {lacking.partition('.')[0]} is {here} in this Python ({sys.executable}){why}; "
            "install the pins there with pip install -r script/get-ie-deps/requirements.txt, "
            "or choose the kernel of the environment that has them"
        ) from None
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
