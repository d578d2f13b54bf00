"""What started a recipe, CM or mlcflow (MLCommons' successor of CM): the two differ in names, answers and exit codes.

Every function of a customize.py goes through `predeps` or `preprocess`, so that the rest of this package sees one form
of env, whichever of the two it is. mlcflow exits with 1 and a report of eight lines whatever a recipe answers: on its
command line a recipe that fails says its line itself and ends the process with its own exit code.
"""

import sys
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any

from ie_recipes import own_code
from ie_recipes.run import processes

CM, MLCFLOW = "cm", "mlcflow"
# CM_… and MLC_… are the same. Not QUIET, which mlcflow sets wherever there is no terminal: --quiet comes as CM_IE_QUIET
NAMES = ("TMP_CURRENT_PATH", "TMP_FAKE_RUN")
OUT = processes.OUT  # the same key in CM's env
Work = Callable[[dict[str, Any]], dict[str, Any]]


def predeps(i: dict[str, Any], check: Work) -> dict[str, Any]:
    """For a recipe's `predeps(i)`: refuse the recipe of another copy, then what ``check`` refuses."""
    _adapt(i)
    return _answer(i, own_code.refuse_another(name=of(i["env"])) or check(i))


def preprocess(i: dict[str, Any], work: Work) -> dict[str, Any]:
    """For a recipe's `preprocess(i)`: do its work."""
    _adapt(i)
    return _answer(i, work(i))


def of(env: Mapping[str, Any]) -> str:
    """The front end whose env this is: CM or MLCFLOW."""
    return MLCFLOW if "MLC_TMP_CURRENT_PATH" in env else CM


def command(front_end: str, tags: str, *flags: str) -> list[str]:
    """What is typed there to run the recipe that has these tags, which are separated by spaces."""
    if front_end == MLCFLOW:
        return ["mlcr", tags.replace(" ", ","), *flags]
    return ["cm", "run", "script", tags, *flags]


def hint(env: Mapping[str, Any], tags: str) -> str:
    """The same as a line to read."""
    return f"mlcr {tags.replace(' ', ',')}" if of(env) == MLCFLOW else f'cm run script "{tags}"'


def version(front_end: str) -> str | None:
    """Its version, behind its name where that is not CM's; None where it is not installed as a package."""
    distribution, prefix = ("mlcflow", "mlcflow-") if front_end == MLCFLOW else ("cmind", "")
    try:
        return prefix + metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def child_environment(env: Mapping[str, Any]) -> dict[str, str]:
    """The environment of a program of this project that a recipe with this env starts (`processes.run`)."""
    made = own_code.child_environment(own_code.checkout())
    return {**made, processes.OUT: "stderr"} if OUT in env else made


def _wants_data(i: dict[str, Any]) -> bool:
    """Whether standard output is to hold what CM or mlcflow returns, as JSON, and nothing else."""
    raw, own = i.get("input", {}), i.get("meta", {}).get("input_mapping", {})
    return raw.get("out") == "json" or any(raw.get(key) and key not in own for key in ("json", "j"))


def _adapt(i: dict[str, Any]) -> None:
    env = i["env"]
    for name in NAMES:
        if f"MLC_{name}" in env:
            env[f"CM_{name}"] = env[f"MLC_{name}"]
    for key in [key for key, value in env.items() if value is None]:  # mlcflow's way to say that nothing was said
        del env[key]
    if not i.get("input", {}).get("recursion") and _wants_data(i):
        env[OUT] = i["run_script_input"]["const"][OUT] = "stderr"


def _answer(i: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    typed = getattr(sys.modules.get("mlc.main"), "mlc_run_cmd", None)  # on its command line; not by its Python API
    if answer["return"] and typed and of(i["env"]) == MLCFLOW:
        sys.stdout.flush()
        print(f"ie-repr: error: {answer['error']}", file=sys.stderr, flush=True)
        raise SystemExit(answer["return"])
    return answer
