"""Installs what is missing of requirements.txt into the Python that runs this, with the torch build that fits a device.

For a site it is what is missing of requirements-site.txt, and no torch; for a sweep on many machines of
requirements-sweep.txt, too, for a search of requirements-search.txt, for the tools of --log of requirements-log.txt.

Only inside a virtual environment (venv or conda), unless told otherwise, and even then by plain pip: no sudo, no
--break-system-packages. The user's pip settings hold: whoever has an index of his own is not sent to PyTorch's.
Needs the standard library only.

    python install.py [--device=cpu|cuda|rocm|mps | --site] [--sweep] [--search] [--log=LIST] [--quiet]
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.metadata
import importlib.util
import platform
import queue
import re
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ie_recipes import own_code
from ie_recipes.run import logs, platforms, processes

HERE = Path(__file__).resolve().parents[1] / "get-ie-deps"  # holds the pins
REQUIREMENTS = HERE / "requirements.txt"
KINDS = ("cpu", "cuda", "rocm", "mps")
TORCH = ("torch", "torchvision")
SITE = HERE / "requirements-site.txt"
SWEEP, SEARCH = HERE / "requirements-sweep.txt", HERE / "requirements-search.txt"
NOT_OF_A_SITE = (*TORCH, "matplotlib", "safetensors")  # that train and draw
PYTORCH_INDEX = "https://download.pytorch.org/whl"  # one folder for each build (cpu, cu…, rocm…), and torch/ for all
INDEX_SECONDS = 3.0
LISTING_BYTES = 32 << 20
LISTING_SECONDS = 30.0
OWN_INDEX = re.compile(r"^\S*\.(index-url|extra-index-url|find-links|no-index)\s*=\s*(.*)$", re.MULTILINE)
PIN = re.compile(r"([A-Za-z0-9._-]+)==([^\s;]+)\s*(?:;\s*python_version\s*(<|>=)\s*\"(\d+)\.(\d+)\"\s*)?")

Say = Callable[[str], None]


class Outcome(NamedTuple):
    """The exit code (0, or that of an interruption) and whether anything was installed."""

    code: int
    changed: bool


class Gpu(NamedTuple):
    """What a CUDA build of torch must run with, if it is known: driver ("570.86.15"), compute capability ("8.0")."""

    driver: str | None
    capability: str | None


def pins(path: Path = REQUIREMENTS, version: tuple[int, int] = sys.version_info[:2]) -> dict[str, str]:
    """{package: version} for a Python version; AssertionError if the file holds anything but exact pins."""
    found: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.split("#")[0].strip()
        if not text:
            continue
        pin = PIN.fullmatch(text)
        assert pin is not None, f"{path.name}: {text!r} is no exact pin"
        name, wanted, comparison, major, minor = pin.groups()
        if comparison is None or (version < (int(major), int(minor))) == (comparison == "<"):
            found[name] = wanted
    return found


def installed(name: str) -> str | None:
    """The version of a package in this Python, None if it is not there."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def missing(wanted: Mapping[str, str]) -> dict[str, str]:
    """The pins that are not there; any build of the pinned version counts (2.14.1+cpu, 2.14.1+cu130)."""
    return {name: pin for name, pin in wanted.items() if (installed(name) or "").split("+")[0] != pin}


def of_a_site() -> dict[str, str]:
    """The pins of what serves results: the store and the site, and what ie_crowd reads results with."""
    return {name: pin for name, pin in pins().items() if name not in NOT_OF_A_SITE} | pins(SITE)


def of_tools(log: str) -> dict[str, str]:
    """The pins of what the tools need that `--log` names; ValueError for a name that is none of them."""
    needed = {package for name in (logs.named(log) if log else ()) for package in logs.PACKAGES[name]}
    return {name: pin for name, pin in pins(HERE / "requirements-log.txt").items() if name in needed}


