"""A command-line flag for every setting of ``config.Config``."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import re
from collections.abc import Callable
from typing import Any

from ie_model.config import Config
from ie_model.device import detect


def add(parser: argparse.ArgumentParser) -> None:
    """Add them to ``parser``; a flag that is not given stays None, for the defaults of the task to count."""
    group = parser.add_argument_group("settings (defaults are for semi-supervised MNIST with 100 labels)")
    for spec in (one for one in dataclasses.fields(Config) if not one.metadata["counted"]):
        flag = "--" + spec.name.replace("_", "-")
        unit = f", in {spec.metadata['unit']}" if spec.metadata["unit"] else ""
        if spec.type == "bool":
            action = argparse.BooleanOptionalAction if spec.default else "store_true"
            group.add_argument(flag, action=action, default=None, help=spec.metadata["about"])
        elif spec.name == "device":
            group.add_argument(flag, choices=detect.REQUESTS, default="auto", help="what to compute on (default: auto)")
        else:
            # Percent signs would be read as formats.
            about = f"{spec.metadata['about']}{unit} (default: {spec.default})".replace("%", "%%")
            group.add_argument(flag, type=_reader(str(spec.type)), metavar=str(spec.type).upper()[:5], help=about)
    group.add_argument("--open", dest="recipe", action="store_const", const="open", help="the same as --recipe=open")


def _reader(kind: str) -> Callable[[str], Any]:
    """Text from the command line to a value; what is no number stays text, for Config to refuse by name."""

    def read(text: str) -> Any:
        if "int" in kind and re.fullmatch(r"[+-]?\d+", text):
            return int(text)
        if kind == "float":
            with contextlib.suppress(ValueError):
                return float(text)
        return text

    return read
