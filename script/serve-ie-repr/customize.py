"""Checks the flags, then runs `ie-crowd serve` or `site` as one child process."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import serve_request

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "evaluate-ie-repr"))
import request

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "run-ie-repr"))
import child

ENDS = {
    1: "some pages could not be written; the lines above say which",
    2: "nothing was served; the reason is above",
}


def predeps(i):
    try:
        if not i["input"].get("recursion"):
            serve_request.check_names(i["input"])
        serve_request.arguments(i["env"])
    except ValueError as error:
        return {"return": 2, "error": str(error)}
    return {"return": 0}


def preprocess(i):
    if line := request.missing():
        return {"return": 2, "error": line}
    argv = request.command(*serve_request.arguments(i["env"]))
    code = child.run(argv, cwd=Path(i["env"]["CM_TMP_CURRENT_PATH"]), env=request.child_env())
    if code in (0, 130):  # Ctrl-C is how a server is ended
        return {"return": 0}
    return {"return": code, "error": ENDS.get(code, f"it could not be done (exit code {code}); the reason is above")}
