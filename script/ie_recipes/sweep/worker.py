"""What a worker of dask.distributed does for a sweep: `join.py` starts one, and so does
`dask worker ADDRESS --nthreads 1 --memory-limit 0 --preload ie_recipes.sweep.worker`.

It announces a resource whose name is a hash of its code and versions, and a sweep asks for that resource: a worker with
other code is never given a run. Each run is a child process, which dies with the worker. Its checkpoints and files
travel through the scheduler's metadata, so that whichever worker is next goes on from there.
"""

import contextlib
import hashlib
import json
import os
import platform
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from ie_recipes import own_code
from ie_recipes.run import processes
from ie_recipes.sweep import parcel, works

PACKAGES = ("torch", "torchvision", "numpy", "scipy", "safetensors", "distributed")
DATA = "IE_REPR_SWEEP_DATA"  # the folder of a data set's files on a worker's machine, else they are fetched
METRIC = "ie_repr"  # under which the scheduler knows a worker's facts
LEFT = "ie_repr_left"  # an attribute of a worker that has left: why
FREE_BYTES = 200_000_000  # a run's checkpoint, the next one beside it, its weights and figures
LOOK_SECONDS = 0.1
LEAVE_SECONDS = 30.0
FULL = ("No space left on device", "Disk quota exceeded", "the disk is full")
STDERR_BYTES = 4_000


def facts() -> dict[str, str]:
    """What must be the same for the same numbers, as far as it can be told before a run: code, versions, processor.

    The hashes of data sets are part of the code; a worker's files are checked against them before each run.
    """
    own_code.load(own_code.checkout())
    model = Path(own_code.command("ie_model", own_code.environment())[2]).parent
    digest = hashlib.sha256()
    for home in (model, Path(__file__).parent):
        for path in sorted(home.rglob("*.py")):
            digest.update(path.relative_to(home).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    found = {"code": digest.hexdigest()[:12], "python": platform.python_version(), "machine": platform.machine()}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def resource(found: Mapping[str, str]) -> str:
    """The name of what a worker has exactly one of."""
    return "ie-repr-" + hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:16]


def difference(mine: Mapping[str, str], theirs: Any) -> str:
    """Why a worker with these facts is not used, in one phrase."""
    if not isinstance(theirs, Mapping):
        return "was not started by the recipe, or with --preload ie_recipes.sweep.worker"
    for key, value in mine.items():
        if theirs.get(key) != value:
            return f"has {key} {str(theirs.get(key))[:40]}, here it is {value}"
    return "is leaving"


def dask_setup(worker: Any) -> None:
    """Called by dask when a worker starts, before it announces itself."""
    if not hasattr(worker, "state"):  # a nanny starts the worker, which is set up itself
        return
    found = facts()
    worker.state.total_resources[resource(found)] = 1
    worker.state.available_resources[resource(found)] = 1
    from ie_model.device import detect

    told = {**found, "device": detect.detect("auto").kind}
    worker.metrics[METRIC] = lambda _: told


def do(text: str, sweep: str, device: str, travel: float) -> str:
    """Do one run; what the scheduler keeps of it under the sweep's name is where it goes on from.

    ``travel``: seconds between two checkpoints that are sent. Returns "done". Raises RuntimeError with the last words
    of a command that failed; dask's Reschedule where this worker is about to end, or nobody wants the run any more.
    """
    import distributed

    worker = distributed.get_worker()
    work = works.from_text(text)
    kept = Kept(distributed.get_client(), sweep, work.name)
    worker.log_event(sweep, {"run": work.name, "what": "running", "where": worker.address})
    try:
        with tempfile.TemporaryDirectory(prefix="ie-repr-", dir=worker.local_directory) as scratch:
            return _Doing(worker, work, kept, sweep, device, travel, Path(scratch)).run()
    except RefusedError as error:
        worker.log_event(sweep, {"run": work.name, "what": "refused", "where": f"{worker.address}: {error}"})
        _leave(worker, str(error))
        raise distributed.Reschedule from None
    except UnwantedError:
        raise distributed.Reschedule from None


class Kept:
    """What the scheduler keeps of a run: plain data, which it neither reads nor runs."""

    def __init__(self, client: Any, sweep: str, run: str) -> None:
        self.client, self.keys = client, [sweep, run]

    def get(self) -> Any:
        """The run's parcel, None where there is none. Raises OSError where the scheduler is gone."""
        return self.client.get_metadata(self.keys, default=None)

    def set(self, parcel: dict[str, Any] | None) -> None:
        """Keep this of the run, or nothing any more. Raises OSError where the scheduler is gone."""
        self.client.set_metadata(self.keys, parcel)


class RefusedError(Exception):
    """This worker cannot do a run that another one may be able to do."""


class UnwantedError(Exception):
    """The run is cancelled, or this worker is about to end."""


