"""Checks the flags, then runs `ie-crowd check` as one child process; its exit code is the recipe's."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import request

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "run-ie-repr"))
import child

ENDS = {
    1: "the check found what --fail-on names (by default: something failed); the verdict is above",
    2: "nothing could be checked; the reason is above",
    130: "interrupted; nothing was written",
}


def predeps(i):
    try:
        if not i["input"].get("recursion"):
            request.check_names(i["input"])
            i["input"].pop("json", None)  # CM's own --json would print its state beside the verdict
        request.arguments(i["env"])
    except ValueError as error:
        return {"return": 2, "error": str(error)}
    return {"return": 0}


def preprocess(i):
    if line := request.missing():
        return {"return": 2, "error": line}
    argv = request.command("check", *request.arguments(i["env"]))
    code = child.run(argv, cwd=Path(i["env"]["CM_TMP_CURRENT_PATH"]), env=request.child_env())
    if code == 0:
        return {"return": 0}
    return {
        "return": code,
        "error": ENDS.get(code, f"the check could not be done (exit code {code}); the reason is above"),
    }
