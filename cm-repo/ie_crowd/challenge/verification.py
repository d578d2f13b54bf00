"""How the local rules recompute or rerun a result, and fetch its data: the argv of a program, its time limit.

Nothing of it ever comes from an artifact. Values of an artifact's configuration may fill placeholders; they are
checked against the rules' types first (``rules.config``), and here for what an argument must not be.
"""

from __future__ import annotations

import re
import string
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ie_crowd.challenge.fields import Reader

KINDS = ("recompute", "rerun")
FETCH = "fetch"  # brings the files of a data set to where the other two look for them; the only one with a network
# What an argv may name. Of fetch: dataset, one of its datasets. Of the others:
# run: folder of the run, whose run.json the program leaves its metrics in; config: file of the run's configuration;
# data: folder that --data gave; device: --device, else the configuration's; challenge: folder of the rules.
PLACEHOLDERS = ("run", "config", "data", "seed", "label_seed", "device", "challenge")
OPTIONAL = ("data", "device")  # an argument that needs one which nobody gave is left out
_FIELD = re.compile(r"config\.[a-z0-9_.-]+")
_ALSO = {FETCH: " datasets"}
_VALUE = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.,+= -]{0,199}")


@dataclass(frozen=True)
class Recipe:
    """The argv, and the seconds that it may take for one run.

    ``python`` at the start of the argv is this interpreter; a script's own folder is not on its path.

    ``exact``: a rerun on a platform like the result's gives the same numbers, to the last digit. ``datasets``: those
    that a fetch can bring.
    """

    argv: tuple[str, ...]
    seconds: float
    exact: bool = False
    datasets: tuple[str, ...] = ()

    def fill(self, values: Mapping[str, str | None], config: Mapping[str, Any]) -> list[str]:
        """The argv for one run. Raises ValueError for a configuration value that cannot be an argument."""
        filled = []
        for argument in self.argv:
            names = _names(argument)
            if any(name in OPTIONAL and values.get(name) is None for name in names):
                continue
            # Piece by piece: what stands in a value is never a placeholder itself.
            pieces = string.Formatter().parse(argument)
            filled.append("".join(text + _value(name, values, config) for text, name, _, _ in pieces))
        if filled[:2] == ["python", "-m"]:
            return [sys.executable, "-P", str(Path(__file__).parents[1] / "run_module.py"), *filled[2:]]
        return [sys.executable, *filled[1:]] if filled[0] == "python" else filled


def _value(name: str | None, values: Mapping[str, str | None], config: Mapping[str, Any]) -> str:
    if name is None:
        return ""
    if not name.startswith("config."):
        return str(values[name])
    value = config[name.removeprefix("config.")]
    text = str(value).lower() if isinstance(value, bool) or value is None else str(value)
    negative = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not negative and not _VALUE.fullmatch(text):
        raise ValueError(f"/config/{name.removeprefix('config.')} is {text!r:.80}, which is no argument for a program")
    return text


def _names(argument: str) -> list[str]:
    return [name for _, name, _, _ in string.Formatter().parse(argument) if name is not None]


def parse(raw: Any, reader: Reader, config: Mapping[str, str]) -> dict[str, Recipe]:
    """The key ``verification`` of rules.yaml. Raises ValueError naming the place."""
    found = {}
    for kind, value in reader.mapping(raw, "verification").items():
        where = f"verification.{reader.one_of(kind, 'verification', (*KINDS, FETCH))}"
        reader.mapping(value, where, f"argv seconds{_ALSO.get(kind, '')}", "exact" if kind == "rerun" else "")
        argv = tuple(reader.text(part, f"{where}.argv") for part in reader.items(value["argv"], f"{where}.argv"))
        for argument in argv:
            _check_argument(argument, f"{where}.argv", reader, config, ("dataset",) if kind == FETCH else PLACEHOLDERS)
        if not argv:
            raise reader.fail(f"{where}.argv", [], "a program and its arguments")
        seconds = reader.number(value["seconds"], f"{where}.seconds")
        if not 0 < seconds <= 7 * 24 * 3600:
            raise reader.fail(f"{where}.seconds", seconds, "seconds, up to a week")
        if not isinstance(value.get("exact", False), bool):
            raise reader.fail(f"{where}.exact", value["exact"], "true or false")
        names = reader.items(value.get("datasets", []), f"{where}.datasets")
        for name in names:
            if not isinstance(name, str) or not _VALUE.fullmatch(name):
                raise reader.fail(f"{where}.datasets", name, "names of data sets")
        found[kind] = Recipe(argv, seconds, value.get("exact", False), tuple(names))
    return found


def _check_argument(
    argument: str, where: str, reader: Reader, config: Mapping[str, str], placeholders: tuple[str, ...]
) -> None:
    known = ", ".join("{" + name + "}" for name in placeholders)
    try:
        parts = list(string.Formatter().parse(argument))
    except ValueError:
        raise reader.fail(where, argument, f"placeholders like {known} or {{config.KEY}}") from None
    for _, name, form, conversion in parts:
        if name is None:
            continue
        field = placeholders is PLACEHOLDERS and bool(_FIELD.fullmatch(name)) and name.removeprefix("config.") in config
        if form or conversion or not (name in placeholders or field):
            raise reader.fail(where, argument, f"placeholders like {known} or {{config.KEY}}")
