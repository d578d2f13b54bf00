"""What the rules say about settings that are fixed for a rank, where the closed division leaves them free.

The number of CPU threads, say: sums round differently with another number, so that whoever tries several has several
results of one configuration to choose from. A check still allows them; a rank asks for the one that the policy names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ie_crowd.challenge import moments
from ie_crowd.challenge.fields import Reader, has_type

DIVISION = "closed"  # in the open one settings are free, and committed to


@dataclass(frozen=True)
class Fixed:
    """``config``: the values that are asked for. ``where``: of which configurations; none: all. ``since``: UTC."""

    config: Mapping[str, Any]
    where: Mapping[str, Any]
    since: str

    def asked(self, division: str) -> bool:
        """Whether a contest of that division asks for it."""
        return division == DIVISION

    @property
    def words(self) -> str:
        """What is asked for, as "threads 1, with device cpu"."""
        where = ", ".join(f"{key} {_shown(value)}" for key, value in self.where.items())
        return ", ".join(f"{key} {_shown(value)}" for key, value in self.config.items()) + (where and f", with {where}")

    def why(self, config: Mapping[str, Any]) -> str:
        """What has another value than the one that is asked for; "" where nothing has.

        A configuration that leaves a key of ``where`` out is meant, too: saying less is no way around.
        """
        if any(config.get(key, value) != value for key, value in self.where.items()):
            return ""
        where = ", ".join(f"{key} {_shown(value)}" for key, value in self.where.items())
        for key, value in self.config.items():
            if config.get(key) != value:
                got = _shown(config[key]) if key in config else "not said"
                return f"{key} is {got}, asked: {_shown(value)}" + (f" with {where}" if where else "")
        return ""


def _shown(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)[:40]


def parse(raw: Any, reader: Reader, config: Mapping[str, str]) -> Fixed | None:
    """The key ``evidence.fixed`` of rules.yaml; None where it is absent. Raises ValueError naming the place.

    ``config``: the type of each configuration key.
    """
    if raw is None:
        return None
    where = "evidence.fixed"
    value = reader.mapping(raw, where, "config since", "where")
    said = {}
    for name in ("config", "where"):
        said[name] = reader.mapping(value.get(name, {}), f"{where}.{name}")
        for key, wanted in said[name].items():
            if key not in config:
                raise reader.fail(f"{where}.{name}", key, f"a configuration key: {', '.join(config)}")
            if not has_type(wanted, config[key]):
                raise reader.fail(f"{where}.{name}.{key}", wanted, config[key])
    if not said["config"]:
        raise reader.fail(f"{where}.config", {}, "at least one configuration key and its value")
    return Fixed(said["config"], said["where"], moments.parse(value["since"], f"{where}.since", reader))
