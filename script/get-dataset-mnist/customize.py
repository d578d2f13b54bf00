"""Sets CM_IE_DATA_MNIST to the folder of the verified files (see ie_model/fetch.py)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "detect-ie-device"))
import ie_recipe


def predeps(i):
    return ie_recipe.check(i)


def preprocess(i):
    env = i["env"]
    data = ie_recipe.data(env)
    try:
        report = (lambda line: None) if ie_recipe.quiet(env) else None
        fetch = ie_recipe.ie_model("fetch")
        folder = fetch.ensure("mnist", data, report=report)
    except ValueError as error:
        return {"return": 1 if data is None else 2, "error": ie_recipe.one_line(error)}
    except (KeyboardInterrupt, SystemExit) as stop:
        code = 130 if isinstance(stop, KeyboardInterrupt) else stop.code
        return {"return": code, "error": "interrupted; whole files stay in the cache, run again to go on"}
    env["CM_IE_DATA_MNIST"] = str(folder)
    return {"return": 0}
