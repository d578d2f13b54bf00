"""Run a module by its name, as `python -m` does, for the argv of rules: `python -P run_module.py NAME ARGUMENT...`.

`python -m` imports a few modules of the standard library before the first line of NAME, from wherever the path leads
first. A package that lies beside this one, or beside the checkout's folder of this one, is taken from there.
"""

import os
import sys

OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120


def main() -> None:
    """Run it; it ends this process as it ends."""
    sys.path.insert(0, OWN)
    from ie_crowd import entry

    entry.clean_path(by_file=True)
    sys.argv[:] = sys.argv[1:]
    name = sys.argv[0]
    package = name.partition(".")[0]
    for folder in (OWN, os.path.dirname(OWN)):  # noqa: PTH120
        if os.path.isfile(os.path.join(folder, package, "__init__.py")):  # noqa: PTH113, PTH118
            sys.path.insert(0, folder)
            __import__(package)
            del sys.path[0]
            break
    import runpy

    runpy.run_module(name, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
