"""Where the code came from and how it was started, without what identifies a machine or a person.

The scrubbing prefers to hide too much: in a command every argument that holds a path is cut from the path on; in free
text a path ends where a quotation does, or at the last word that still holds a separator.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import re
import shlex
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

# Words that many machines and users are called, and that name nobody.
_NOBODY = frozenset(
    "root user users admin administrator runner ubuntu debian localhost home build builder test cm".split()
)
# Words that commands and messages are made of. Somebody may be called so; hiding them would hide what was done.
_ORDINARY = frozenset(
    "run script reproduce evaluate submit serve get detect experiment challenge report cache result results repr ie "
    "new classes strokes omniglot small "
    "mnist fashion svhn glyphs smoke full paper closed open supervised semi device cpu cuda rocm mps auto gpu data "
    "dataset labels label seeds seed epochs epoch python python3 pip torch model models train training valid "
    "validation figures sample samples bench info curve quiet outdir threads error errors out of in on at to and or "
    "the for is it no not yes none null true false nan inf loss file files folder path memory http https ssh git www "
    "com org net local dev work project student guest demo docker node worker server main default base all".split()
)
_GIT_SECONDS = 10
# What a wheel that was built from a checkout says of it: a file of its metadata, {repository, commit, dirty}.
SOURCE = "extra_metadata/source.json"
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")

_WEB = re.compile(r"(?P<scheme>https?|ssh|git|ftp)://[^\s'\"<>]+", re.IGNORECASE)
_FILE_URL = re.compile(r"file:[^'\"]*", re.IGNORECASE)
_MAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9][A-Za-z0-9.-]*(?::\S*)?")
_IPV4 = re.compile(r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\w.])(?::[0-9]+)?")
# Where a path begins; a separator that follows a word's own letters (N/A) is no beginning.
_START = (
    r"(?:(?<![\w<>])[A-Za-z]:[\\/]"  # a drive
    r"|\\\\"  # a share
    r"|(?<![\w<>])~[\w.-]*(?=[\\/]|\s|$|['\"])"  # a home
    r"|\$\{?\w+\}?[\\/]|%\w+%[\\/]"  # a variable
    r"|\.{1,2}[\\/]"  # the current or the parent folder
    r"|(?<![\w<>/])/+(?=[^\s/]))"  # the root
)
_QUOTED = re.compile(r"(?P<quote>['\"])(?P<inside>(?:(?!(?P=quote)).)*?" + _START + r"(?:(?!(?P=quote)).)*)(?P=quote)")
_BARE = re.compile(_START + r"[^\s'\"]*(?: (?=[^\s'\"]*[\\/])[^\s'\"]+)*")
_DOTTED = re.compile(r"\.[0-9]{1,3}\.[0-9]")
_RELATIVE = re.compile(r"(?<![\w<>.-])[\w.-]+(?:[\\/][^\s'\"\\/]+)+[\\/]?")


@dataclass(frozen=True)
class Names:
    """What identifies this machine and the person at it."""

    users: tuple[str, ...]
    hosts: tuple[str, ...]

    @classmethod
    def here(cls) -> Names:
        """The names of the user and of the machine that runs this."""
        users = {os.environ.get(key, "") for key in ("USER", "LOGNAME", "USERNAME", "SUDO_USER")}
        with contextlib.suppress(KeyError, OSError, RuntimeError, ImportError):  # a user without an entry has no name
            users |= {getpass.getuser(), Path.home().name}
        host = socket.gethostname()
        return cls(tuple(_telling(users)), tuple(_telling({host, host.partition(".")[0]})))


def _telling(names: set[str]) -> list[str]:
    """The names that tell something, longest first."""
    return sorted(
        (name for name in names if len(name) > 1 and name.lower() not in _NOBODY | _ORDINARY),
        key=lambda name: (-len(name), name),
    )


def scrub(text: str, names: Names | None = None) -> str:
    """``text`` on one line, with paths, addresses and the user's and the host's name replaced (``<path>``, …)."""
    text = " ".join(_printable(text).split())
    text = _FILE_URL.sub("<path>", text)
    pieces, last = [], 0
    for match in _WEB.finditer(text):  # public addresses stay, without credentials
        pieces += [_scrub_text(text[last : match.start()]), public_address(match.group()) or "<address>"]
        last = match.end()
    pieces.append(_scrub_text(text[last:]))
    return _hide_names("".join(pieces), names or Names.here())


def may_reveal(text: str) -> bool:
    """Whether it is worth a closer look: False for nearly all text, and never for text that ``reveals``."""
    if not text.isascii() or not text.isprintable():
        return True
    # Something of each pattern here. Not one pattern of its own: these are twenty times as fast.
    if "/" in text or "\\" in text or "~" in text or "@" in text:
        return True
    return _DOTTED.search(text) is not None or "file:" in text.lower()


def reveals(text: str) -> bool:
    """Whether ``text`` holds what reads like a path or an address of a machine, whoever it belongs to."""
    return may_reveal(text) and scrub(text, Names((), ())) != " ".join(text.split())


def scrub_command(argv: Sequence[str], names: Names | None = None) -> str:
    """The command line of ``argv``, quoted for a shell, with what identifies a machine or a person replaced.

    The interpreter or program at the front keeps its last part (``/home/me/.venv/bin/cm`` is ``cm``).
    """
    names = names or Names.here()
    if not argv:
        return "<unknown>"
    program = re.split(r"[\\/]", argv[0])[-1] or "<path>"
    words = [program, *(_scrub_argument(word) for word in argv[1:])]
    return " ".join(_quote(_hide_names(word, names)) for word in words)[:2000]


def _scrub_argument(word: str) -> str:
    """One argument, cut from where a path begins; spaces and quotes inside a path belong to it."""
    word = _printable(word)
    option, equals, value = word.partition("=")
    if not equals or not option.startswith("-"):
        option, equals, value = "", "", word
    web = _WEB.fullmatch(value)
    if web:
        return _hide_places(option) + equals + (public_address(value) or "<address>")
    return _hide_places(option) + equals + _hide_places(value)


def _printable(text: str) -> str:
    """``text`` with a space for control characters, bytes that are no text, and marks that turn its direction."""
    return "".join(character if character.isprintable() else " " for character in text)


def _hide_places(part: str) -> str:
    """``<path>`` for what holds any part of a path; else addresses are replaced."""
    if re.search(r"[\\/~]|^file:", part, re.IGNORECASE):
        return "<path>"
    return _IPV4.sub("<address>", _MAIL.sub("<address>", part))


def _quote(word: str) -> str:
    """Quoted for a shell where needed; the marks of this module are left readable."""
    return word if re.fullmatch(r"[\w@%+=:,./<>-]*", word, re.ASCII) and word else shlex.quote(word)


def _scrub_text(text: str) -> str:
    text = _QUOTED.sub(lambda match: f"{match['quote']}<path>{match['quote']}", text)
    text = _BARE.sub("<path>", text)
    text = _RELATIVE.sub("<path>", text)
    return _IPV4.sub("<address>", _MAIL.sub("<address>", text))


def _hide_names(text: str, names: Names) -> str:
    for mark, group in (("<host>", names.hosts), ("<user>", names.users)):
        for name in group:
            text = re.sub(rf"(?<![A-Za-z0-9<]){re.escape(name)}(?![A-Za-z0-9>])", mark, text, flags=re.IGNORECASE)
    return text


def public_address(url: str) -> str | None:
    """A repository's address without user, password, query and fragment; None if it names no public host.

    ``git@host:owner/name`` becomes ``ssh://host/owner/name``. Paths, file URLs, host names without a dot and IP
    addresses give None.
    """
    url = url.strip()
    short = re.fullmatch(r"(?:[^@/\s]+@)?([A-Za-z0-9.-]+):(?!//)([^\s]+)", url)
    if short and "." in short.group(1):
        url = f"ssh://{short.group(1)}/{short.group(2).lstrip('/')}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if parts.scheme not in ("https", "http", "ssh", "git") or not re.fullmatch(r"[a-z0-9.-]+", host):
        return None
    public = re.search(r"\.[a-z][a-z0-9-]*$", host) and not host.endswith(
        (".local", ".lan", ".home", ".internal", ".localhost")
    )
    path = parts.path or "/"
    # A path with odd characters, or one that shows a home on the server, is not an address to publish.
    if not public or not re.fullmatch(r"/[A-Za-z0-9._~/+%-]*", path) or re.match(r"/(?:home|Users|root|~)", path):
        return None
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{path}"[:300]


def read(
    root: Path | None,
    *,
    command: Sequence[str],
    cm: Mapping[str, str | None],
    distribution: str | None = None,
    names: Names | None = None,
) -> dict[str, Any]:
    """The ``provenance`` of a result.

    ``root``: the checkout that the code runs from, or None for an installed copy; git is asked only about a
    repository whose root that is (an environment inside somebody's other repository says nothing about this code).
    ``distribution``: name of the installed package, whose record of what it was built from is used for an installed
    copy alone: of a checkout that git says nothing about, the record of another copy would not be true.
    ``command``: the argv. ``cm``: repo, script and version, each a string or None. Nothing raises: what is not known
    is null.
    """
    unknown = (None, None, None)
    if root is not None:
        repository, commit, dirty = checkout(root) or unknown
    else:
        repository, commit, dirty = _from_install(distribution) if distribution else unknown
    return {
        "repository": repository,
        "commit": commit,
        "dirty": dirty,
        "command": scrub_command(command, names),
        "cm": {key: cm.get(key) for key in ("repo", "script", "version")},
    }


def checkout(root: Path) -> tuple[str | None, str | None, bool | None] | None:
    """Address, commit and whether a tracked file differs from it; None if ``root`` is not the root of a repository.

    Files that git does not know, such as an editor's, and permission bits are no difference of the code. In a checkout
    of another owner (a container's volume, a shared disk) git is not asked for differences, since that can start
    programs which the repository's configuration names: there it is not known (None).
    """
    top, others = _git(root, "rev-parse", "--show-toplevel"), False
    if not top:
        top, others = _git(root, "rev-parse", "--show-toplevel", foreign=True), True
    try:
        if not top or not Path(top.strip()).samefile(root):
            return None
    except OSError:
        return None
    commit = (_git(root, "rev-parse", "HEAD", foreign=others) or "").strip()
    if not _COMMIT.fullmatch(commit):
        return None
    differences = ("status", "--porcelain", "--ignore-submodules=all", "--untracked-files=no")
    status = None if others else _git(root, *differences)
    address = _git(root, "config", "--get", "remote.origin.url", foreign=others)
    return public_address(address) if address else None, commit, None if status is None else bool(status.strip())


def _git(root: Path, *arguments: str, foreign: bool = False) -> str | None:
    """What git prints, or None. Hooks and the file-system monitor of the repository's configuration are not started.

    ``foreign``: also in a checkout of another owner; for commands that start nothing.
    """
    quiet = ["-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", "-c", "core.fileMode=false"]
    quiet += ["-c", f"safe.directory={root.resolve()}"] if foreign else []
    quiet += ["--no-optional-locks"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment |= {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["git", *quiet, "-C", str(root), *arguments],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            timeout=_GIT_SECONDS,
            env=environment,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None


def _from_install(distribution: str) -> tuple[str | None, str | None, bool | None]:
    """What pip recorded when it installed from version control (PEP 610), else what the wheel says of its checkout."""
    unknown = (None, None, None)
    try:
        installed = metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return unknown
    with contextlib.suppress(ValueError, AttributeError, KeyError, TypeError):
        record = json.loads(installed.read_text("direct_url.json") or "{}")
        commit = record.get("vcs_info", {}).get("commit_id", "")
        if _COMMIT.fullmatch(commit):
            return public_address(record["url"]), commit, None
    with contextlib.suppress(ValueError, AttributeError, KeyError, TypeError):
        record = json.loads(installed.read_text(SOURCE) or "{}")
        address, commit, dirty = record["repository"], record["commit"], record["dirty"]
        if _COMMIT.fullmatch(commit) and dirty in (True, False, None):
            return address and public_address(address), commit, dirty
    return unknown