def ensure(
    kind: str,
    *,
    site: bool = False,
    sweep: bool = False,
    search: bool = False,
    log: str = "",
    allow_system_python: bool = False,
    quiet: bool = False,
    say: Say | None = None,
    gpu: Gpu = Gpu(None, None),  # noqa: B008 (cannot be changed)
) -> Outcome:
    """Installs what is missing for a device; ValueError with one line when it must not or cannot be done.

    `site`: what serves results instead, for which no device matters. `sweep`: what many machines need, too; `search`:
    what a search needs; `log`: what these tools of `--log` need. `gpu`: what the build for CUDA must run with.
    `say` receives one line for each thing worth knowing (default: stderr). Takes milliseconds if nothing is missing.
    """
    say = _to_stderr if say is None else say
    if kind not in KINDS:
        raise ValueError(f"device {kind!r}: expected one of {', '.join(KINDS)}")
    wanted = (of_a_site() if site else pins()) | (pins(SWEEP) if sweep else {}) | (pins(SEARCH) if search else {})
    wanted |= of_tools(log)
    if not missing(wanted):
        if not site:
            _remark(kind, say)
        return Outcome(0, False)
    refuse_system_python(allow_system_python)
    if any(name in TORCH for name in missing(wanted)):
        platforms.refuse_here()
    if importlib.util.find_spec("pip") is None:
        raise ValueError(
            f"this Python ({sys.executable}) has no pip: run 'python -m ensurepip', or install "
            f"{', '.join(missing(wanted))} another way (uv pip install -r {REQUIREMENTS})"
        )
    if not site and importlib.util.find_spec("_ctypes") is None:
        raise ValueError(
            f"this Python ({sys.executable}) was built without _ctypes, which torch needs: install libffi's headers "
            "(libffi-dev, libffi-devel) and build it again, or make the environment with another Python"
        )
    with _one_at_a_time(say):
        importlib.invalidate_caches()
        lacking = missing(wanted)  # another run may have installed it while this one waited
        for name in lacking:
            if (there := installed(name)) is not None:
                say(f"{name} {there} is replaced by the pinned {lacking[name]}")
        light = [f"{name}=={pin}" for name, pin in lacking.items() if name not in TORCH]
        heavy = [f"{name}=={pin}" for name, pin in lacking.items() if name in TORCH]
        if light and (code := _pip(light, quiet, say)):
            return _ended(code)
        if heavy and (code := _torch(kind, heavy, quiet, say, gpu)):
            return _ended(code)
    importlib.invalidate_caches()
    if left := missing(wanted):
        raise ValueError(f"pip reported success, but {', '.join(left)} is not at its pinned version in {sys.prefix}")
    if not site:
        _remark(kind, say)
    return Outcome(0, True)


def refuse_system_python(allowed: bool) -> None:
    """Raises ValueError outside a virtual environment unless `allowed`."""
    # A conda environment is one whether or not it is activated: pip of this very Python installs into it.
    if allowed or sys.prefix != sys.base_prefix or (Path(sys.prefix) / "conda-meta").is_dir():
        return
    raise ValueError(
        f"{sys.executable} is not in a virtual environment, and nothing is installed into a system's Python: make one "
        "with 'python3 -m venv .venv && . .venv/bin/activate' and install there; --allow-system-python (with cm: "
        "--env.CM_IE_ALLOW_SYSTEM_PYTHON=yes) installs here all the same"
    )


