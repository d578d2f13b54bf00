"""Refuse a Python that is too old, in one line, before anything is read that it cannot run. Parses on Python 3.8."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 this very file is what an older one reads
    sys.stderr.write(
        f"ie-repr: error: Python 3.11 or newer is needed, and {sys.executable} is {sys.version.split()[0]}: "
        "make an environment with a newer one\n"
    )
    raise SystemExit(2)
