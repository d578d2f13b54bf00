"""Workers for a sweep: `python script/ie_recipes/sweep/join.py --scheduler=ADDRESS` makes this machine do runs of it.

    … --scheduler=tls://10.0.0.5:8786 --at-once=4      four runs at once; default: one for each core that is free for it
    … --scheduler=tcp://127.0.0.1:8786 --data=DIR      MNIST lies in DIR; default: fetched into the cache

`cm run script "sweep ie-repr _worker" --scheduler=ADDRESS` is the same, and installs what it needs first. A worker
whose scheduler is gone waits for it; one whose data are damaged or whose disk is full leaves, and says why.
"""

if __name__ == "__main__":  # before everything else: it keeps the current folder and the checkout out of imports' way
    import sys

    sys.path.insert(0, __file__[: -len("/ie_recipes/sweep/join.py")])
    from ie_recipes import own_code

    own_code.start()

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ie_recipes import bridge, own_code, program
from ie_recipes.run import processes
from ie_recipes.sweep import connection, worker

VALUES = ("scheduler", "data", "at_once", "host", "wait", "last_words")
SWITCHES = ("quiet", "alone")  # alone: the process of one worker, which join.py itself starts
WAIT_SECONDS = 600.0  # for a scheduler that is not there
AGAIN_SECONDS = 1.0
AT_ONCE_MAX = 10_000


@dataclass(frozen=True)
class Asked:
    """What the command line says. ``host``: the address that workers here listen at, "" where dask finds it."""

    scheduler: str
    at_once: int | None
    data: str | None
    host: str
    wait: float
    quiet: bool
    alone: bool


def parse(words: Sequence[str], here: Path) -> Asked:
    """The command line, checked. Raises ValueError with one line."""
    given: dict[str, str] = {}
    for word in words:
        name, equals, value = word.removeprefix("--").partition("=")
        name = name.replace("-", "_")
        if not word.startswith("--") or name not in (*VALUES, *SWITCHES):
            known = ", ".join(map(bridge.typed, ("scheduler", "at_once", "data", "host", "wait", "quiet")))
            raise ValueError(f"{word[:60]}: a worker has the flags {known}")
        if name in VALUES and not value:
            raise ValueError(f"{bridge.typed(name)}: the value is missing, write {bridge.typed(name)}=VALUE")
        if name in SWITCHES and equals and value.lower() not in ("true", "yes"):
            raise ValueError(f"{word}: takes no value, write just {bridge.typed(name)}")
        given[name] = value
    if "scheduler" not in given:
        raise ValueError("a worker needs --scheduler=ADDRESS, such as tcp://127.0.0.1:8786")
    connection.refuse_open_network(given["scheduler"])
    at_once = given.get("at_once")
    if at_once is not None and not (at_once.isdigit() and 1 <= int(at_once) <= AT_ONCE_MAX):
        raise ValueError(f"--at-once={at_once}: expected a whole number of runs, at least 1")
    wait = given.get("wait", str(WAIT_SECONDS))
    if not wait.replace(".", "", 1).isdigit():
        raise ValueError(f"--wait={wait}: expected seconds to wait for a scheduler that is not there")
    data = str(here / Path(given["data"]).expanduser()) if "data" in given else None
    quiet, alone = (name in given for name in SWITCHES)
    workers = int(at_once) if at_once else None
    return Asked(given["scheduler"], workers, data, given.get("host", ""), float(wait), quiet, alone)


class Alone:
    """One worker, and all that come after it at the same scheduler."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.ending = 0

    async def run(self) -> None:
        """Until a signal comes. Raises StopError where the worker left, or no scheduler is there for too long."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._end, number)
        seen = time.monotonic()
        while not self.ending:
            try:
                connection.refuse_silence(self.asked.scheduler, 5.0)
                await self._once()
                seen = time.monotonic()
            except (ValueError, OSError, TimeoutError) as error:
                if time.monotonic() > seen + self.asked.wait:
                    raise program.StopError(1, str(error) or f"{self.asked.scheduler} is gone") from None
                await asyncio.sleep(AGAIN_SECONDS)

    def _end(self, number: int) -> None:
        if self.ending:  # whoever says it twice does not want to wait for a scheduler that does not answer
            os._exit(128 + number)
        self.ending = number

    async def _once(self) -> None:
        import distributed

        async with distributed.Worker(
            self.asked.scheduler,
            nthreads=1,
            memory_limit=0,
            preload=[worker.__name__],
            dashboard=False,
            host=self.asked.host or None,
        ) as one:
            while one.status.name not in ("closed", "closing", "failed") and not self.ending:
                await asyncio.sleep(worker.LOOK_SECONDS)
            if self.ending:
                await one.close_gracefully(reason="told to end")
            await one.finished()
        if why := getattr(one, worker.LEFT, ""):
            raise program.StopError(1, f"this worker has left {self.asked.scheduler}: {why}")


def together(asked: Asked, typed: Sequence[str]) -> None:
    """As many workers as there is room for, each a process of its own. Raises StopError with the worst end."""
    env = own_code.environment() | ({worker.DATA: asked.data} if asked.data else {})
    argv = [sys.executable, "-P", str(Path(__file__)), *typed, "--alone"]
    codes: list[int] = []

    def job() -> processes.Job:
        ended = yield argv
        assert ended is not None
        codes.append(ended.code)

    count = asked.at_once or room()
    if not asked.quiet:
        print(f"ie-repr sweep: {count} worker{'s' * (count > 1)} for {asked.scheduler}", flush=True)
    processes.together([job() for _ in range(count)], count, cwd=Path.cwd(), env=env)
    if (code := max(codes, default=0)) in program.STOPPED:
        raise program.StopError(code, f"{program.STOPPED[code]}: the workers have left {asked.scheduler}")
    if code:
        raise program.StopError(code, f"a worker for {asked.scheduler} has ended with code {code}; its line is above")


def room() -> int:
    """Runs that this machine does at once: one a GPU, else as many as there are cores and memory for."""
    from ie_model.device import detect
    from ie_model.run import processes as rooms

    found = detect.detect("auto")
    return 1 if found.kind != "cpu" else int(rooms.how_many(os.cpu_count() or 1, 1, "cpu", 28 * 28 * 4 * 60_000))


def main(typed: Sequence[str]) -> int:
    """Run the workers; every foreseeable end is an exit code and one line."""
    if not typed or {"--help", "-h"} & set(typed):
        print(__doc__)
        return 0
    here = Path.cwd()
    last_words = next(
        (Path(w.partition("=")[2]) for w in typed if w.replace("-", "_").startswith("__last_words=")), None
    )

    def work() -> None:
        asked = parse(typed, here)
        if not asked.alone:
            together(asked, [word for word in typed if not word.startswith("--last")])
            return
        connection.refuse_missing()
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(Alone(asked).run())

    return program.ended(work, here, last_words, "ie-repr sweep")


if __name__ == "__main__":
    from ie_crowd import entry

    sys.exit(entry.guarded(lambda: main(sys.argv[1:]), "ie-repr sweep"))
