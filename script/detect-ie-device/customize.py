"""Sets CM_IE_DEVICE and what is known of it; says the reason."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import ie_recipe


def predeps(i):
    return ie_recipe.check(i)


def preprocess(i):
    env = i["env"]
    try:
        ie_recipe.set_device(env, ie_recipe.request(env))
        if not ie_recipe.quiet(env):
            name = env["CM_IE_DEVICE_NAME"]
            found = f"{env['CM_IE_DEVICE']}{f' ({name})' if name else ''}"
            return ie_recipe.say(i, f"device: {found}: {env['CM_IE_DEVICE_REASON']}")
    except ValueError as error:
        return {"return": 2, "error": ie_recipe.one_line(error)}
    except KeyboardInterrupt:
        return {"return": 130, "error": "interrupted while looking for a device"}
    return {"return": 0}
