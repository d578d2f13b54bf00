"""Checks the flags, then runs `ie-crowd submit` as one child process; its exit code is the recipe's."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import submit_request

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "evaluate-ie-repr"))
import request

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "run-ie-repr"))
import child

ENDS = {
    1: "nothing was published; the reason is above",
    2: "nothing could be published; the reason is above",
    130: "interrupted; the same command goes on",
}


def predeps(i):
    try:
        if not i["input"].get("recursion"):
            submit_request.check_names(i["input"])
            i["input"].pop("json", None)  # CM's own --json would print its state beside the outcome
        submit_request.arguments(i["env"])
    except ValueError as error:
        return {"return": 2, "error": str(error)}
    return {"return": 0}


def preprocess(i):
    if line := request.missing():
        return {"return": 2, "error": line}
    argv = request.command("submit", *submit_request.arguments(i["env"]))
    code = child.run(argv, cwd=Path(i["env"]["CM_TMP_CURRENT_PATH"]), env=request.child_env())
    if code == 0:
        return {"return": 0}
    return {"return": code, "error": ENDS.get(code, f"it could not be done (exit code {code}); the reason is above")}
