"""The figures of a run.

draw     all of them, as PNG and SVG files
mosaics  figures made of images
plots    figures made of points and lines

Figures are the same for everybody: matplotlib is loaded here, before anything asks for pyplot, and what the environment
says about it is not read. A notebook's MPLBACKEND names a module that need not be installed here, and a matplotlibrc,
which is also looked for in the current folder, changes sizes, fonts and colours.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

PLAIN = Path(__file__).with_name("matplotlibrc")  # says nothing; it lies where matplotlib looks first


@contextlib.contextmanager
def _nobodys_settings() -> Iterator[None]:
    """No MPLBACKEND, and this folder as the current one, whose matplotlibrc says nothing."""
    backend, rc = os.environ.pop("MPLBACKEND", None), os.environ.pop("MATPLOTLIBRC", None)
    os.environ["MATPLOTLIBRC"] = str(PLAIN)
    try:
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(FileNotFoundError):  # the current folder is gone: nothing lies in it
                stack.enter_context(contextlib.chdir(PLAIN.parent))
            yield
    finally:
        del os.environ["MATPLOTLIBRC"]
        os.environ.update({k: v for k, v in (("MPLBACKEND", backend), ("MATPLOTLIBRC", rc)) if v is not None})


with _nobodys_settings():
    import matplotlib

matplotlib.rcdefaults()  # where somebody had loaded it before
matplotlib.use("Agg")  # before pyplot: no display is needed
