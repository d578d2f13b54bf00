"""Files from HTTP mirrors, as bounded streams of bytes (`packages` has those of package registries).

Each source hands the blocks of a file to `store(name, blocks)`, which hashes, writes and renames them. A source that
cannot serve raises ValueError with the reason; an OSError that leaves here comes from the user's own disk.
Proxies are respected: urllib reads HTTP_PROXY, HTTPS_PROXY and NO_PROXY.
"""

from __future__ import annotations

import contextlib
import gzip
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ie_model.data.hashed_files import BLOCK, blocks, reason

Store = Callable[[str, Iterable[bytes]], None]

OPEN_SECONDS = 4.0  # from the name look-up to the answer's first line: two dead mirrors cost 8 s
STALL_SECONDS = 15.0  # a connection that is silent, or slower than SLOW_BYTES, for so long is given up
SLOW_BYTES = 64 << 10
SAY_SECONDS = 10.0  # whoever waits longer is told what for


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Lets SIGTERM end the work inside by SystemExit(143), so that npm is ended with it and no half file stays."""

    def stop(number: int, frame: Any) -> None:
        raise SystemExit(128 + number)

    here = threading.current_thread() is threading.main_thread()
    if not here or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:  # it has an owner already
        yield
        return
    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


class Meter:
    """Counts what was downloaded and, if `show`, redraws one line on stderr; else `say` gets a line now and then."""

    def __init__(self, show: bool = False, say: Callable[[str], None] = lambda line: None) -> None:
        self.total = 0
        self.show = show
        self.say = say
        self._drawn, self._said = 0.0, time.monotonic()

    def add(self, count: int, label: str) -> None:
        """Counts `count` bytes of what `label` names."""
        self.total += count
        if not self.show and time.monotonic() - self._said > SAY_SECONDS:
            self._said = time.monotonic()
            self.say(f"  {label}: {self.total / 1e6:.1f} MB so far")
        if self.show and time.monotonic() - self._drawn > 0.2:
            self._drawn = time.monotonic()
            sys.stderr.write(f"\r{label}: {self.total / 1e6:.1f} MB\x1b[K")
            sys.stderr.flush()

    def clear(self) -> None:
        """Removes the line, so that another can be printed."""
        if self.show and self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


class _Body:
    """A response's body that is counted, and given up when it trickles."""

    def __init__(self, response: Any, label: str, meter: Meter) -> None:
        self.response, self.label, self.meter = response, label, meter
        self._since, self._received = time.monotonic(), 0

    def read(self, size: int = -1) -> bytes:
        import http.client

        try:
            block: bytes = self.response.read1(min(size, BLOCK) if size > 0 else BLOCK)
        except http.client.HTTPException as error:  # cut off before its announced end
            raise OSError(f"the download broke off ({type(error).__name__})") from None
        self._received += len(block)
        self.meter.add(len(block), self.label)
        elapsed = time.monotonic() - self._since
        if elapsed > STALL_SECONDS:
            if self._received < SLOW_BYTES:
                raise TimeoutError(f"only {self._received:,} bytes in {elapsed:.0f} s")
            self._since, self._received = time.monotonic(), 0
        return block


def _open(url: str, seconds: float) -> Any:
    """The response to a GET. In a thread of its own because no timeout of urllib's covers the look-up of a name."""
    import urllib.request  # 40 ms that a warm cache need not pay

    answer: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def work() -> None:
        try:
            # an opener of its own reads the proxies of now, not those of the first urlopen in this process
            answer.put(urllib.request.build_opener().open(url, timeout=STALL_SECONDS))
        except Exception as error:  # whatever it is, it belongs to the caller
            answer.put(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        response = answer.get(timeout=seconds)
    except queue.Empty:
        raise ValueError(f"no answer within {seconds:g} s") from None
    if isinstance(response, Exception):
        code = getattr(response, "code", None)  # an HTTPError is a response as well
        raise ValueError(f"HTTP {code}" if code else reason(response))
    return response


def from_mirror(base: str, names: Iterable[str], store: Store, meter: Meter, suffix: str = ".gz") -> None:
    """Stores NAME from `base`NAME`suffix`, unzipped if that is .gz; the first failure is the mirror's: ValueError."""
    for name in names:
        with _open(f"{base}{name}{suffix}", OPEN_SECONDS) as response:
            body: Any = _Body(response, name, meter)
            stream = gzip.GzipFile(fileobj=body, mode="rb") if suffix == ".gz" else body
            store(name, blocks(stream, f"{name}{suffix}"))
