"""The works of a sweep on many machines, through dask.distributed: its scheduler, transport, retries and stealing.

The scheduler's memory is never the journal. Each checkpoint and each run's files are taken from the scheduler's
metadata into the sweep's folder as soon as a worker has put them there. When the scheduler is gone, so are all its
futures, finished ones too; then this waits for one at the same address and asks for what the folder lacks.
"""

import contextlib
import hashlib
import queue
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ie_recipes import program
from ie_recipes.run import processes
from ie_recipes.sweep import connection, engine, parcel, worker, works

PATIENCE_SECONDS = 600.0  # for a scheduler that was there and is gone, or for a worker that fits
# Between two checkpoints that a run sends, at least and for each worker: they all go through the scheduler, and a
# checkpoint of a default run has 17 MB. So it never has to hand on more than 28 MB a second.
TRAVEL_SECONDS, TRAVEL_EACH_SECONDS = 60.0, 0.6
LOOK_SECONDS = 0.1
WORKERS_SECONDS = 10.0  # between two looks at which workers there are
DEATHS_MAX = 20  # of workers, that one run outlives: beyond it the run itself may be what kills them
NOTHING_MAX = 3  # times that a run is said to have ended, and its files are not there or not sound


def travel_seconds(workers: int) -> float:
    """Seconds between two checkpoints that a run sends, where nothing else is asked for."""
    return max(TRAVEL_SECONDS, TRAVEL_EACH_SECONDS * workers)


class LostError(Exception):
    """The scheduler is gone."""


@dataclass
class Cluster:
    """A scheduler at an address, and whatever workers of the same code and versions it has."""

    folder: Path
    address: str
    device: str
    command: str  # what goes on with it
    travel: float | None = None  # seconds between two checkpoints that a run sends; None: by the number of workers
    patience: float = PATIENCE_SECONDS
    at_once: int = 1

    def about(self) -> str:
        """What it is, in a phrase for the plan."""
        return f"{self.at_once} at once on the workers of {self.address}"

    def prepare(self) -> None:
        """Count the workers, and settle the device. Raises ValueError, one line, where no scheduler or worker fits."""
        client = self._connect()
        try:
            found = connection.workers(client)
        finally:
            connection.close(client)
        connection.tell(found)
        self.at_once = max(1, found.fitting)
        if self.travel is None:
            self.travel = travel_seconds(found.fitting)
        if self.device == "auto":
            if len(found.devices) > 1:
                told = ", ".join(sorted(found.devices))
                raise ValueError(f"--scheduler={self.address}: its workers have {told}: say which with --device")
            (self.device,) = found.devices

    def do(self, asked: Sequence[works.Work], told: engine.Told, watch: Callable[[], None]) -> None:
        """Do all works on whatever workers fit; where the scheduler is lost, wait for it and go on."""
        state = _State({work.name: work for work in asked}, {}, {})
        with processes.noted() as received:
            while state.left:
                client = self._client_again(received, watch)
                try:
                    _Doing(self, client, state, told, watch, received).run()
                except (LostError, OSError) as error:
                    if isinstance(error, OSError) and error.errno and not isinstance(error, ConnectionError):
                        raise  # of this machine's disk: dask's own errors have no number
                    _say("the scheduler is gone; waiting for one there")
                finally:
                    connection.close(client)
                if received:
                    raise program.stopped(128 + received[0], self.folder, self.command)

    def _connect(self) -> Any:
        client = connection.connect(self.address)
        try:
            found = connection.workers(client)
            if not found.fitting:
                raise ValueError(f"--scheduler={self.address}: {found.none}")
        except OSError as error:
            connection.close(client)
            raise ValueError(f"--scheduler={self.address}: is gone again ({error})") from None
        except BaseException:
            connection.close(client)
            raise
        return client

    def _client_again(self, received: Sequence[int], watch: Callable[[], None]) -> Any:
        until = time.monotonic() + self.patience
        while True:
            try:
                return self._connect()
            except ValueError as error:
                if received:
                    raise program.stopped(128 + received[0], self.folder, self.command) from None
                if time.monotonic() > until:
                    raise program.StopError(1, f"{error}; go on with: {self.command}") from None
                watch()
                time.sleep(1.0)


@dataclass
class _State:
    """The works that have not ended, what has failed for good, and how often a worker has died of each."""

    left: dict[str, works.Work]
    failed: dict[str, str]
    deaths: dict[str, int]


