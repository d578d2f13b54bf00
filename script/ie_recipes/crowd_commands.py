"""The recipes evaluate, submit and serve: from CM's flags to one `ie-crowd` command, and back to CM's answer.

A recipe is a table of its flags (``Command``) and a function that makes the arguments; ie_crowd knows what their values
may be.
"""

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ie_recipes import bridge, front_end, own_code
from ie_recipes.run import processes

NEEDED = ("yaml", "jsonschema", "rich", "jinja2", "psutil", "scipy")  # by ie_crowd; torch by none of it
STATE = "ie_repr_verdict"  # in what CM and mlcflow return: the verdict as data
SITE_OUT = "ie-repr-site"  # where _static writes if nobody says otherwise


@dataclass(frozen=True)
class Command:
    """The flags of one recipe, and how its ends are told."""

    prefix: str  # of its keys in CM's env
    example: str  # for a word that stands alone
    folders: tuple[str, ...]  # flags whose values are paths, seen from where cm was started
    values: tuple[str, ...]  # other flags with a value
    switches: tuple[str, ...]  # flags without one
    ends: Mapping[int, str]  # exit code to what it means
    crashed: str  # any other exit code
    may_be_empty: tuple[str, ...] = ()
    well: tuple[int, ...] = (0,)  # exit codes that are no error
    refused: Mapping[str, str] = field(default_factory=dict)  # flag to why it is never taken
    data: str = ""  # the option that writes what was found as JSON, for who asks by program

    @property
    def names(self) -> tuple[str, ...]:
        """All flags."""
        return (*self.folders, *self.values, *self.switches)


EVALUATE = Command(
    prefix="CM_IE_EVALUATE_",
    example="--result=FOLDER",
    folders=("result", "data", "against", "html", "statement", "sign"),
    values=("depth", "device", "runs", "groups", "fail_on"),
    switches=("json", "markdown", "all"),
    ends={
        1: "the check found what --fail-on names (by default: something failed); the verdict is above",
        2: "nothing could be checked; the reason is above",
        130: "interrupted; nothing was written",
    },
    crashed="the check could not be done",
    data="--verdict",
)
SUBMIT = Command(
    prefix="CM_IE_SUBMIT_",
    example="--result=FOLDER",
    folders=("result", "to", "resume", "token_file", "sign"),
    values=("server", "submitter", "weights_of"),
    switches=("commit", "weights", "show", "dry_run", "yes", "json"),
    ends={
        1: "nothing was published; the reason is above",
        2: "nothing could be published; the reason is above",
        130: "interrupted; the same command goes on",
    },
    crashed="it could not be done",
    may_be_empty=("submitter",),  # --submitter= is nobody
    refused={
        "token": "--token: a token on the command line is seen by everybody on this machine and stays in the shell's "
        "history; use --token_file=FILE or the variable IE_CROWD_TOKEN"
    },
)
SERVE = Command(
    prefix="CM_IE_SERVE_",
    example="--port=8080",
    folders=("ingest", "challenge", "outdir"),  # a store may be a URL
    values=("port", "host", "workers", "store", "base_url"),
    switches=(),
    ends={
        1: "some pages could not be written; the lines above say which",
        2: "nothing was served; the reason is above",
    },
    crashed="it could not be done",
    well=(0, 130),  # Ctrl-C is how a server is ended
)
VERIFY = Command(
    prefix="CM_IE_VERIFY_",
    example="--store=FILE",
    folders=("from", "challenge"),  # a store may be a URL, and data NAME=FOLDER
    values=("store", "data", "device", "ask", "depth", "most", "watch", "memory"),
    switches=("list", "json"),
    ends={
        1: "a verification failed; the lines above say which",
        2: "nothing could be verified; the reason is above",
        130: "interrupted; what was verified stays",
    },
    crashed="it could not be done",
)


def check(i: dict[str, Any], command: Command, arguments: Callable[[Mapping[str, Any]], list[str]]) -> dict[str, Any]:
    """For a recipe's `predeps(i)`: refuse what cannot be meant. Returns CM's answer."""
    try:
        if not i["input"].get("recursion"):
            check_names(i["input"], command)
            i["input"].pop("json", None)  # CM's own --json would print its state beside the command's output
        arguments(i["env"])
    except ValueError as error:
        return {"return": 2, "error": str(error)}
    return {"return": 0}


def run(i: dict[str, Any], command: Command, words: list[str]) -> dict[str, Any]:
    """For a recipe's `preprocess(i)`: run the command as one child process; its exit code is the recipe's."""
    if line := missing(i["env"]):
        return {"return": 2, "error": line}
    own_code.load(own_code.checkout())
    env, data = front_end.child_environment(i["env"]), {}
    here = Path(i["env"]["CM_TMP_CURRENT_PATH"])
    if command.data:
        from ie_crowd.formats import scratch, strict

        with scratch.folder("verdict") as place:
            made = place / "data.json"
            argv = own_code.command("ie_crowd", env, words[0], f"{command.data}={made}", *words[1:])
            code = processes.run(argv, cwd=here, env=env)
            if made.exists():
                data = {STATE: strict.read_json(made)}
                i["state"].update(data)
    else:
        code = processes.run(own_code.command("ie_crowd", env, *words), cwd=here, env=env)
    if code in command.well:
        return {"return": 0}
    return {
        **data,  # CM hands an error on as it is, without the state
        "return": code,
        "error": command.ends.get(code, f"{command.crashed} (exit code {code}); the reason is above"),
    }


