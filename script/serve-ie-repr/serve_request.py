"""From CM's raw flags to the arguments of `ie-crowd serve` or `site`, which know what their values may be."""

import difflib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "run-ie-repr"))
import flags

FOLDERS = ("ingest", "challenge", "outdir")  # seen from where cm was started; a store may be a URL
VALUES = ("port", "host", "store", "base_url", *FOLDERS)
OF_FILES, OF_SERVER = ("outdir",), ("port", "host")
KEY = "CM_IE_SERVE_"
OUT = "ie-repr-site"  # where _static writes if nobody says otherwise


def check_names(raw: Mapping[str, Any]) -> None:
    """Raise ValueError for flags that the recipe does not have, flags without a value, and stray words."""
    if words := [str(word) for word in raw.get("artifacts", [])]:
        raise ValueError(f"{words[0]!r} is one word too many: values stand behind '=' (--port=8080)")
    for key, value in raw.items():
        typed = "--" + str(key).replace("_", "-")
        if key in VALUES and (isinstance(value, (bool, list, dict)) or not str(value) or "\0" in str(value)):
            raise ValueError(f"{typed}: the value is missing, write {typed}=VALUE")
        if key not in VALUES and key not in flags.CM_KEYS and key != "quiet":
            near = difflib.get_close_matches(str(key), VALUES, n=1, cutoff=0.5)
            hint = f"did you mean --{near[0].replace('_', '-')}? " if near else ""
            valid = ", ".join("--" + name.replace("_", "-") for name in (*VALUES, "quiet"))
            raise ValueError(f"unknown flag {typed}: {hint}valid are {valid}")


def arguments(env: Mapping[str, Any]) -> list[str]:
    """The command and its arguments. Raises ValueError for a flag that the other way of serving has."""
    here = Path(env.get("CM_TMP_CURRENT_PATH") or Path.cwd())
    given = {key: str(env[KEY + key.upper()]) for key in VALUES if str(env.get(KEY + key.upper(), ""))}
    static = env.get("CM_IE_SERVE_STATIC") == "yes"
    for key in OF_SERVER if static else OF_FILES:
        if key in given:
            what = "of a server; _static writes files" if static else "for _static, which writes files"
            raise ValueError(f"--{key} is {what}")
    for key in FOLDERS:
        if key in given:
            given[key] = str(here / Path(given[key]).expanduser())
    if "store" in given and "://" not in given["store"]:
        given["store"] = str(here / Path(given["store"]).expanduser())
    if static:
        given["out"] = given.pop("outdir", str(here / OUT))
    values = [f"--{key.replace('_', '-')}={value}" for key, value in given.items()]
    quiet = ["--quiet"] if str(env.get("CM_IE_QUIET", "")) not in ("", "False", "no") else []
    return ["site" if static else "serve", *values, *quiet]