def _torch(kind: str, packages: list[str], quiet: bool, say: Say, gpu: Gpu) -> int:
    """Installs torch's packages from the index that fits; returns pip's exit code."""
    own = own_index()
    why = cuda_builds().unfit(cuda_builds().NORMAL, *gpu) if kind == "cuda" else ""
    if kind == "rocm" or (kind == "cuda" and platform.system() == "Windows") or why:
        index = _special_index(kind, own, gpu, why)
        if kind == "cuda":
            say(f"torch's build {index.rpartition('/')[2]}, the newest that fits{f': {why}' if why else ''}")
        return _pip(packages, quiet, say, index=index)
    if kind == "cpu" and platform.system() != "Darwin":
        if own:
            say(f"pip has an index of its own ({own}): torch comes from there, whichever build it holds")
        elif fetch_listing(f"{PYTORCH_INDEX}/cpu/torch/") is None:
            say(
                f"PyTorch's index of CPU builds gave no answer within {INDEX_SECONDS:g} s: torch comes from the normal "
                "index (on Linux its CUDA build, 5.5 GB on disk, which runs on the CPU as well)"
            )
        else:
            code = _pip(packages, quiet, say, index=f"{PYTORCH_INDEX}/cpu")
            if code == 0 or code > 128:
                return code
            say("that did not work: torch comes from the normal index")
    return _pip(packages, quiet, say)


def cuda_builds() -> Any:
    """ie_model.device.cuda_builds, of this checkout or installed."""
    own_code.load(own_code.checkout())
    return importlib.import_module("ie_model.device.cuda_builds")


def _special_index(kind: str, own: str, gpu: Gpu, unfit: str) -> str:
    """The folder of PyTorch's index with the newest build that fits, where the normal index has none; else ValueError.

    `unfit`: why the build for CUDA of the normal index does not run here, if that is the reason.
    """
    build, pin = {"rocm": "rocm", "cuda": "cu"}[kind], pins()["torch"]
    fits: Callable[[str], bool] = lambda label: kind != "cuda" or not cuda_builds().unfit(label, *gpu)  # noqa: E731
    if kind == "cuda" and (none := cuda_builds().none_fits(*gpu)):
        why = f"no other does: {none}"
    elif own:
        why = f"pip has an index of its own ({own}), which is not overridden"
    elif (listing := fetch_listing(f"{PYTORCH_INDEX}/torch/")) is None:
        why = f"PyTorch's own index gave no answer within {INDEX_SECONDS:g} s"
    elif found := newest_build(listing, pin, build, fits):
        return f"{PYTORCH_INDEX}/{found}"
    else:
        why = f"PyTorch's own index lists no such build of torch {pin} for this Python"
    lacks = f"has no {kind} build of torch for {platform.system()}"
    if unfit:
        lacks = f"holds a build of torch that does not run here ({unfit})"
    raise ValueError(
        f"the normal index {lacks}, and {why}: install torch=={pin} and "
        f"torchvision=={pins()['torchvision']} for {kind} into this environment and run again, or use --device=cpu"
    )


def newest_build(listing: str, pin: str, build: str, fits: Callable[[str], bool] = lambda label: True) -> str | None:
    """The newest build label ("rocm7.0", "cu130") that fits, with a wheel of torch `pin` for this Python in a page."""
    python = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    system = {"Windows": "win", "Linux": "linux", "Darwin": "macosx"}.get(platform.system(), "?")
    wheel = re.compile(
        rf"torch-{re.escape(pin)}(?:\+|%2B)({build}[0-9.]+)-{python}-{python}-[\w.]*{system}", re.IGNORECASE
    )
    labels = {match[1] for match in wheel.finditer(listing) if fits(match[1].lower())}
    return max(labels, key=lambda label: [int(part) for part in re.findall(r"\d+", label)], default=None)


def fetch_listing(url: str) -> str | None:
    """An index page; None if it does not begin to arrive within INDEX_SECONDS. Proxies of the environment hold."""
    answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def work() -> None:
        try:
            with urllib.request.build_opener().open(url, timeout=INDEX_SECONDS) as response:
                answers.put("")  # it answers: the rest may take longer
                answers.put(response.read(LISTING_BYTES).decode("utf-8", "replace"))
        except Exception:  # whatever the reason, there is no page
            answers.put(None)

    # in a thread because urllib's timeout does not cover the look-up of a name
    threading.Thread(target=work, daemon=True).start()
    try:
        return None if answers.get(timeout=INDEX_SECONDS) is None else answers.get(timeout=LISTING_SECONDS)
    except queue.Empty:
        return None