def _leave(worker: Any, why: str) -> None:
    """Take the worker away from the scheduler, which gives all that it had to others."""
    setattr(worker, LEFT, why)
    worker.loop.add_callback(worker.close_gracefully, reason=why)
    until = time.monotonic() + LEAVE_SECONDS
    while worker.status.name == "running" and time.monotonic() < until:
        time.sleep(LOOK_SECONDS)


class _Doing:
    """One run on this worker."""

    def __init__(
        self, worker: Any, work: works.Work, kept: Kept, sweep: str, device: str, travel: float, scratch: Path
    ) -> None:
        self.worker, self.work, self.kept, self.sweep = worker, work, kept, sweep
        self.device, self.travel, self.scratch = device, travel, scratch
        self.key = worker.get_current_task()
        self.place, self.figures = scratch / "runs" / str(work.number), scratch / "figures"
        self.sent = time.monotonic()
        self.seen: float | None = None

    def run(self) -> str:
        if (free := shutil.disk_usage(self.scratch).free) < FREE_BYTES:
            raise RefusedError(f"its disk is full: {free:,} bytes free in {self.worker.local_directory}")
        self._begin()
        steps = works.commands(self.work, self.place, self.figures, self.device, self._data())
        with contextlib.suppress(StopIteration):
            words = next(steps)
            while True:
                code, said = self._child(words)
                try:
                    words = steps.send(code)
                except works.WorkError as error:
                    if any(full in line for line in said for full in FULL):
                        raise RefusedError("its disk is full") from None
                    raise RuntimeError(f"{error}: {said[-1][:300]}" if said else str(error)) from None
        self._send()
        return "done"

    def _begin(self) -> None:
        """What there is of the run already, from whichever worker had it before, or from the sweep's folder."""
        kept = self.kept.get()
        if kept is not None:
            try:
                parcel.unpack(kept, self.place, self.figures)
            except ValueError:  # damaged on its way: then the run begins anew
                shutil.rmtree(self.place, ignore_errors=True)
        self.seen = self._checkpoint_time()

    def _data(self) -> Path | None:
        """The verified files of the data set on this machine."""
        if self.work.dataset == "glyphs":
            return None
        from ie_model.data import fetch

        given = os.environ.get(DATA)
        try:
            return fetch.ensure(self.work.dataset, Path(given) if given else None)
        except ValueError as error:
            raise RefusedError(str(error)) from None

    def _child(self, words: list[str]) -> tuple[int, list[str]]:
        """Exit code and last lines of one command. Raises UnwantedError."""
        env = own_code.environment()
        argv = own_code.command("ie_model", env, *words)
        with (self.scratch / "stderr").open("w+b") as errors:
            # bound to this thread, which dask keeps for as long as the worker lives
            child = subprocess.Popen(
                argv, cwd=self.scratch, env=env, stdout=subprocess.DEVNULL, stderr=errors,
                preexec_fn=processes.bound_to_parent(),
            )  # fmt: skip
            try:
                while child.poll() is None:
                    time.sleep(LOOK_SECONDS)
                    if not self._wanted():
                        raise UnwantedError
                    if time.monotonic() > self.sent + self.travel and self._checkpoint_time() != self.seen:
                        self._send()
            finally:
                if child.poll() is None:
                    child.send_signal(signal.SIGKILL)
                    child.wait()
            errors.seek(max(0, errors.seek(0, os.SEEK_END) - STDERR_BYTES))
            lines = errors.read(STDERR_BYTES).decode("utf-8", "replace").strip().splitlines()
        return child.returncode if child.returncode >= 0 else 128 - child.returncode, lines

    def _wanted(self) -> bool:
        """Whether the scheduler still waits for this task, and the worker is not about to end."""
        state = self.worker.state.tasks.get(self.key)
        return state is not None and state.state != "cancelled" and self.worker.status.name == "running"

    def _checkpoint_time(self) -> float | None:
        with contextlib.suppress(OSError):
            return (self.place / parcel.CHECKPOINT).stat().st_mtime_ns
        return None

    def _send(self) -> None:
        """Everything there is of the run, into the scheduler's metadata; whoever collects hears of it."""
        self.seen = self._checkpoint_time()
        files = parcel.read(self.place, self.figures)
        if "run.json" in files:
            files[parcel.SYSTEM] = json.dumps(_system(works.read_run(self.place))).encode()
        self.kept.set(parcel.packed(files))
        self.sent = time.monotonic()
        self.worker.log_event(self.sweep, {"run": self.work.name, "what": "kept", "where": self.worker.address})


def _system(run: dict[str, Any]) -> dict[str, Any]:
    """What result.json says of a machine, of this one."""
    from ie_crowd.result import system_info

    return system_info.describe(devices=[run["device"]] if "device" in run else [])
