"""Installs what is missing of requirements.txt (ie_recipes/install.py), then lets torch confirm the device."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def predeps(i):
    from ie_recipes import front_end, setup

    return front_end.predeps(i, setup.check)


def preprocess(i):
    from ie_recipes import front_end

    return front_end.preprocess(i, install)


def install(i):
    from ie_recipes import install, setup

    env = i["env"]
    kind = env["CM_IE_DEVICE"]
    try:
        done = install.ensure(
            kind,
            site=setup.switch(env, "CM_IE_DEPS_SITE"),
            sweep=setup.switch(env, "CM_IE_DEPS_SWEEP"),
            log=str(env.get("CM_IE_DEPS_LOG") or env.get("CM_IE_LOG") or ""),
            search=setup.switch(env, "CM_IE_DEPS_SEARCH"),
            allow_system_python=setup.switch(env, "CM_IE_ALLOW_SYSTEM_PYTHON"),
            quiet=setup.quiet(env),
            gpu=install.Gpu(env.get("CM_IE_DEVICE_DRIVER") or None, env.get("CM_IE_DEVICE_CAPABILITY") or None),
        )
        if done.code == 0 and done.changed and kind != "cpu":
            asked = env.get("CM_IE_DEVICE_REQUEST") or "auto"
            setup.set_device(env, asked)
            return setup.say(i, f"device: {env['CM_IE_DEVICE']}: {env['CM_IE_DEVICE_REASON']}")
    except ValueError as error:
        return {"return": 1, "error": setup.one_line(error)}
    except KeyboardInterrupt:
        return {"return": 130, "error": "interrupted; run again to go on"}
    if done.code:
        return {"return": done.code, "error": "the installation was interrupted; run again to go on"}
    return {"return": 0}