class _Doing:
    """The works on one connection to a scheduler."""

    def __init__(
        self,
        cluster: Cluster,
        client: Any,
        state: _State,
        told: engine.Told,
        watch: Callable[[], None],
        received: Sequence[int],
    ) -> None:
        self.cluster, self.client, self.state = cluster, client, state
        self.told, self.watch, self.received = told, watch, received
        place = f"{socket.gethostname()} {cluster.folder.resolve()}"
        self.name = f"ie-repr-{hashlib.sha256(place.encode()).hexdigest()[:16]}"
        self.heard: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
        self.futures: dict[str, tuple[Any, works.Work]] = {}
        self.refusals: set[str] = set()
        self.needed = {worker.resource(worker.facts()): 1}
        self.fitted = self.looked = time.monotonic()

    def run(self) -> None:
        """Until every work has ended, a signal has come, or the scheduler is lost (LostError or OSError)."""
        import distributed

        self.client.subscribe_topic(self.name, lambda event: self.heard.put(event[1]))
        self.ended = distributed.as_completed(loop=self.client.loop)
        for number, work in enumerate(list(self.state.left.values())):
            self._hand_over(work)
            self._submit(work, number)
        while self.futures:
            self._hear()
            while self.ended.has_ready():
                future = next(self.ended)
                if future.key in self.futures:
                    self._ended(*self.futures.pop(future.key))
            if self.received:
                self.client.cancel([future for future, _ in self.futures.values()], force=True)
                return
            if self.client.status != "running":
                raise LostError
            self._look()
            self.watch()
            time.sleep(LOOK_SECONDS)
        self.client.set_metadata([self.name], None)

    def _submit(self, work: works.Work, number: int) -> None:
        """Two sweeps share workers fairly: the first works of both come before the second of either."""
        key = f"{self.name}-{work.name}-{time.time_ns()}"
        travel = TRAVEL_SECONDS if self.cluster.travel is None else self.cluster.travel
        future = self.client.submit(
            _do, work.text(), self.name, self.cluster.device, travel,
            key=key, pure=False, resources=self.needed, priority=-number,
        )  # fmt: skip
        self.futures[key] = (future, work)
        self.ended.add(future)

    def _kept(self, work: works.Work) -> worker.Kept:
        return worker.Kept(self.client, self.name, work.name)

    def _hand_over(self, work: works.Work) -> None:
        """What the scheduler holds of a run that was begun is the newest; else it gets what the folder has."""
        place, _ = engine.places(self.cluster.folder, work)
        if place.exists() and not self._collect(work) and (files := parcel.read(place, None)):
            self._kept(work).set(parcel.packed(files))

    def _hear(self) -> None:
        """What workers say: only names of this sweep's own works count, and text that is shown."""
        with contextlib.suppress(queue.Empty):
            while True:
                event = self.heard.get_nowait()
                work = self.state.left.get(str(event.get("run"))) if isinstance(event, Mapping) else None
                if work is None:
                    continue
                where = "".join(filter(str.isprintable, str(event.get("where"))[:300]))
                if event.get("what") == "running":
                    self.told(work, engine.RUNNING, where)
                elif event.get("what") == "kept":
                    self._collect(work)
                elif event.get("what") == "refused" and where not in self.refusals:
                    self.refusals.add(where)
                    _say(f"a worker leaves: {where}")

    def _collect(self, work: works.Work) -> bool:
        """Take what the scheduler holds of a run into the folder; whether there was anything that is sound."""
        place, figures = engine.places(self.cluster.folder, work)
        if (found := self._kept(work).get()) is None:
            return False
        try:
            works.refuse_other(work, parcel.checked(found).get("run.json"))
            parcel.unpack(found, place, figures)
        except ValueError as error:
            _say(f"{work.name}: {error}; it is not taken")
            return False
        return True

    def _ended(self, future: Any, work: works.Work) -> None:
        if future.status in ("cancelled", "lost"):
            raise LostError
        place, _ = engine.places(self.cluster.folder, work)
        # what a worker says last has mostly been heard, and taken, before its task counts as finished
        if future.status == "finished" and (
            works.ended(work, place) or (self._collect(work) and works.ended(work, place))
        ):
            self._over(work, engine.DONE, "")
            return
        error = future.exception() if future.status == "error" else None
        deaths = self.state.deaths.get(work.name, 0)
        most = DEATHS_MAX if type(error).__name__ == "KilledWorker" else NOTHING_MAX if error is None else 0
        if deaths < most:
            self.state.deaths[work.name] = deaths + 1
            self._submit(work, 0)
            return
        reason = str(error).splitlines()[0][:300] if error is not None and str(error) else "its files did not come"
        self.state.failed[work.name] = reason
        self._over(work, engine.FAILED, reason)

    def _over(self, work: works.Work, what: str, line: str) -> None:
        self._kept(work).set(None)
        del self.state.left[work.name]
        self.told(work, what, line)

    def _look(self) -> None:
        """Give up when no worker has fitted for long. Raises StopError then."""
        now = time.monotonic()
        if now < self.looked + WORKERS_SECONDS:
            return
        self.looked = now
        found = connection.workers(self.client)
        if found.fitting:
            self.fitted = now
        elif now > self.fitted + self.cluster.patience:
            raise program.StopError(
                1, f"--scheduler={self.cluster.address}: {found.none}; go on with: {self.cluster.command}"
            )


def _do(*words: Any) -> str:
    """What is submitted: the scheduler, which reads the task but has no code of this project, gets it by value."""
    from ie_recipes.sweep import worker

    return worker.do(*words)


_do.__module__ = "__main__"  # which cloudpickle sends by value


def _say(line: str) -> None:
    print(f"ie-repr sweep: {line}", file=sys.stderr, flush=True)
