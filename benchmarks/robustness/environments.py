"""Settings that belong to other programs: the same weights, and the same verdict, must come out under each.

In each of them the command stands in a folder of somebody's, with modules of Python's and of our dependencies' names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.robustness import phases

ENVIRONMENTS: tuple[Mapping[str, str], ...] = (
    {"OMP_THREAD_LIMIT": "1"}, {"OMP_DYNAMIC": "true"}, {"OMP_MAX_ACTIVE_LEVELS": "0"}, {"OMP_NUM_THREADS": "1"},
    {"OMP_PROC_BIND": "true"}, {"OMP_WAIT_POLICY": "ACTIVE"}, {"OMP_SCHEDULE": "dynamic,1"},
    {"OMP_NUM_THREADS": "none"}, {"MKL_NUM_THREADS": "1"}, {"MKL_DYNAMIC": "TRUE"}, {"KMP_AFFINITY": "disabled"},
    {"GOMP_SPINCOUNT": "0"}, {"MALLOC_PERTURB_": "165"}, {"MALLOC_ARENA_MAX": "1"}, {"CUDA_VISIBLE_DEVICES": ""},
    {"CUDA_VISIBLE_DEVICES": "7"}, {"TORCH_LOGS": "+all"}, {"TORCH_SHOW_CPP_STACKTRACES": "1"}, {"PYTORCH_JIT": "0"},
    {"TORCH_DEVICE_BACKEND_AUTOLOAD": "1"}, {"MPLBACKEND": "module://no.such.backend"},
    {"MPLCONFIGDIR": "/nonexistent"}, {"MATPLOTLIBRC": "/nonexistent"}, {"PYTHONSAFEPATH": "1"},
    {"PYTHONOPTIMIZE": "2"}, {"PYTHONDEVMODE": "1"}, {"PYTHONHASHSEED": "7"}, {"PYTHONWARNINGS": "default"},
    {"PYTHONWARNINGS": "error"}, {"PYTHONDONTWRITEBYTECODE": "1"}, {"PYTHONUNBUFFERED": "1"},
    {"PYTHONSTARTUP": "/nonexistent"}, {"PYTHONINSPECT": ""}, {"PYTHONPYCACHEPREFIX": "/nonexistent"},
    {"PYTHONPATH": ":/nonexistent:"}, {"PYTHONNOUSERSITE": ""}, {"PYTHONTRACEMALLOC": "5"},
    {"PYTHONFAULTHANDLER": "1"}, {"PYTHONMALLOC": "debug"}, {"PYTHONINTMAXSTRDIGITS": "640"},
    {"PYTHONBREAKPOINT": "no.such.function"}, {"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "utf-16"},
    {"PYTHONUTF8": "0", "LC_ALL": "C"}, {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "POSIX"},
    {"LC_ALL": "tr_TR.UTF-8"}, {"LC_ALL": "no_SUCH"}, {"LANG": "de_DE.ISO-8859-1"}, {"TZ": "Pacific/Kiritimati"},
    {"TZ": "no/such"}, {"SOURCE_DATE_EPOCH": "0"}, {"COLUMNS": "1", "LINES": "1", "TERM": "dumb"}, {"NO_COLOR": "1"},
    {"FORCE_COLOR": "1", "TERM": ""}, {"CLICOLOR_FORCE": "1"}, {"HOME": "/nonexistent"}, {"HOME": ""}, {"HOME": "/"},
    {"USER": "", "LOGNAME": ""}, {"PATH": "/nonexistent"}, {"XDG_CACHE_HOME": "/nonexistent"},
    {"XDG_CACHE_HOME": "relative"}, {"TMPDIR": "/nonexistent"}, {"SHELL": "/bin/false"},
    {"HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}, {"ALL_PROXY": "socks5://127.0.0.1:9"},
    {"SSL_CERT_FILE": "/nonexistent"}, {"REQUESTS_CA_BUNDLE": "/nonexistent"}, {"SSLKEYLOGFILE": "/nonexistent/keys"},
    {"PIP_USER": "1"}, {"PIP_TARGET": "/nonexistent"}, {"PIP_NO_INDEX": "1"}, {"PIP_CONFIG_FILE": "/nonexistent"},
    {"GIT_DIR": "/nonexistent"}, {"GIT_WORK_TREE": "/nonexistent"}, {"GIT_CONFIG_GLOBAL": "/nonexistent"},
    {"VIRTUAL_ENV": "/nonexistent"}, {"CONDA_PREFIX": "/nonexistent"},
    {"SLURM_JOB_ID": "1", "SLURM_CPUS_PER_TASK": "1"},
)  # fmt: skip
NAMES = ("random", "types", "yaml", "numpy", "torch", "json", "rich", "psutil", "jsonschema", "ie_model", "ie_crowd")
MARK = "EXECUTED"


def trials(ready: phases.Ready, scratch: Path, done: set[str]) -> Iterator[dict[str, Any]]:
    """One trial for each of `ENVIRONMENTS` that is not done yet."""
    rest = [more for more in ENVIRONMENTS if key(more) not in done]
    if not rest:
        return
    expected = _products(ready, scratch / "undisturbed", {})
    if problem := expected[0] or next((name for name, product in expected[1].items() if not product), ""):
        raise RuntimeError(f"under no settings of others, too: {problem}")
    for more in rest:
        problem, products = _products(ready, scratch / "environment", more)
        others = [name for name, product in products.items() if product != expected[1][name]]
        problem = problem or (f"other {others[0]}" if others else "")
        yield {"key": key(more), "kind": "environment", "what": key(more), "wrong": problem}


def key(more: Mapping[str, str]) -> str:
    """The settings as one would type them."""
    return " ".join(f"{name}={value}" for name, value in more.items())


def _products(ready: phases.Ready, place: Path, more: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """What went wrong, "" if nothing did, and hashes of the weights and the verdict that came of it."""
    ready.give(phases.PHASES[0], place)
    somewhere, verdict, products = place / "somewhere", place / "verdict.json", {"weights": "", "verdict": ""}
    somewhere.mkdir()
    for name in NAMES:
        (somewhere / f"{name}.py").write_text(f"open({str(place / MARK)!r}, 'w'); raise RuntimeError('{name}.py')\n")
    check = phases.program("ie_crowd", "check", ready.home / "result", f"--verdict={verdict}")
    for argv in (phases.training(place, threads=2), check):
        code, errors = phases.run(argv, more, cwd=somewhere)
        last = errors.splitlines()[-1] if errors else ""
        if (place / MARK).exists():
            return f"ran a file of the current folder: {last}", products
        if code != 0 or "Traceback" in errors:
            return f"{argv[3]} ended with {code}: {last}", products
    products["weights"] = phases.weights(place)
    if verdict.exists():
        said = json.loads(verdict.read_bytes())
        products["verdict"] = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
    return "", products
