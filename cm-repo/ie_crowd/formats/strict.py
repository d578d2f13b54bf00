"""Strict reading of JSON and YAML documents that may come from anyone, and writing by rename.

Reading is bounded before it is clever: size before bytes are read, nesting and number of values before anything is
built, and what the usual parsers let through (NaN, duplicate keys, control characters, YAML tags and aliases) is
refused. Every refusal is a ValueError of one line.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import stat
import unicodedata
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from ie_crowd.formats import fast_json, scratch
from ie_crowd.formats.canonical_json import LARGEST_INTEGER


@dataclass(frozen=True)
class Limits:
    """How large a document may be: bytes on disk, levels of nesting, values in all, characters of one string.

    ``prose``: strings may hold what people paste: line breaks, and controls, which whoever keeps it takes out.
    """

    size: int = 4 * 2**20
    depth: int = 12
    values: int = 100_000
    string: int = 4_000
    prose: bool = False


LFS_POINTER = b"version https://git-lfs.github.com/spec/"
RESULT = Limits()
UPLOAD = Limits(size=2**20)  # of a result.json that a store takes, from an upload or a folder
RUN = Limits(size=256 * 2**10, depth=8, values=5_000)
RULES = Limits(size=256 * 2**10, depth=12, values=20_000)

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # eight times as fast, where PyYAML has libyaml
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_ALL_SQUARE = bytes.maketrans(b"{}", b"[]")
_BIDIRECTIONAL = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029")


def name_of(path: Path) -> str:
    """The last two parts of a path for a message, without what could break a line or a terminal."""
    return "/".join(repr(part)[1:-1] for part in path.parts[-2:])


class FileError(ValueError):
    """The system could not open, read or write a file: a full disk, rights. It says nothing on what is in it."""


def read_bytes(path: Path, limit: int, *, within: Path | None = None) -> bytes:
    """The bytes of a regular file of at most ``limit`` bytes.

    With ``within``, the file must lie in that folder and be reached through no symbolic link below it.
    Raises ValueError if it is no regular file, is too large or lies outside, FileError if it cannot be read.
    """
    if within is not None:
        refuse_links(path, within)
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > limit:
                raise ValueError(f"{name_of(path)}: holds {size:,} bytes, at most {limit:,} are read")
            content = file.read(size + 1)
            if len(content) > size:  # it grows while it is read
                content += file.read(limit + 1 - len(content))
    except OSError as error:  # of a disk that fails, or a network that is gone
        raise FileError(f"{name_of(path)}: cannot be read ({(error.strerror or 'unknown reason').lower()})") from None
    if len(content) > limit:
        raise ValueError(f"{name_of(path)}: grew beyond {limit:,} bytes while it was read")
    return content


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file to read; a pipe, a device or a folder of that name is a ValueError, at once."""
    try:
        # O_NONBLOCK: opening a pipe that nobody writes to would wait for ever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a valid name"
        if isinstance(error, FileNotFoundError):
            below = sorted(repr(one.parent.name)[1:-1] for one in islice(path.parent.glob(f"*/{path.name}"), 3))
            if path.with_name(f"{path.name}.dvc").is_file():
                reason = f"only {path.name}.dvc is here, a link of DVC: run dvc pull"
            elif below:
                reason = f"the folders in it hold one each: give one of {', '.join(below)}"
        raise FileError(f"{name_of(path)}: cannot be read ({reason[:1].lower() + reason[1:]})") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError(f"{name_of(path)}: is not a regular file")
    return os.fdopen(descriptor, "rb")


def refuse_links(path: Path, folder: Path) -> None:
    """Raise ValueError unless ``path`` lies in ``folder``, and no part below ``folder`` is a symbolic link."""
    try:
        below = path.relative_to(folder)
    except ValueError:
        raise ValueError(f"{name_of(path)}: lies outside of {name_of(folder)}") from None
    if ".." in below.parts:
        raise ValueError(f"{name_of(path)}: a name with '..' is not followed")
    current = str(folder)
    for part in below.parts:
        current = os.path.join(current, part)  # noqa: PTH118 for each of many files: a Path of each part takes thrice as long
        if os.path.islink(current):  # noqa: PTH114
            raise ValueError(f"{name_of(path)}: is or lies behind a symbolic link, which is not followed")


def read_json(path: Path, limits: Limits = RESULT, *, within: Path | None = None) -> Any:
    """The JSON document in a file, read strictly (see ``parse_json`` and ``read_bytes`` for what raises ValueError)."""
    return parse_json(read_bytes(path, limits.size, within=within), limits, name_of(path))


