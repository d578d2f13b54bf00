"""From CM's flags to the words of the sweep's command line, and back to CM's answer."""

import sys
from pathlib import Path
from typing import Any

from ie_recipes import bridge, flags, own_code
from ie_recipes.run import processes

WORDS = "CM_IE_SWEEP_WORDS"
NEEDS = "CM_IE_SWEEP_NEEDS"  # "cluster": many machines, which need dask.distributed; "search": Optuna
WORKER = "CM_IE_SWEEP_WORKER"  # "yes": this machine is to be one of them


def check(i: dict[str, Any]) -> dict[str, Any]:
    """For the recipe's `predeps(i)`: refuse what cannot be meant. The words as typed go into CM's env as a list."""
    raw = i["input"]
    try:
        if raw.get("recursion"):
            raise ValueError("a sweep is no dependency of another recipe")
        bridge.refuse_words(raw, "--labels=100,600")
        if flags.is_dry_run(i["env"]):
            raise ValueError("a sweep's dry run is --plan, which prints what would be run")
        own_code.load(own_code.checkout())
        from ie_recipes.sweep import join
        from ie_recipes.sweep import words as command_line

        given = {key: value for key, value in raw.items() if key not in bridge.CM_KEYS}
        for key, value in given.items():
            if isinstance(value, (list, dict)) or value is False:
                raise ValueError(
                    f"{bridge.typed(key)}: expected {bridge.typed(key)}=VALUE, several with commas between"
                )
        words = [bridge.typed(key) if value is True else f"{bridge.typed(key)}={value}" for key, value in given.items()]
        here = Path(i["env"].get("CM_TMP_CURRENT_PATH") or Path.cwd())
        if WORKER in i["env"]:
            join.parse(words, here)
            needs = "cluster"
        else:
            asked = command_line.parse(words, here).flags
            needs = "cluster" if "scheduler" in asked else "search" if "search" in asked else ""
    except ValueError as error:
        return {"return": 2, "error": str(error)}
    i["env"][WORDS] = words
    i["run_script_input"]["const"][WORDS] = words
    if needs:
        i["env"][NEEDS] = needs
    return {"return": 0}


def run(i: dict[str, Any]) -> dict[str, Any]:
    """For the recipe's `preprocess(i)`: run the sweep as one child process."""
    own_code.load(own_code.checkout())
    from ie_crowd.formats import scratch

    with scratch.folder("sweep") as place:
        last_words = place / "error.txt"
        program = str(Path(__file__).with_name("join.py" if WORKER in i["env"] else "command.py"))
        argv = [sys.executable, "-P", program, *i["env"][WORDS], f"--last-words={last_words}"]
        here = Path(i["env"]["CM_TMP_CURRENT_PATH"])
        code = processes.run(argv, cwd=here, env=own_code.child_environment(own_code.checkout()))
        error = last_words.read_text(encoding="utf-8").strip() if last_words.exists() else ""
    if code:
        return {"return": code, "error": error or f"the sweep was ended (exit code {code}); the same command goes on"}
    return {"return": 0}
