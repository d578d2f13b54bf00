"""From CM's raw flags to the arguments of `ie-crowd check`, which knows what their values may be."""

import difflib
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "run-ie-repr"))
import flags
import own_code

FOLDERS = ("result", "data", "against", "html")  # seen from where cm was started
VALUES = (*FOLDERS, "depth", "device", "runs", "groups", "fail_on")
SWITCHES = ("json", "markdown", "all")
NEEDED = ("yaml", "jsonschema", "rich", "jinja2", "psutil", "scipy")  # by ie_crowd; torch by none of it


def check_names(raw: Mapping[str, Any]) -> None:
    """Raise ValueError for flags that the recipe does not have, flags without a value, and stray words."""
    if words := [str(word) for word in raw.get("artifacts", [])]:
        raise ValueError(f"{words[0]!r} is one word too many: values stand behind '=' (--result=FOLDER)")
    for key, value in raw.items():
        typed = "--" + str(key).replace("_", "-")
        if key in VALUES and (isinstance(value, (bool, list, dict)) or not str(value) or "\0" in str(value)):
            raise ValueError(f"{typed}: the value is missing, write {typed}=VALUE")
        if key in SWITCHES and value is not True:
            raise ValueError(f"{typed}={value!r:.80}: takes no value, write just {typed}")
        if key not in (*VALUES, *SWITCHES) and key not in flags.CM_KEYS and key != "quiet":
            near = difflib.get_close_matches(str(key), (*VALUES, *SWITCHES), n=1, cutoff=0.5)
            hint = f"did you mean --{near[0].replace('_', '-')}? " if near else ""
            valid = ", ".join("--" + name.replace("_", "-") for name in (*VALUES, *SWITCHES))
            raise ValueError(f"unknown flag {typed}: {hint}valid are {valid}")


def arguments(env: Mapping[str, Any]) -> list[str]:
    """The arguments of `ie_crowd check`. Raises ValueError without --result or for a depth that there is not."""
    here = Path(env.get("CM_TMP_CURRENT_PATH") or Path.cwd())
    given = {key: env["CM_IE_EVALUATE_" + key.upper()] for key in (*VALUES, *SWITCHES) if _given(env, key)}
    if "result" not in given:
        raise ValueError("--result=FOLDER is missing: expected a results folder, which holds result.json")
    if str(given.get("depth", "hashes")) not in ("hashes", "metrics", "rerun"):
        raise ValueError(f"--depth={given['depth']}: expected hashes, metrics or rerun")
    for key in FOLDERS:
        if key in given:
            given[key] = str(here / Path(str(given[key])).expanduser())
    values = [f"--{key.replace('_', '-')}={given[key]}" for key in VALUES if key in given and key != "result"]
    return [*values, *(f"--{key}" for key in SWITCHES if key in given), "--", given["result"]]


def _given(env: Mapping[str, Any], key: str) -> bool:
    return str(env.get("CM_IE_EVALUATE_" + key.upper(), "")) not in ("", "False", "no")


def missing() -> str:
    """One line that says what the interpreter that runs cm lacks, and what to do; nothing if it lacks nothing."""
    lacking = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    return f'{lacking[0]} is not installed here: run `cm run script "get ie-deps"` first' if lacking else ""


def child_env() -> dict[str, str]:
    """This process's environment; from a checkout with its two import folders in front."""
    root = flags.root()
    return own_code.child_environment([str(root), str(root / "cm-repo")] if root else [])


def command(*words: str) -> list[str]:
    """The argument list that starts ie_crowd: this checkout's, else the installed one."""
    root = flags.root()
    own_code.load([str(root), str(root / "cm-repo")] if root else [])
    return own_code.command("ie_crowd", child_env(), *words)