def parse_json(content: bytes, limits: Limits = RESULT, name: str = "document") -> Any:
    """Parse UTF-8 JSON strictly.

    Raises ValueError for another encoding, a byte order mark, truncation, NaN or Infinity, numbers that no double
    holds, duplicate keys, control or text-direction characters in strings, and anything beyond ``limits``.
    """
    text = _decode(content, limits, name)
    plain, outside = _refuse_structure(text, limits, name)
    document = fast_json.loads(text, outside) if plain else None
    if document is not None:
        return document
    try:
        document = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_parse_float,
            parse_int=_parse_int,
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"{name}: is not JSON: {error.msg} at line {error.lineno} column {error.colno}") from None
    except RecursionError:
        raise ValueError(f"{name}: is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if not plain:
        _refuse_strings(document, limits, name)
    return document


def read_yaml(path: Path, limits: Limits = RULES) -> Any:
    """The YAML document in a file: plain values only.

    Raises ValueError for tags, anchors and aliases, duplicate or non-string keys, several documents, dates, NaN,
    and size.
    """
    name = name_of(path)
    text = _decode(read_bytes(path, limits.size), limits, name)
    try:
        depth = values = 0
        for token in yaml.scan(text, Loader=_Loader):
            if isinstance(token, (yaml.TagToken, yaml.AnchorToken, yaml.AliasToken)):
                kind = type(token).__name__.removesuffix("Token").lower()
                raise ValueError(f"{name}: a YAML {kind} at line {token.start_mark.line + 1}; write plain values only")
            opens = (yaml.BlockMappingStartToken, yaml.BlockSequenceStartToken, yaml.FlowMappingStartToken)
            if isinstance(token, (*opens, yaml.FlowSequenceStartToken)):
                depth += 1
            elif isinstance(token, (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)):
                depth -= 1
            elif isinstance(token, (yaml.ScalarToken, yaml.BlockEntryToken)):
                values += 1
            if depth > limits.depth or values > limits.values:
                raise ValueError(f"{name}: is nested too deeply or holds too many values")
        loader = _PlainLoader(text)
        try:
            document = loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}" if mark else ""
        raise ValueError(f"{name}: is not YAML: {getattr(error, 'problem', None) or 'cannot be read'}{place}") from None
    except RecursionError:
        raise ValueError(f"{name}: is nested too deeply") from None
    _refuse_strings(document, limits, name)
    return document


