"""Run child processes to their ends, several at once if asked, and take them along when this process is told to stop.

A Ctrl-C in a terminal reaches parent and children together; `kill -INT` and SIGTERM reach the parent alone, and then
the children would go on by themselves. So they get a little time to end on their own, then the same signal, then
SIGKILL.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

STOP = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
PR_SET_PDEATHSIG = 1  # of Linux's prctl
POLL_SECONDS = 0.05
OUT = "CM_IE_OUT"  # in the environment: what children print goes to stderr, since standard output is a program's
OWN_END_SECONDS = 3.0  # for children that got the terminal's Ctrl-C themselves: they are writing their last lines
PATIENCE_SECONDS = 20.0  # between the signal and SIGKILL; every file appears by rename, so nothing breaks
OUTER_SECONDS = PATIENCE_SECONDS + 10.0  # of cm, whose child needs the time above to end its own children
CRASHES = {
    "SIGKILL": "was killed from outside", "SIGSEGV": "crashed (segmentation fault)", "SIGBUS": "crashed (bus error)",
    "SIGABRT": "aborted itself", "SIGILL": "crashed (a processor instruction that this machine lacks)",
    "SIGHUP": "was ended by a hang-up (its terminal was closed; nohup keeps it)",
}  # fmt: skip


class Ended(NamedTuple):
    """How a child ended: 128 + n when signal n ended it, or told this process to stop; and what it used, if known."""

    code: int
    cpu_seconds: float | None
    peak_rss_bytes: int | None


# Yields the argument list of a command (no shell), and is sent how that ended, until it has no more. None instead of a
# list: not yet; it is asked again while the commands of other jobs are at work.
Job = Generator[Sequence[str] | None, Ended | None, None]


def run(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], patience: float = OUTER_SECONDS) -> int:
    """Exit code of one command, as in `Ended`."""
    codes = []

    def job() -> Job:
        ended = yield argv
        assert ended is not None
        codes.append(ended.code)

    together([job()], 1, cwd=cwd, env=env, patience=patience)
    return codes[0]


def together(
    jobs: Iterable[Job],
    at_once: int,
    *,
    cwd: Path,
    env: Mapping[str, str],
    patience: float = PATIENCE_SECONDS,
    watch: Callable[[], None] = lambda: None,
) -> None:
    """Do all jobs, in their order, at most `at_once` at a time; `watch` is called now and then.

    What a job raises ends the others and goes on up. When this process is told to stop, every job that is at work is
    sent that its command ended with that signal.
    """
    waiting = deque(jobs)
    working: dict[subprocess.Popen[bytes], Job] = {}
    later: list[Job] = []  # what said "not yet"
    kills = _memory_kills()
    with noted() as received:
        try:
            while (waiting or working or later) and not received:
                if waiting and len(working) < at_once:
                    _advance(waiting.popleft(), None, working, later, cwd, env)
                    continue
                ended = {process: end for process in working if (end := _look(process)) is not None}
                for process, end in ended.items():
                    if not received and (line := _last_words(end, kills)):
                        print(f"run-ie-repr: {line}", file=sys.stderr, flush=True)
                    _advance(working.pop(process), end, working, later, cwd, env)
                for job in [later.pop(0) for _ in later[:]] if len(working) < at_once else []:
                    _advance(job, None, working, later, cwd, env)
                assert working or waiting or not later, "a job waits for what no job does"
                if not ended:
                    time.sleep(POLL_SECONDS)
                    watch()
        except BaseException:
            _end_all(working, signal.SIGTERM, patience, raising=False)
            raise
        if received:
            _end_all(working, received[0], patience, raising=True)


def _advance(
    job: Job,
    ended: Ended | None,
    working: dict["subprocess.Popen[bytes]", Job],
    later: list[Job],
    cwd: Path,
    env: Mapping[str, str],
) -> None:
    """Start the job's next command, or be done with it, for now or for good."""
    try:
        argv = next(job) if ended is None else job.send(ended)
    except StopIteration:
        return
    if argv is None:
        later.append(job)
        return
    stdout = 2 if OUT in env else None
    working[subprocess.Popen(argv, cwd=cwd, env=dict(env), stdout=stdout, preexec_fn=bound_to_parent())] = job