def own_index() -> str:
    """The names of the settings by which pip uses other sources than PyPI, "" if none. Addresses may hold passwords."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pip", "config", "list"],
        cwd=HERE,
        env=own_code.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    if done.returncode != 0:
        return "its configuration cannot be read"
    names = set()
    for name, value in OWN_INDEX.findall(done.stdout.decode("utf-8", "replace")):
        value = value.strip().strip("'\"")
        no = value.lower() in ("", "0", "false", "no", "off") if name == "no-index" else not value
        if not no and value.rstrip("/") != "https://pypi.org/simple":
            names.add(name)
    return ", ".join(sorted(names))


def _pip(packages: list[str], quiet: bool, say: Say, index: str | None = None) -> int:
    """Installs exact pins with this Python's pip; its exit code, above 128 when a signal ended it."""
    say(f"installing {' '.join(packages)}" + (f" from {index}" if index else ""))
    command = [sys.executable, "-P", "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    command += ["--quiet"] if quiet else []
    command += [f"--index-url={index}"] if index else []
    # A user's `user = true` is refused by pip inside a virtual environment, which is where this installs.
    own_prefix = sys.prefix != sys.base_prefix or (Path(sys.prefix) / "conda-meta").is_dir()
    inside = {"PIP_USER": "0"} if own_prefix else {}
    # not in the current folder, where a pip.py may lie
    return processes.run([*command, *packages], cwd=HERE, env=own_code.environment() | inside)


def _ended(code: int) -> Outcome:
    if code > 128:
        return Outcome(code, True)
    raise ValueError(f"pip ended with code {code}: its own lines above say why; run again when that is solved")


def _remark(kind: str, say: Say) -> None:
    """Says so if the torch that is kept cannot use the device."""
    build = (installed("torch") or "").partition("+")[2]
    if kind in ("cuda", "rocm") and build == "cpu":
        say(
            f"torch is a build for the CPU only and is kept, so the {kind} device stays unused; to replace it: "
            "pip uninstall torch torchvision, and run again"
        )


@contextlib.contextmanager
def _one_at_a_time(say: Say) -> Iterator[None]:
    """Holds a lock on this environment: two pips at once break it. Where files cannot be locked, it is as before."""
    try:
        import fcntl

        file = (Path(sys.prefix) / ".ie-deps.lock").open("w")
    except (ImportError, OSError):
        yield
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process that installs into {sys.prefix}")
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:  # a file system without locks
            yield
            return
        yield


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def this_gpu() -> Gpu:
    """Driver and compute capability of this machine, as far as they are known."""
    own_code.load(own_code.checkout())
    with contextlib.suppress(ValueError):  # the device cannot be used: torch may know better
        found = importlib.import_module("ie_model.device.detect").detect("cuda")
        return Gpu(found.driver, found.capability)
    return Gpu(None, None)


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Install the pinned dependencies.", allow_abbrev=False)
    parser.add_argument("--device", choices=KINDS, default="cpu", help="what torch shall compute on")
    parser.add_argument("--site", action="store_true", help="what serves results, instead of what trains")
    parser.add_argument("--sweep", action="store_true", help="what a sweep on many machines needs, too")
    parser.add_argument("--search", action="store_true", help="what a search over settings needs, too")
    parser.add_argument("--log", default="", help=f"what these tools need, too: {logs.EXPECTED}")
    parser.add_argument("--allow-system-python", action="store_true", help="install outside a virtual environment")
    parser.add_argument("--quiet", action="store_true", help="no progress of pip's")
    options = parser.parse_args(arguments)
    try:
        allowed = options.allow_system_python
        gpu = this_gpu() if options.device == "cuda" and not options.site else Gpu(None, None)
        return ensure(
            options.device,
            site=options.site,
            sweep=options.sweep,
            log=options.log,
            search=options.search,
            allow_system_python=allowed,
            quiet=options.quiet,
            gpu=gpu,
        ).code
    except ValueError as error:
        _to_stderr(f"install: error: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
