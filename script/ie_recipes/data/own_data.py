"""The recipe `own-data`: how a user's own pictures are read, and what was counted in them."""

from collections.abc import Mapping
from typing import Any

TAG = "own-data"
CHALLENGE = "own-data"  # no claim of the paper is about them
READ = ("own_channels", "own_side")  # settings that are typed; the others are counted


def settings(env: Mapping[str, Any], found: Any) -> dict[str, Any]:
    """The own_* settings of a configuration, from CM's env and what was found in the data."""
    channels = 3 if env.get("CM_IE_COLOUR") == "yes" else 1
    return {"own_channels": channels, "own_side": int(env.get("CM_IE_SIDE") or 28), **found.counts()}


def variations(own: Mapping[str, Any]) -> list[str]:
    """The variations that say how the pictures are read, where they are not grey and 28 pixels wide."""
    colour = ["_colour"] if own.get("own_channels") == 3 else []
    return colour + (["_32px"] if own.get("own_side") == 32 else [])