def write_json(path: Path, document: Any, *, typed: bool = False) -> None:
    """Write ``document`` as indented UTF-8 JSON, as ``write_text`` does; it appears whole or not at all."""
    write_text(path, json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n", typed=typed)


def write_text(path: Path, text: str, *, typed: bool = False) -> None:
    """Write ``text`` as UTF-8; it appears by rename, whole or not at all. Raises FileError, a ValueError.

    ``typed``: the user has named the file, which may then be a device or a pipe (/dev/null, /dev/stdout).
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        if scratch.special(path):
            if not typed:
                raise ValueError(f"{name_of(path)}: is a device or a pipe, and is left alone; expected a file")
            with path.open("w", encoding="utf-8", newline="\n") as file:
                file.write(text)
            return
        scratch.sweep_file(path, "tmp")
        temporary.unlink(missing_ok=True)  # and never through a link that somebody left there
        with temporary.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise FileError(
            f"{name_of(path)}: cannot be written ({(error.strerror or 'unknown reason').lower()})"
        ) from None


def _decode(content: bytes, limits: Limits, name: str) -> str:
    if len(content) > limits.size:
        raise ValueError(f"{name}: holds {len(content):,} bytes, at most {limits.size:,} are read")
    if not content.strip():
        raise ValueError(f"{name}: is empty")
    if content.startswith(LFS_POINTER):
        raise ValueError(f"{name}: is a Git LFS pointer, not the file: run git lfs pull")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{name}: is not UTF-8 (byte {error.start})") from None
    if text.startswith("\ufeff"):
        raise ValueError(f"{name}: starts with a byte order mark; write plain UTF-8")
    return text


def _refuse_structure(text: str, limits: Limits, name: str) -> tuple[bool, str]:
    """Bound nesting and the number of values before the parser builds anything.

    Returns whether the strings are seen to be short printable ASCII already, so that nobody need look at each of them,
    and the text without its strings.
    """
    # One letter for each escaped backslash or quotation mark: every mark that is left begins or ends a string. Whole
    # passes over the text in C; a pattern for strings would keep a mark for each of their characters.
    marked = text.replace("\\\\", "x").replace('\\"', "x") if "\\" in text else text
    parts = marked.split('"')
    outside = "".join(parts[::2])
    if _nested_more(outside.encode().translate(_ALL_SQUARE, _NO_BRACKETS), limits.depth):
        raise ValueError(f"{name}: is nested more than {limits.depth} levels deep")
    if outside.count(",") + outside.count("[") + outside.count("{") > limits.values:
        raise ValueError(f"{name}: holds more than {limits.values:,} values")
    # Raw control characters below U+0020 are refused by the parser.
    plain = text.isascii() and "\\" not in marked and "\x7f" not in text
    return plain and not _stretches(marked, limits.string), outside


def _stretches(marked: str, most: int) -> bool:
    """Whether more than ``most`` characters stand between two quotation marks anywhere, in a string or outside."""
    at = -1
    while len(marked) - at > most + 1:
        at = marked.rfind('"', at + 1, at + most + 2)  # the last mark that lies near enough
        if at < 0:
            return True
    return False


def _nested_more(brackets: bytes, most: int) -> bool:
    """Whether brackets, all written [ and ], open more than ``most`` levels anywhere."""
    left = brackets
    for _ in range(most):
        left = left.replace(b"[]", b"")  # takes out the innermost level of whatever is closed
        if not left:
            return False
    depth = 0
    for bracket in brackets:  # too deep, or not closed as it should be: the parser will say so
        depth += 1 if bracket == 91 else -1
        if depth > most:
            return True
    return False


def _refuse_strings(value: Any, limits: Limits, name: str) -> None:
    """Refuse strings that are too long, or that could break a line, a terminal or the direction of a page."""
    if isinstance(value, str):
        if len(value) > limits.string:
            raise ValueError(f"{name}: a string of {len(value):,} characters, at most {limits.string:,} are read")
        if value.isascii() and value.isprintable():
            return
        for character in value:
            if limits.prose and unicodedata.category(character) != "Cs":
                continue
            # Cc control characters, Cs lone surrogates; the rest of Unicode is text.
            if unicodedata.category(character) in ("Cc", "Cs") or character in _BIDIRECTIONAL:
                raise ValueError(f"{name}: a string holds the character U+{ord(character):04X}, which is not text")
    elif isinstance(value, dict):
        for key, item in value.items():
            _refuse_strings(key, limits, name)
            _refuse_strings(item, limits, name)
    elif isinstance(value, list):
        for item in value:
            _refuse_strings(item, limits, name)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"the key {key[:80]!r} appears twice in one object")
            seen.add(key)
    return result


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not a JSON number")


def _parse_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:40]} is too large")
    return number


def _parse_int(text: str) -> int:
    if len(text) < 16:
        return int(text)
    if len(text) > 17 or abs(int(text)) > LARGEST_INTEGER:
        raise ValueError(f"the integer {text[:40]} is beyond 2^53 - 1")
    return int(text)


class _PlainLoader(_Loader):
    """SafeLoader for strings, numbers, booleans, null, lists and mappings with unique string keys; nothing else."""


def _plain_mapping(loader: _PlainLoader, node: yaml.MappingNode) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key!r:.80} is not a string", key_node.start_mark
            )
        if key in mapping:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key!r:.80} appears twice", key_node.start_mark
            )
        mapping[key] = loader.construct_object(value_node, deep=True)
    return mapping


def _plain_float(loader: _PlainLoader, node: yaml.ScalarNode) -> float:
    number = loader.construct_yaml_float(node)
    if not math.isfinite(number):
        raise yaml.constructor.ConstructorError(None, None, "NaN and infinity are not numbers here", node.start_mark)
    return number


def _plain_int(loader: _PlainLoader, node: yaml.ScalarNode) -> int:
    # The length first: converting a million digits takes for ever.
    if len(node.value) > 20 or abs(number := int(loader.construct_yaml_int(node))) > LARGEST_INTEGER:
        raise yaml.constructor.ConstructorError(None, None, "an integer beyond 2^53 - 1", node.start_mark)
    return number


def _refuse_date(loader: _PlainLoader, node: yaml.ScalarNode) -> Any:
    raise yaml.constructor.ConstructorError(None, None, "a bare date; put it in quotes", node.start_mark)


_PlainLoader.add_constructor("tag:yaml.org,2002:map", _plain_mapping)
_PlainLoader.add_constructor("tag:yaml.org,2002:float", _plain_float)
_PlainLoader.add_constructor("tag:yaml.org,2002:int", _plain_int)
_PlainLoader.add_constructor("tag:yaml.org,2002:timestamp", _refuse_date)
