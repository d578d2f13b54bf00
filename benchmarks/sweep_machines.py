"""A scheduler of dask and workers as processes of their own, each at an address of its own: 127.0.0.1, .2, .3, …

For ``benchmarks.sweeps``, and for the tests of what it does at length.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil

SCRIPT = Path(__file__).resolve().parents[1] / "script"
JOIN = SCRIPT / "ie_recipes" / "sweep" / "join.py"
PATIENCE = 240.0  # seconds; the machine may be busy


class Machines:
    """Use as a context: whatever was started is ended.

    ``settings``: of dask, such as DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL, after which a frozen worker counts as lost.
    """

    def __init__(self, path: Path, **settings: str) -> None:
        self.path, self.processes = path, dict[str, subprocess.Popen[bytes]]()
        self.port = _free_port()
        self.env = {**os.environ, **settings}
        path.mkdir(parents=True)

    @property
    def address(self) -> str:
        """The scheduler's."""
        return f"tcp://127.0.0.1:{self.port}"

    def __enter__(self) -> Machines:
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self.processes):
            self.kill(name)

    def scheduler(self, *more: str) -> None:
        """Start it, and wait until it answers."""
        words = ["--host=127.0.0.1", f"--port={self.port}", "--no-dashboard", "--no-show", *more]
        self._start("scheduler", [sys.executable, "-m", "distributed.cli.dask_scheduler", *words], {})
        end = time.monotonic() + PATIENCE
        while not _answers(self.port):
            if time.monotonic() > end:
                raise TimeoutError(f"the scheduler did not come: {self.log('scheduler')[-2000:]}")
            time.sleep(0.05)

    def worker(self, number: int, *, scheduler: str = "", **env: str) -> subprocess.Popen[bytes]:
        """One of the recipe's at 127.0.0.(number + 1)."""
        words = [f"--scheduler={scheduler or self.address}", f"--host=127.0.0.{number + 1}", "--alone"]
        return self._start(f"worker {number}", [sys.executable, "-P", str(JOIN), *words], env)

    def plain_worker(self, number: int, preload: str, *more: str, scheduler: str = "") -> subprocess.Popen[bytes]:
        """One of `dask worker`, as batch systems start it."""
        words = [scheduler or self.address, "--nthreads=1", "--memory-limit=0", "--no-nanny", "--no-dashboard"]
        argv = [sys.executable, "-m", "distributed.cli.dask_worker", *words, f"--preload={preload}", *more]
        path = os.pathsep.join([str(SCRIPT), *filter(None, [self.env.get("PYTHONPATH")])])
        return self._start(f"worker {number}", argv, {"PYTHONPATH": path})

    def _start(self, name: str, argv: list[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
        with (self.path / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                argv, cwd=self.path, env={**self.env, **env}, stdout=log, stderr=subprocess.STDOUT
            )
        return self.processes[name]

    def ready(self, count: int, address: str = "") -> None:
        """Wait for so many workers."""
        from ie_recipes.sweep import connection

        client = connection.connect(address or self.address)
        try:
            client.wait_for_workers(count, timeout=PATIENCE)
        finally:
            connection.close(client)

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal; after SIGKILL it is gone."""
        process = self.processes[name]
        process.send_signal(number)
        if number == signal.SIGKILL:
            process.wait(PATIENCE)
            del self.processes[name]

    def log(self, name: str) -> str:
        """What it has said."""
        return (self.path / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def cpu(self) -> float:
        """CPU seconds of scheduler and workers so far, without the runs, which are processes of their own."""
        times = [psutil.Process(process.pid).cpu_times() for process in self.processes.values()]
        return sum(one.user + one.system for one in times)

    @staticmethod
    def where(address: str) -> str:
        """The name of the worker at tcp://127.0.0.N:…"""
        return f"worker {int(address.split('://')[1].split(':')[0].rpartition('.')[2]) - 1}"


class Wire:
    """A port that hands everything on to another one, until it is cut."""

    def __init__(self, target: int) -> None:
        self.target, self.pairs, self.down = target, list[socket.socket](), False
        self.server = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self.server.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def cut(self, seconds: float) -> None:
        """Nothing goes through for so long, and nobody is told."""
        self.down = True
        threading.Timer(seconds, self._mend).start()

    def _mend(self) -> None:
        for one in self.pairs:
            one.close()
        self.down = False

    def _serve(self) -> None:
        while True:
            here, _ = self.server.accept()
            try:
                there = socket.create_connection(("127.0.0.1", self.target))
            except OSError:  # the scheduler is gone
                here.close()
                continue
            self.pairs += [here, there]
            for one, other in ((here, there), (there, here)):
                threading.Thread(target=self._hand_on, args=(one, other), daemon=True).start()

    def _hand_on(self, one: socket.socket, other: socket.socket) -> None:
        try:
            while content := one.recv(1 << 16):
                while self.down:
                    time.sleep(0.1)
                other.sendall(content)
        except OSError:
            pass
        finally:
            other.close()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
