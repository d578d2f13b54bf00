"""Sets CM_IE_DEVICE and what is known of it; says the reason."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def predeps(i):
    from ie_recipes import own_code, setup

    return own_code.refuse_another() or setup.check(i)


def preprocess(i):
    from ie_recipes import setup

    env = i["env"]
    try:
        setup.set_device(env, setup.request(env))
        if not setup.quiet(env):
            name = env["CM_IE_DEVICE_NAME"]
            found = f"{env['CM_IE_DEVICE']}{f' ({name})' if name else ''}"
            return setup.say(i, f"device: {found}: {env['CM_IE_DEVICE_REASON']}")
    except ValueError as error:
        return {"return": 2, "error": setup.one_line(error)}
    except KeyboardInterrupt:
        return {"return": 130, "error": "interrupted while looking for a device"}
    return {"return": 0}