def bound_to_parent() -> Callable[[], None] | None:
    """What lets a child be killed with this process however it ends, SIGKILL too; None where the system cannot."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        import ctypes

        control = ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError):
        return None
    parent = os.getpid()

    def bind() -> None:  # in the child, before it becomes another program
        control(PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != parent:  # it has died already
            os._exit(1)

    return bind


def _signal(process: "subprocess.Popen[bytes]", number: int) -> None:
    """Send a signal. Not by Popen, which may reap the child while it is at it: then nobody knows how it ended."""
    if hasattr(os, "wait4"):
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)
    else:
        process.terminate() if number != signal.SIGTERM else process.kill()


def _last_words(ended: Ended, kills: int | None) -> str:
    """What became of a child that could not say it itself; "" for one that could. ``kills``: count before it began."""
    name = next((one.name for one in signal.Signals if one == ended.code - 128), "")
    if name not in CRASHES:
        return ""
    line = f"a process {CRASHES[name]} ({name})"
    if name in ("SIGKILL", "SIGABRT"):
        now = _memory_kills()
        if kills is not None and now is not None and now > kills:
            line += (
                ": the system had no memory left for it. Each run at once needs about a gigabyte; the same command "
                "goes on with as many at once as there is memory for: end other programs, or give the container more"
            )
    return line


def _memory_kills() -> int | None:
    try:
        from ie_model.device import limits
    except ImportError:
        return None
    return limits.memory_kills()


def _end_all(working: dict["subprocess.Popen[bytes]", Job], number: int, patience: float, *, raising: bool) -> None:
    """End every child, and let its job know. `raising`: what the first job makes of it goes on up."""
    ended: dict[subprocess.Popen[bytes], Ended] = {}
    if number == signal.SIGINT:
        _wait(working, ended, OWN_END_SECONDS)
    for process in working:
        if process not in ended:
            _signal(process, number)
    _wait(working, ended, patience)
    for process in working:
        if process not in ended:
            _signal(process, getattr(signal, "SIGKILL", signal.SIGTERM))
    _wait(working, ended, None)
    told = [_tell(job, ended[process]._replace(code=128 + number)) for process, job in working.items()]
    working.clear()
    for problem in told:
        if raising and problem is not None:
            raise problem


def _tell(job: Job, ended: Ended) -> Exception | None:
    """Let a job know how its last command ended; returns what it makes of it."""
    try:
        job.send(ended)
    except StopIteration:
        return None
    except Exception as problem:
        return problem
    finally:
        job.close()
    return None


def _wait(working: Iterable["subprocess.Popen[bytes]"], ended: dict[Any, Ended], seconds: float | None) -> None:
    """Wait until all children have ended, or for `seconds`; puts those that have into `ended`."""
    until = None if seconds is None else time.monotonic() + seconds
    while True:
        for process in working:
            if process not in ended and (end := _look(process)) is not None:
                ended[process] = end
        if all(process in ended for process in working) or (until is not None and time.monotonic() > until):
            return
        time.sleep(POLL_SECONDS)


def _look(process: "subprocess.Popen[bytes]") -> Ended | None:
    """How the child ended, with what it used itself; None while it is at work."""
    if not hasattr(os, "wait4"):  # Windows tells no usage
        code = process.poll()
        return None if code is None else Ended(_shell_code(code), None, None)
    try:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
    except ChildProcessError:  # somebody else has waited for it
        return Ended(_shell_code(process.returncode or 0), None, None)
    if pid == 0:
        return None
    process.returncode = os.waitstatus_to_exitcode(status)  # Popen itself must not wait for it again
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in KiB but on macOS
    return Ended(_shell_code(process.returncode), usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit)


def _shell_code(code: int) -> int:
    return code if code >= 0 else 128 - code


@contextmanager
def noted() -> Iterator[list[int]]:
    """The signals in STOP that reach this process meanwhile, noted instead of acted upon."""
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)

    # handlers, not SIG_IGN: a child would inherit that
    main = threading.current_thread() is threading.main_thread()
    # nohup: a hang-up that this process was started to ignore is ignored on, and its children inherit that
    hang_up = getattr(signal, "SIGHUP", None)
    heeded = [one for one in STOP if one != hang_up or signal.getsignal(one) is not signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in heeded} if main else {}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
