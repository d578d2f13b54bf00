"""What detect-ie-device, get-ie-deps and get-dataset-* share: their flags, ie_model, and the device's keys."""

import importlib
import os
import sys
from pathlib import Path
from typing import Any

from ie_recipes import bridge, front_end, own_code

SWITCHES = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False, "": False}


def check(i: dict[str, Any]) -> dict[str, Any]:
    """For `predeps(i)`: refuses flags that the recipe does not have. Only the recipe that was called sees them."""
    raw, own = i["input"], i["meta"].get("input_mapping", {})
    try:
        if not raw.get("recursion"):
            bridge.refuse_words(raw, "--device=cpu")
            for key, value in raw.items():
                if key in own and key not in ("quiet", "allow_system_python") and (value is True or not str(value)):
                    raise ValueError(f"{bridge.typed(key)}: the value is missing, write {bridge.typed(key)}=VALUE")
            bridge.refuse_unknown(raw, own)
    except ValueError as error:
        return {"return": 2, "error": str(error)}
    return {"return": 0}


def one_line(error: object) -> str:
    """The text of an error as one line."""
    return str(error).replace("\n", "\\n")


def say(i: dict[str, Any], line: str) -> dict[str, Any]:
    """Print a line in cm's own process; returns CM's answer, an error only where the line is all that was asked."""
    try:
        print(line, file=sys.stderr if front_end.OUT in i["env"] else sys.stdout, flush=True)
    except OSError as error:
        _drop_buffered_output()
        if not i["input"].get("recursion"):
            code = 141 if isinstance(error, BrokenPipeError) else 74
            return {"return": code, "error": f"standard output cannot be written ({error.strerror})"}
    return {"return": 0}


def _drop_buffered_output() -> None:
    """Empty the buffer of standard output, which would fail once more when the interpreter ends."""
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    sys.stdout.flush()
    os.dup2(kept, 1)
    os.close(nowhere)
    os.close(kept)


def switch(env: dict[str, Any], key: str) -> bool:
    """A yes or no in CM's env, absent meaning no; ValueError for anything else."""
    value = str(env.get(key, "")).lower()
    if value not in SWITCHES:
        raise ValueError(f"{key}={env[key]}: expected yes or no")
    return SWITCHES[value]


def quiet(env: dict[str, Any]) -> bool:
    """Whether --quiet was given, to this recipe or to CM."""
    return switch(env, "CM_IE_QUIET") or switch(env, "CM_QUIET")


def data(env: dict[str, Any]) -> Path | None:
    """The folder given by --data, seen from where cm was started; None if there is none."""
    given = env.get("CM_IE_DATA")
    return Path(env.get("CM_TMP_CURRENT_PATH") or ".") / Path(str(given)).expanduser() if given else None


def ie_model(module: str) -> Any:
    """A module of ie_model that needs the standard library only: this checkout's, else the installed package's."""
    own_code.load(own_code.checkout())
    importlib.invalidate_caches()  # packages may have been installed since this process began
    return importlib.import_module(f"ie_model.{module}")


def dataset(env: dict[str, Any], name: str) -> dict[str, Any]:
    """For `preprocess(i)`: CM_IE_DATA_<NAME> becomes the folder of the verified files (ie_model/data/fetch.py).

    CM_IE_DATA_<NAME>_DOWNLOADED becomes the bytes that it took over the network, 0 when the files were there.
    """
    folder = data(env)
    try:
        report = (lambda line: None) if quiet(env) else None
        found = ie_model("data.fetch").obtain(name, folder, report=report)
    except ValueError as error:
        return {"return": 1 if folder is None else 2, "error": one_line(error)}
    except (KeyboardInterrupt, SystemExit) as stop:
        code = 130 if isinstance(stop, KeyboardInterrupt) else stop.code
        return {"return": code, "error": "interrupted; whole files stay in the cache, run again to go on"}
    key = "CM_IE_DATA_" + name.upper().replace("-", "_")
    env[key], env[f"{key}_DOWNLOADED"] = str(found.path), str(found.downloaded_bytes)
    return {"return": 0}


def request(env: dict[str, Any]) -> str:
    """The device asked for: --device, else the variation's; ValueError when both are there and differ."""
    flag, variation = env.get("CM_IE_DEVICE_REQUEST"), env.get("CM_IE_DEVICE_VARIATION") or "auto"
    if flag and variation != "auto" and str(flag) != variation:
        raise ValueError(f"--device={flag} contradicts the variation _{variation}: leave one of them out")
    return str(flag or variation)


def device(i: dict[str, Any]) -> dict[str, Any]:
    """For `preprocess(i)` of detect-ie-device: find the device and say why it is that one."""
    env = i["env"]
    try:
        set_device(env, request(env))
        if not quiet(env):
            name = env["CM_IE_DEVICE_NAME"]
            found = f"{env['CM_IE_DEVICE']}{f' ({name})' if name else ''}"
            return say(i, f"device: {found}: {env['CM_IE_DEVICE_REASON']}")
    except ValueError as error:
        return {"return": 2, "error": one_line(error)}
    except KeyboardInterrupt:
        return {"return": 130, "error": "interrupted while looking for a device"}
    return {"return": 0}


def set_device(env: dict[str, Any], asked: str) -> None:
    """Finds the device and writes CM_IE_DEVICE and its facts into CM's env, "" for what is not known."""
    found = ie_model("device.detect").detect(asked)
    env["CM_IE_DEVICE"] = found.kind
    for key in ("name", "memory_bytes", "driver", "capability", "count", "reason"):
        value = getattr(found, key)
        env[f"CM_IE_DEVICE_{key.upper()}"] = "" if value is None else str(value)
