"""Disturb a command once: a signal at a random moment, death in a file operation, or a file operation that fails.

Every trial is drawn from its number alone, so that trials may be made in any order and at any time. It held if the same
command, given again, ends well with what an undisturbed one makes, bit for bit, and leaves nothing of its own behind;
if no disturbed command that reported success has made anything else; and if each that failed said so in words.
"""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from benchmarks.robustness import phases

ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EINTR, errno.EDQUOT)
SIGNALS = {signal.SIGKILL: 4, signal.SIGTERM: 1, signal.SIGINT: 1, signal.SIGHUP: 1}
ANSWER = 20.0  # seconds in which a signal that can be heard must be answered
ENDS = (0, 1, 2, 74)  # of a command that foresaw what went wrong


class Trials:
    """What a trial needs of each phase: what it is given and makes, how long it takes, and its file operations."""

    def __init__(self, ready: phases.Ready, scratch: Path, seed: int) -> None:
        self.ready, self.scratch, self.seed = ready, scratch, seed
        self.seconds: dict[str, float] = {}
        self.expected: dict[str, str] = {}
        self.counts: dict[str, dict[str, int]] = {}

    def measure(self) -> None:
        """Run each phase undisturbed: its time, product and file operations. Raises RuntimeError."""
        library = self.ready.library.exists()
        for phase in phases.PHASES:
            if not all((self.ready.home / name).exists() for name in phase.given.values()):
                continue
            place, counts = self._place(phase), self.scratch / "counts"
            counts.mkdir(exist_ok=True)
            more = {"LD_PRELOAD": str(self.ready.library), "FAULTY_FOLDER": str(place), "FAULTY_COUNT": str(counts)}
            products = []
            for env in ({}, more) if library else ({},):
                self.ready.give(phase, place)
                began = time.monotonic()
                code, errors = self._run(phase, place, env)
                self.seconds.setdefault(phase.name, time.monotonic() - began)
                if code != 0 or not phase.product(place):
                    raise RuntimeError(f"{phase.name}, which nobody disturbed, ended with {code}: {errors}")
                products.append(phase.product(place))
            if len(set(products)) != 1:
                raise RuntimeError(f"{phase.name} makes other things each time: nothing can be compared")
            self.expected[phase.name] = products[0]
            self.counts[phase.name] = {file.name: file.stat().st_size for file in counts.iterdir()}
            for file in counts.iterdir():
                file.unlink()

    def kills(self, many: int, done: set[str]) -> Iterator[dict[str, Any]]:
        """Signals at random moments; half of the SIGKILLs within a file operation, where there is the library."""
        for number in range(many):
            if f"kill {number}" in done:
                continue
            draw, phase = self._draw("kill", number)
            sent = draw.choices(list(SIGNALS), list(SIGNALS.values()))[0]
            if self.counts[phase.name] and sent == signal.SIGKILL and draw.random() < 0.5:
                call, nth = self._operation(draw, phase)
                what = f"SIGKILL in {call} {nth} of {self.counts[phase.name][call]}"
                problem = self._fault(phase, call, nth, 0, stays=False)
                how = "SIGKILL in a file operation"
            else:
                moment = draw.uniform(0, self.seconds[phase.name])
                what = f"{sent.name} after {moment:.2f} of {self.seconds[phase.name]:.2f} s"
                problem = self._signal(phase, sent, moment)
                how = f"{sent.name} at a moment"
            yield {
                "key": f"kill {number}",
                "kind": "kill",
                "phase": phase.name,
                "how": how,
                "what": what,
                "wrong": problem,
            }

    def faults(self, many: int, done: set[str]) -> Iterator[dict[str, Any]]:
        """A file operation that fails: once, or from then on. None without the library."""
        for number in range(many if self.ready.library.exists() else 0):
            if f"fault {number}" in done:
                continue
            draw, phase = self._draw("fault", number)
            call, nth = self._operation(draw, phase)
            code, stays = draw.choice(ERRORS), draw.random() < 0.3
            stays = stays and code != errno.EINTR  # who is interrupted may try for ever
            name = errno.errorcode[code]
            what = f"{call} {nth} of {self.counts[phase.name][call]}: {name}{', and from then on' if stays else ''}"
            problem = self._fault(phase, call, nth, code, stays=stays)
            how = f"{call}: {name}"
            yield {
                "key": f"fault {number}",
                "kind": "fault",
                "phase": phase.name,
                "how": how,
                "what": what,
                "wrong": problem,
            }

    def _draw(self, kind: str, number: int) -> tuple[random.Random, phases.Phase]:
        draw = random.Random(f"{self.seed} {kind} {number}")  # noqa: S311 (no secret)
        can = [phase for phase in phases.PHASES if phase.name in self.expected]
        return draw, draw.choices(can, [phase.share for phase in can])[0]

    def _operation(self, draw: random.Random, phase: phases.Phase) -> tuple[str, int]:
        """One of the operations: first which kind, so that the rare ones are tried too."""
        call = draw.choice([name for name in phases.CALLS if self.counts[phase.name].get(name)])
        return call, draw.randint(1, self.counts[phase.name][call])

    def _signal(self, phase: phases.Phase, sent: signal.Signals, moment: float) -> str:
        place = self._place(phase)
        self.ready.give(phase, place)
        errors = place / "errors"
        with errors.open("wb") as file:
            process = subprocess.Popen(
                phase.argv(place), env=self._env(place), stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
            )  # fmt: skip
            with suppress(subprocess.TimeoutExpired):
                process.wait(moment)
            process.send_signal(sent)
            began = time.monotonic()
            try:
                code = process.wait(ANSWER)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                return f"does not answer {sent.name} within {ANSWER:.0f} s"
        said = errors.read_text(encoding="utf-8", errors="replace")
        errors.unlink()
        if alive := _alive(process.pid):
            return f"leaves a process behind: {alive}"
        if code not in (0, -sent, 128 + sent):
            return f"ended with {code}, {time.monotonic() - began:.1f} s after {sent.name}: {_last(said)}"
        if "Traceback" in said:
            return f"a traceback: {_last(said)}"
        return self._again(phase, place, code)

    def _fault(self, phase: phases.Phase, call: str, nth: int, code: int, *, stays: bool) -> str:
        """``code``: of the error; 0 for SIGKILL within the operation."""
        place = self._place(phase)
        self.ready.give(phase, place)
        more = {
            "LD_PRELOAD": str(self.ready.library), "FAULTY_FOLDER": str(place), "FAULTY_CALL": call,
            "FAULTY_NTH": str(nth), "FAULTY_ERRNO": str(code), "FAULTY_STAYS": "1" if stays else "0",
        }  # fmt: skip
        ended, errors = self._run(phase, place, more)
        if code == 0:
            return self._again(phase, place, ended) if ended in (0, -signal.SIGKILL) else f"ended with {ended}"
        if ended not in ENDS or "Traceback" in errors or "internal error" in errors:
            return f"ended with {ended}: {_last(errors)}"
        if ended != 0 and not errors:
            return f"ended with {ended}, and said nothing"
        return self._again(phase, place, ended)

    def _again(self, phase: phases.Phase, place: Path, ended: int) -> str:
        """Give the same command again, undisturbed; what does not hold then, "" if all does."""
        expected = self.expected[phase.name]
        product = phase.product(place)
        if ended == 0 and product != expected:
            return "success, and other contents"
        if not (phase.once and product == expected):
            code, errors = self._run(phase, place, {})
            if code != 0:
                return f"does not go on: {code}: {_last(errors)}"
            if phase.product(place) != expected:
                return "goes on to other contents"
        left = [str(path.relative_to(place)) for pattern in phases.LEFT for path in place.rglob(pattern)]
        left += [f"tmp/{path.name}" for path in (place / "tmp").iterdir()]
        return f"leaves {left[0]}" if left else ""

    def _place(self, phase: phases.Phase) -> Path:
        return self.scratch / phase.name

    def _env(self, place: Path) -> dict[str, str]:
        return {**os.environ, "TMPDIR": str(place / "tmp")}

    def _run(self, phase: phases.Phase, place: Path, more: Mapping[str, str]) -> tuple[int, str]:
        return phases.run(phase.argv(place), {"TMPDIR": str(place / "tmp"), **more})


def _alive(group: int) -> str:
    """The name of a process of the group that is still there after a while; "" if none is."""
    for _ in range(50):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return ""
        names = [name for process in psutil.process_iter() if (name := _living(process, group))]
        if not names:
            return ""
        time.sleep(0.1)
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
    return names[0]


def _living(process: psutil.Process, group: int) -> str:
    try:
        ours = os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
        return process.name() if ours else ""
    except (psutil.Error, ProcessLookupError):
        return ""


def _last(errors: str) -> str:
    return (errors.strip().splitlines() or ["nothing was said"])[-1][:300]
