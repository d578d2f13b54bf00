"""Where a data set's files are: drawn, fetched, or a user's own pictures. Works before torch is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ie_model.config import Config
from ie_model.data import fetch
from ie_model.facts import own_data


def counted(settings: Mapping[str, Any], data: Path | None) -> dict[str, Any]:
    """The settings, with what is counted of a user's own pictures where they are asked about and nobody has counted."""
    if settings.get("dataset") == own_data.NAME and settings.get("own_classes") is None:
        return {**settings, **own_data.find(data).counts()}
    return dict(settings)


def folder(config: Config, data: Path | None, say: Callable[[str], None]) -> Path | None:
    """The verified files of the configuration's data set, fetched where they are missing; None where it is drawn.

    ``data``: a folder that the user gives. Raises ValueError, one line, where they cannot be had or are others.
    """
    if config.facts.known_factors:
        return None
    if config.dataset == own_data.NAME:
        from ie_model.data import own_pictures

        return own_pictures.prepare(data, config.facts, say)
    return fetch.ensure(config.dataset, data)