def check_names(raw: Mapping[str, Any], command: Command) -> None:
    """Raise ValueError for flags that the recipe does not have, flags without a value, and stray words."""
    for name, why in command.refused.items():
        if name in raw:  # and its value is not repeated
            raise ValueError(why)
    bridge.refuse_words(raw, command.example)
    for key, value in raw.items():
        typed = bridge.typed(key)
        if key in (*command.folders, *command.values):
            empty = not str(value) and key not in command.may_be_empty
            if isinstance(value, (bool, list, dict)) or empty or "\0" in str(value):
                raise ValueError(f"{typed}: the value is missing, write {typed}=VALUE")
        if key in command.switches and value is not True:
            raise ValueError(f"{typed}={value!r:.80}: takes no value, write just {typed}")
    bridge.refuse_unknown(raw, command.names)


def given(env: Mapping[str, Any], command: Command) -> dict[str, str]:
    """The flags in CM's env that say something, as texts; folders seen from where cm was started."""
    here = Path(env.get("CM_TMP_CURRENT_PATH") or Path.cwd())
    found = {name: str(env[command.prefix + name.upper()]) for name in command.names if _said(env, command, name)}
    for name in command.folders:
        if name in found:
            found[name] = str(here / Path(found[name]).expanduser())
    return found


def _said(env: Mapping[str, Any], command: Command, name: str) -> bool:
    value = env.get(command.prefix + name.upper())
    return (
        value is not None and str(value) not in ("False", "no") and (str(value) != "" or name in command.may_be_empty)
    )


def _words(found: Mapping[str, str], command: Command) -> list[str]:
    """``found`` as arguments, but for --result, which is the last, behind "--"."""
    words = [
        f"{bridge.typed(name)}={found[name]}"
        for name in (*command.folders, *command.values)
        if name in found and name != "result"
    ]
    words += [bridge.typed(name) for name in command.switches if name in found]
    return [*words, *(("--", found["result"]) if "result" in found else ())]


def evaluate(env: Mapping[str, Any]) -> list[str]:
    """The arguments of `ie-crowd check`. Raises ValueError without --result or for a depth that there is not."""
    found = given(env, EVALUATE)
    if "result" not in found:
        raise ValueError("--result=FOLDER is missing: expected a results folder, which holds result.json")
    if found.get("depth", "hashes") not in ("hashes", "metrics", "rerun"):
        raise ValueError(f"--depth={found['depth']}: expected hashes, metrics or rerun")
    return ["check", *_words(found, EVALUATE)]


def submit(env: Mapping[str, Any]) -> list[str]:
    """The arguments of `ie-crowd submit`. Raises ValueError where it is not said what to publish."""
    found = given(env, SUBMIT)
    if "result" not in found and "resume" not in found:
        raise ValueError("--result=FOLDER is missing: expected a results folder, which holds result.json")
    return ["submit", *_words(found, SUBMIT)]


def serve(env: Mapping[str, Any]) -> list[str]:
    """The arguments of `ie-crowd serve` or `site`. Raises ValueError for a flag that the other way of serving has."""
    found, here = given(env, SERVE), Path(env.get("CM_TMP_CURRENT_PATH") or Path.cwd())
    static = env.get("CM_IE_SERVE_STATIC") == "yes"
    for name in ("port", "host", "workers") if static else ("outdir",):
        if name in found:
            what = "of a server; _static writes files" if static else "for _static, which writes files"
            raise ValueError(f"--{name} is {what}")
    if "store" in found and "://" not in found["store"]:
        found["store"] = str(here / Path(found["store"]).expanduser())
    if static:
        found["out"] = found.pop("outdir", str(here / SITE_OUT))
    words = [f"{bridge.typed(name)}={value}" for name, value in found.items()]
    quiet = ["--quiet"] if str(env.get("CM_IE_QUIET", "")) not in ("", "False", "no") else []
    return ["site" if static else "serve", *words, *quiet]


def verify(env: Mapping[str, Any]) -> list[str]:
    """The arguments of `ie-crowd verify`; paths are seen from where cm was started."""
    found, here = given(env, VERIFY), Path(env.get("CM_TMP_CURRENT_PATH") or Path.cwd())
    if "store" in found and "://" not in found["store"]:
        found["store"] = str(here / Path(found["store"]).expanduser())
    if "data" in found:
        name, equals, path = found["data"].rpartition("=")
        found["data"] = f"{name}{equals}{here / Path(path).expanduser()}"
    return ["verify", *_words(found, VERIFY)]


def missing(env: Mapping[str, Any]) -> str:
    """One line that says what this interpreter lacks, and what to do; nothing if it lacks nothing."""
    lacking = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    return f"{lacking[0]} is not installed here: run `{front_end.hint(env, 'get ie-deps')}` first" if lacking else ""
