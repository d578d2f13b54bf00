"""A connection to a scheduler of dask.distributed, with the reasons why there is none, each in one line.

A scheduler, its workers and its clients run what any of them sends. So it is talked to over TLS, whose keys say who
may, or over this machine's own loopback address; any other address is refused.
"""

import asyncio
import contextlib
import ipaddress
import logging
import socket
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ie_recipes.sweep import worker

CONNECT_SECONDS = 10.0
REASONS_SHOWN = 10


@dataclass(frozen=True)
class Found:
    """The workers of a scheduler: how many fit, why others do not, and the kinds of device of those that do."""

    fitting: int
    reasons: tuple[str, ...]
    devices: frozenset[str]

    @property
    def none(self) -> str:
        """Why no worker fits."""
        return f"no worker fits: {self.reasons[0] if self.reasons else 'it has none'}"


def refuse_open_network(address: str, who: str = "") -> None:
    """Raise ValueError unless the address is one of a protocol that others cannot read, or of this machine.

    ``who``: what says that address of itself, where it is not the one that was typed.
    """
    parts = urlsplit(address)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme not in ("tcp", "tls") or not parts.hostname or port is None:
        raise ValueError(f"--scheduler={address:.100}: expected an address such as tcp://127.0.0.1:8786")
    if parts.scheme == "tls" or parts.hostname == "localhost":
        return
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(parts.hostname).is_loopback:
            return
    told = f"{who} listens at {address}" if who else f"--scheduler={address}"
    raise ValueError(
        f"{told}: a scheduler runs whatever reaches it, and tcp:// is open to all: expected tls://, or an address of "
        "this machine alone (an SSH tunnel ends in one)"
    )


def connect(address: str, seconds: float = CONNECT_SECONDS) -> Any:
    """A client. Raises ValueError, one line, where no scheduler of this version answers there."""
    refuse_open_network(address)
    refuse_missing()
    import distributed

    warnings.simplefilter("ignore", distributed.versions.VersionMismatchWarning)
    refuse_silence(address, seconds)
    try:
        asyncio.run(_greet(address, seconds))
        client = distributed.Client(address, timeout=seconds, name="ie-repr-sweep", set_as_default=False)
    except (OSError, ValueError, RuntimeError, TypeError, KeyError) as error:
        raise ValueError(f"--scheduler={address}: no scheduler of dask answers there ({_reason(error)})") from None
    try:
        scheduler: Any = client.scheduler
        there = client.sync(scheduler.versions)
        _refuse_other(address, "distributed", there["packages"].get("distributed"), distributed.__version__)
        python = ".".join(map(str, dict(there["host"]).get("python", "").split(".")[:2]))
        _refuse_other(address, "Python", python, f"{sys.version_info[0]}.{sys.version_info[1]}")
        refuse_open_network(str(client.scheduler_info(n_workers=0)["address"]), f"--scheduler={address}")
    except BaseException:
        close(client)
        raise
    return client


def _refuse_other(address: str, what: str, there: str | None, here: str) -> None:
    if there != here:
        raise ValueError(f"--scheduler={address} runs {what} {there}, here it is {here}: the same is needed")


def refuse_missing() -> None:
    """Raise ValueError where dask.distributed is not installed; silence it where it is."""
    try:
        import distributed
    except ImportError:
        raise ValueError(
            "--scheduler needs dask.distributed, which is not installed: pip install '.[sweep]' in a "
            "checkout, or cm run script 'get ie-deps _sweep'"
        ) from None
    for module in (distributed, distributed.client):  # each has a level of its own; what goes wrong is said here
        logging.getLogger(module.__name__).setLevel(logging.CRITICAL)


def close(client: Any) -> None:
    """End a connection, whatever state it is in."""
    with contextlib.suppress(Exception):
        client.close(timeout=2)


def workers(client: Any) -> Found:
    """The scheduler's workers, judged. Raises OSError where the scheduler is gone."""
    mine = worker.facts()
    wanted = worker.resource(mine)
    fitting, reasons, devices = 0, [], set()
    for address, about in client.scheduler_info(n_workers=-1)["workers"].items():
        theirs = (about.get("metrics") or {}).get(worker.METRIC)
        if about["resources"].get(wanted, 0) > 0:
            fitting += 1
            devices.add(str(theirs.get("device"))[:20] if isinstance(theirs, Mapping) else "cpu")
        else:
            reasons.append(f"the worker {address} {worker.difference(mine, theirs)}")
    return Found(fitting, tuple(reasons), frozenset(devices))


def tell(found: Found) -> None:
    """Say why workers are not used."""
    for reason in found.reasons[:REASONS_SHOWN]:
        print(f"ie-repr sweep: not used: {reason}", file=sys.stderr, flush=True)
    if len(found.reasons) > REASONS_SHOWN:
        print(f"ie-repr sweep: … and {len(found.reasons) - REASONS_SHOWN} more", file=sys.stderr, flush=True)


def refuse_silence(address: str, seconds: float) -> None:
    """Raise ValueError where the port is closed: dask waits for it, and whoever mistyped one is to be told at once."""
    parts = urlsplit(address)
    try:
        socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=seconds).close()
    except OSError as error:
        raise ValueError(f"--scheduler={address}: nothing answers there ({_reason(error)})") from None


async def _greet(address: str, seconds: float) -> None:
    """Whether a scheduler of dask answers there, and with these keys: its client waits for ever for what is silent."""
    import distributed

    keys = distributed.Security().get_connection_args("client")
    comm: Any = await asyncio.wait_for(distributed.comm.connect(address, timeout=seconds, **keys), seconds)
    comm.abort()


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).splitlines()[0][:160] if str(error) else type(error).__name__
