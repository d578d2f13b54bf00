"""Installs what is missing of requirements.txt (see install.py), then lets torch confirm the device."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "detect-ie-device")]
import ie_recipe  # noqa: E402
import install  # noqa: E402


def predeps(i):
    return ie_recipe.check(i)


def preprocess(i):
    env = i["env"]
    kind = env["CM_IE_DEVICE"]
    try:
        done = install.ensure(
            kind,
            site=ie_recipe.switch(env, "CM_IE_DEPS_SITE"),
            allow_system_python=ie_recipe.switch(env, "CM_IE_ALLOW_SYSTEM_PYTHON"),
            quiet=ie_recipe.quiet(env),
        )
        if done.code == 0 and done.changed and kind != "cpu":
            asked = env.get("CM_IE_DEVICE_REQUEST") or "auto"
            ie_recipe.set_device(env, asked)
            return ie_recipe.say(i, f"device: {env['CM_IE_DEVICE']}: {env['CM_IE_DEVICE_REASON']}")
    except ValueError as error:
        return {"return": 1, "error": ie_recipe.one_line(error)}
    except KeyboardInterrupt:
        return {"return": 130, "error": "interrupted; run again to go on"}
    if done.code:
        return {"return": done.code, "error": "the installation was interrupted; run again to go on"}
    return {"return": 0}
