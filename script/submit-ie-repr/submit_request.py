"""From CM's raw flags to the arguments of `ie-crowd submit`, which knows what their values may be."""

import difflib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "run-ie-repr"))
import flags

FOLDERS = ("result", "to", "resume", "token_file")  # seen from where cm was started
VALUES = (*FOLDERS, "server", "submitter")
SWITCHES = ("weights", "show", "dry_run", "yes", "json")
KEY = "CM_IE_SUBMIT_"


def check_names(raw: Mapping[str, Any]) -> None:
    """Raise ValueError for flags that the recipe does not have, flags without a value, and stray words."""
    if "token" in raw:  # and its value is not repeated
        raise ValueError(
            "--token: a token on the command line is seen by everybody on this machine and stays in the shell's "
            "history; use --token_file=FILE or the variable IE_CROWD_TOKEN"
        )
    if words := [str(word) for word in raw.get("artifacts", [])]:
        raise ValueError(f"{words[0]!r} is one word too many: values stand behind '=' (--result=FOLDER)")
    for key, value in raw.items():
        typed = "--" + str(key).replace("_", "-")
        wrong = isinstance(value, (bool, list, dict)) or "\0" in str(value)
        if key in VALUES and (wrong or (not str(value) and key != "submitter")):  # --submitter= is nobody
            raise ValueError(f"{typed}: the value is missing, write {typed}=VALUE")
        if key in SWITCHES and value is not True:
            raise ValueError(f"{typed}={value!r:.80}: takes no value, write just {typed}")
        if key not in (*VALUES, *SWITCHES) and key not in flags.CM_KEYS and key != "quiet":
            near = difflib.get_close_matches(str(key), (*VALUES, *SWITCHES), n=1, cutoff=0.5)
            hint = f"did you mean --{near[0].replace('_', '-')}? " if near else ""
            valid = ", ".join("--" + name.replace("_", "-") for name in (*VALUES, *SWITCHES))
            raise ValueError(f"unknown flag {typed}: {hint}valid are {valid}")


def arguments(env: Mapping[str, Any]) -> list[str]:
    """The arguments of `ie_crowd submit`. Raises ValueError where it is not said what to publish."""
    here = Path(env.get("CM_TMP_CURRENT_PATH") or Path.cwd())
    given = {key: env[KEY + key.upper()] for key in (*VALUES, *SWITCHES) if KEY + key.upper() in env}
    given = {key: value for key, value in given.items() if str(value) not in ("False", "no")}
    if "result" not in given and "resume" not in given:
        raise ValueError("--result=FOLDER is missing: expected a results folder, which holds result.json")
    for key in FOLDERS:
        if key in given:
            given[key] = str(here / Path(str(given[key])).expanduser())
    values = [f"--{key.replace('_', '-')}={given[key]}" for key in VALUES if key in given and key != "result"]
    switches = [f"--{key.replace('_', '-')}" for key in SWITCHES if key in given]
    return [*values, *switches, *(("--", given["result"]) if "result" in given else ())]
