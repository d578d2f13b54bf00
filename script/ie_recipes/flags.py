"""What the user asked for: checks CM's raw input, and turns CM's env into one validated Request.

CM ignores flags it does not know and gives `True` and a stray word for `--epochs 5`; only the recipe that was called
sees them. So every recipe calls `check(i)` from `predeps`, before any dependency runs. Nothing here needs torch.
"""

import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ie_recipes import bridge, front_end, own_code, references
from ie_recipes.data import new_classes, own_data
from ie_recipes.run import logs, results_folder

DEVICES = ("auto", "cpu", "cuda", "mps", "rocm")
SEEDS_MAX = 100
FULL_SEEDS = 5  # label draws of `_full`
CHALLENGE = "ie-repr"
BOTH = "both"  # what MNIST runs where no recipe is named: each of AT_ONCE, in a folder of its own
AT_ONCE = ("paper", "closed")

# flag -> (key in CM's env, what a value looks like); each recipe's input_mapping has the same pairs (a test asserts it)
FLAGS = {
    "labels": ("CM_IE_LABELS", "a whole number or all, such as --labels=600"),
    "seeds": ("CM_IE_SEEDS", "a whole number of runs, such as --seeds=5"),
    "epochs": ("CM_IE_EPOCHS", "a whole number, such as --epochs=5"),
    "threads": ("CM_IE_THREADS", "a whole number, such as --threads=2"),
    "device": ("CM_IE_DEVICE_REQUEST", f"one of {', '.join(DEVICES)}, such as --device=cpu"),
    "data": ("CM_IE_DATA", "a folder, --data=FOLDER"),
    "outdir": ("CM_IE_OUTDIR", "a folder, --outdir=FOLDER"),
    "log": ("CM_IE_LOG", f"{logs.EXPECTED}, such as --log=tensorboard"),
    "log_dir": ("CM_IE_LOG_DIR", "a folder, --log_dir=FOLDER"),
    "quiet": ("CM_IE_QUIET", "no value, just --quiet"),
    "dry_run": ("CM_IE_DRY_RUN", "no value, just --dry_run"),
}
SWITCHES = ("quiet", "dry_run")


@dataclass(frozen=True)
class Request:
    """One task, and how often and where to run it. None: not said, the default of ie_model's config counts."""

    dataset: str
    supervision: str
    method: str = "equivae"
    smoke: bool = False
    labels: int | str | None = None
    seeds: int = 1
    epochs: int | None = None
    threads: int | None = None
    device: str = "auto"
    data: str | None = None
    outdir: str | None = None
    log: str | None = None
    log_dir: str | None = None
    quiet: bool = False
    full: bool = False  # every label count of the data set, each a task of its own
    recipe: str = "closed"  # paper, closed, open, or BOTH
    references: bool = False  # the reference results of the data set: the tasks of references.REFERENCES
    draws: Sequence[int] | None = None  # seed and label draw of each run; None: those of the closed division
    more: Mapping[str, Any] = field(default_factory=dict)  # other settings of ie_model's config, for the open division
    own: Mapping[str, Any] = field(default_factory=dict)  # of own data: how they are read, and what was counted in them
    found_by: str = ""  # how its settings were found, where a search was made: "40 trials, 3.10 hours"
    front_end: str = front_end.CM  # what it was asked of, and what is typed to go on with it

    def config(self) -> dict[str, Any]:
        """The resolved config of run 0, flat; raises ValueError with one line for a value that cannot be."""
        config: dict[str, Any] = self._resolved().to_dict()
        return config

    def _resolved(self) -> Any:
        names = ("method", "dataset", "supervision", "smoke", "recipe")
        asked = {name: getattr(self, name) for name in names}
        return _import("ie_model.config").Config.resolve(**asked, **(self.settings() | dict(self.own)))

    def settings(self) -> dict[str, Any]:
        """The settings of a run that flags give, by name, for ie_model's config and its command line alike."""
        read = {name: self.own[name] for name in own_data.READ if name in self.own}
        return {"labels": self.labels, "epochs": self.epochs, "threads": self.run_threads(), **self.more, **read}

    @property
    def challenge(self) -> str:
        """The challenge whose rules its result is made under."""
        return own_data.CHALLENGE if self.dataset == own_data.TAG else CHALLENGE

    def run_threads(self) -> int | None:
        """The threads of each run. Of several runs one core each is fastest, whatever the machine; None: the default.

        It depends on the request alone, since the number of threads is part of a result.
        """
        return 1 if self.threads is None and self.seeds > 1 else self.threads

    def room(self, runs: int, threads: int, device: str) -> int:
        """Of so many runs of this request, those that the machine has room for at once."""
        images = self._resolved().facts.image_bytes
        return int(_import("ie_model.run.processes").how_many(runs, threads, device, images))

    def identity(self) -> dict[str, Any]:
        """What must be the same to go on with an unfinished run (the device is checked by the run itself)."""
        config = {
            key: value for key, value in self._first().config().items() if key not in ("seed", "label_seed", "device")
        }
        if self.several:
            return {"seeds": self.seeds, "tasks": list(self.parts()), "config": config}
        draws = {} if self.draws is None else {"draws": list(self.draws)}
        return {"seeds": self.seeds, **draws, "config": config}

    @property
    def several(self) -> bool:
        """Whether it covers several tasks, each with a results folder of its own."""
        return self.full or self.references or self.recipe == BOTH

    def parts(self) -> dict[str, "Request"]:
        """The requests that this one covers, each by the name of its folder: itself, both recipes, one for each label
        count, or the data set's reference results."""
        if self.recipe == BOTH:  # a core each is fastest, and what each gives does not depend on the other
            return {
                name: replace(self, recipe=name, threads=1 if self.threads is None else self.threads)
                for name in AT_ONCE
            }
        found = [self]
        if self.references:
            found = [replace(self, references=False, **asked) for asked in references.REFERENCES[self.dataset]]
        elif self.full:
            grid = _import("ie_model.config").DATASETS[self.dataset].label_grid
            counts = grid if self.supervision == "semi-supervised" or self.dataset in new_classes.DATASETS else ("all",)
            found = [replace(self, full=False, labels=count) for count in counts]
        return {part.task(): part for part in found}

    def program(self) -> str:
        """The file of this package that does it."""
        return "both_recipes.py" if self.recipe == BOTH else "tasks.py" if self.several else "workflow.py"

    def _first(self) -> "Request":
        return next(iter(self.parts().values())) if self.recipe == BOTH else self

    def task(self) -> str:
        """Short name, for folders and lines: mnist-semi-supervised-100, m2-mnist-semi-supervised-100-paper."""
        if self.references:
            return f"{self.dataset}-references"
        labels = "full" if self.full else self._first().config()["labels"]
        method = "" if self.method == "equivae" else f"{self.method}-"
        kinds = ("" if self.recipe == "closed" else f"-{self.recipe}") + ("-smoke" if self.smoke else "")
        settings = "".join(f"-{key.replace('_', '-')}-{value}" for key, value in self.more.items())
        return f"{method}{self.dataset}-{self.supervision}-{labels}{kinds}{settings}"

    def command(self) -> list[str]:
        """The command of CM or mlcflow that asks for exactly this."""
        if self.draws is not None or self.more or self.found_by:
            return self._sweep_command()
        size = [f"_{name}" for name in ("smoke", "full", "references") if getattr(self, name)]
        method = [] if self.method == "equivae" else [f"_{self.method}"]
        recipe = [] if self.recipe == self._unnamed() else [f"_{self.recipe}"]
        supervision = [] if self.references else [f"_{self.supervision}"]
        if self.dataset in new_classes.DATASETS:
            supervision = [f"_{self.dataset}"]
        elif self.dataset == own_data.TAG:  # --labels says it
            supervision = own_data.variations(self.own)
        tags = " ".join(["reproduce ie-repr", new_classes.tag(self.dataset), *supervision, *method, *recipe, *size])
        values = {flag: getattr(self, flag) for flag in FLAGS if flag not in SWITCHES}
        defaults = {field.name: field.default for field in fields(self)}
        defaults["seeds"] = FULL_SEEDS if self.full else defaults["seeds"]
        given = [f"--{key}={value}" for key, value in values.items() if value != defaults[key]]
        return front_end.command(self.front_end, tags, *given, *(["--quiet"] if self.quiet else []))

    def _sweep_command(self) -> list[str]:
        """The same as a sweep of one task, which can ask for any draws and settings."""
        names = "dataset supervision method recipe labels epochs threads device data outdir".split()
        defaults = {field.name: field.default for field in fields(self)}
        values = {name: getattr(self, name) for name in names if getattr(self, name) != defaults.get(name)}
        draws = self.seeds if self.draws is None else ",".join(map(str, self.draws))
        given = [f"--{key}={value}" for key, value in ({**values, "draws": draws} | dict(self.more)).items()]
        given += [f"--found_by={self.found_by}"] if self.found_by else []
        switches = [f"--{name}" for name in ("smoke", "quiet") if getattr(self, name)]
        return front_end.command(self.front_end, "sweep ie-repr", *given, *switches)

    def _unnamed(self) -> str:
        """The recipe of this request if it names none."""
        size = self.smoke or self.full or self.references
        return unnamed_recipe(self.dataset, self.supervision, self.method, whole=not size)

    def text(self) -> str:
        """The request as one argument of a child process; `from_text` reads it back."""
        return json.dumps(asdict(self))


def unnamed_recipe(dataset: str, supervision: str, method: str, *, whole: bool) -> str:
    """The recipe where none is named. ``whole``: a run of the usual size, neither `_smoke` nor several tasks."""
    main_job = (dataset, supervision, method) == ("mnist", "semi-supervised", "equivae")
    return BOTH if main_job and whole else "closed"


def from_text(text: str) -> Request:
    """The Request that `Request.text` wrote."""
    return Request(**json.loads(text))


def check(i: dict[str, Any]) -> dict[str, Any]:
    """For a recipe's `predeps(i)`: refuse what cannot be meant, before any dependency runs.

    Writes the values back into CM's env in one form (absolute paths, one device). Returns CM's {'return': 0}, or
    {'return': 2, 'error': one line}.
    """
    try:
        # a dependency sees CM's own keys only: its caller has checked the flags
        if not i["input"].get("recursion"):
            check_names(i["input"])
        request = from_env(i["env"])
        dry = is_dry_run(i["env"])
        check_data(request)
        for part in request.parts().values():
            check_task(part)
        logs.refuse_unwritable(request.log_dir)
        if request.outdir is not None:
            parts = list(request.parts()) if request.several else []
            results_folder.check(Path(request.outdir), request.identity(), parts)
    except ValueError as error:
        return {"return": 2, "error": str(error)}
    device = None if request.device == "auto" else request.device  # a dependency may be given its own
    values = {"data": request.data, "outdir": request.outdir, "log_dir": request.log_dir, "device": device}
    normal = {FLAGS[flag][0]: value for flag, value in values.items() if value is not None}
    normal |= {FLAGS["dry_run"][0]: "yes"} if dry else {}  # for the dependencies, which then have nothing to do
    i["env"].update(normal)
    # CM puts its constants (the flags as typed) over the env again before each dependency
    i["run_script_input"]["const"].update(normal)
    return {"return": 0}


def is_dry_run(env: Mapping[str, Any]) -> bool:
    """Whether nothing is to be done: `--dry_run`, or what CM and mlcflow call a fake run."""
    return _switch("dry_run", env.get(FLAGS["dry_run"][0], False)) or env.get("CM_TMP_FAKE_RUN") == "yes"


def check_names(raw: Mapping[str, Any]) -> None:
    """Raise ValueError for a flag that is not one of ours or of CM's, and for stray words."""
    words = bridge.words(raw)
    for flag in FLAGS:
        if raw.get(flag) is True and flag not in SWITCHES:
            typed = f"--{flag} {words[0]}" if words else f"--{flag}"
            raise ValueError(
                f"{typed}: the value is missing, write --{flag}={words[0] if words else 'VALUE'} (with '=')"
            )
    if words:
        raise ValueError(
            f"{words[0]!r} is one word too many: variations belong inside the quotes, values behind '=' (--epochs=5)"
        )
    if raw.get("unparsed_cmd"):
        raise ValueError(f"{raw['unparsed_cmd'][0]!r} after '--' is not used here: leave it out")
    bridge.refuse_unknown(raw, FLAGS)


def check_data(request: Request) -> None:
    """Raise ValueError when --data cannot be what the data set needs; its files are verified later, by hash."""
    if request.data is None or request.dataset == own_data.TAG:  # of own data every file has been counted
        return
    if request.dataset in ("glyphs", "strokes"):
        raise ValueError(f"--data={request.data}: {request.dataset} are drawn, not read: leave --data out")
    if not Path(request.data).is_dir():
        raise ValueError(
            f"--data={request.data}: no such folder, expected the folder with the files of {request.dataset}"
        )


def check_task(request: Request) -> None:
    """Raise ValueError when the config cannot be, or the challenge has no such task and would refuse its result."""
    config = request.config()
    if request.dataset == own_data.TAG:  # any number of labels
        return
    challenge_reader = _import("ie_crowd.challenge.load")
    task = challenge_reader.challenge(challenge_reader.find(CHALLENGE)).task(request.dataset, request.supervision)
    if task is None or config["labels"] not in task.labels:
        known = " or ".join(map(str, task.labels)) if task else "no such task"
        raise ValueError(
            f"labels: got {config['labels']}, but the challenge's tasks for {request.dataset}, {request.supervision} "
            f"have {known} (ie-model train takes any number)"
        )


def from_env(env: Mapping[str, Any]) -> Request:
    """The Request in CM's env; raises ValueError that names the flag, its value and what was expected.

    Relative folders are taken from the folder where cm was started (CM_TMP_CURRENT_PATH).
    """
    texts = {flag: _text(flag, env[key]) for flag, (key, _) in FLAGS.items() if key in env and flag not in SWITCHES}
    here = Path(env.get("CM_TMP_CURRENT_PATH") or Path.cwd())
    labels = texts.get("labels")
    seeds = _number("seeds", texts.get("seeds"))
    if seeds is not None and not 1 <= seeds <= SEEDS_MAX:
        raise ValueError(f"--seeds={seeds}: expected 1 to {SEEDS_MAX} runs")
    device = texts.get("device")
    if device is not None and device not in DEVICES:
        raise ValueError(f"--device={device}: expected {FLAGS['device'][1]}")
    full = env.get("CM_IE_FULL") == "yes"
    if full and labels is not None:
        raise ValueError(f"--labels={labels} contradicts the variation _full, which runs every label count")
    recipe = env.get("CM_IE_RECIPE") or ""
    if recipe == "open" and (env.get("CM_IE_SUPERVISION") == "supervised" or labels == "all"):
        raise ValueError("the variation _open is about q(y|x), which _supervised does not have: leave one of them out")
    all_references = env.get("CM_IE_REFERENCES") == "yes"
    smoke = env.get("CM_IE_SMOKE") == "yes"
    dataset, method = new_classes.dataset(env), env.get("CM_IE_METHOD") or "equivae"
    supervision, own, data = new_classes.supervision(env), {}, None
    if "data" in texts:
        data = here / Path(texts["data"]).expanduser()
    if dataset == own_data.TAG:
        supervision = "supervised" if labels == "all" else "semi-supervised"
        own = own_data.settings(env, _import("ie_model.facts.own_data").find(data))
    task = (dataset, supervision, method)
    unnamed = unnamed_recipe(*task, whole=not (smoke or full or all_references))
    if all_references:
        references.check(env, texts)
    variation = env.get("CM_IE_DEVICE_VARIATION") or None
    if device and variation and device != variation:
        raise ValueError(f"--device={device} contradicts the variation _{variation}: leave one of them out")
    return Request(
        dataset=task[0],
        supervision=task[1],
        method=task[2],
        smoke=smoke,
        recipe=recipe or unnamed,
        full=full,
        references=all_references,
        labels=labels if labels in (None, "all") else _number("labels", labels),
        seeds=seeds if seeds is not None else FULL_SEEDS if full else 1,
        epochs=_number("epochs", texts.get("epochs")),
        threads=_number("threads", texts.get("threads")),
        device=device or variation or "auto",
        own=own,
        data=None if data is None else str(data),
        outdir=str(here / Path(texts["outdir"]).expanduser()) if "outdir" in texts else None,
        **logs.asked(texts, here),
        quiet=_switch("quiet", env.get("CM_IE_QUIET", env.get("CM_QUIET", False))),
        front_end=front_end.of(env),
    )


def root() -> Path | None:
    """The checkout this file lies in; None when it lies in an installed package, where the imports need no path."""
    folder = Path(__file__).resolve().parents[2]
    return folder if (folder / "ie_model").is_dir() and (folder / "cm-repo" / "ie_crowd").is_dir() else None


def _import(name: str) -> Any:
    """A light module of this checkout, or of the installed package; cm's own process has neither on its path."""
    own_code.load(own_code.checkout())
    return importlib.import_module(name)


def _text(flag: str, value: Any) -> str:
    """The value as text, which CM may hold as a number."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        shown = "" if value is True else f" {json.dumps(value)}" if isinstance(value, (list, dict)) else f" {value}"
        raise ValueError(f"--{flag}{shown}: expected {FLAGS[flag][1]}")
    text = str(value)
    if not text or "\0" in text:
        raise ValueError(f"--{flag}={text!r}: expected {FLAGS[flag][1]}")
    return text


def _switch(flag: str, value: Any) -> bool:
    """The value of a flag without a value, which CM may hold as a bool or a word."""
    words = {"true": True, "yes": True, "false": False, "no": False}
    if str(value).lower() not in words:
        raise ValueError(f"--{flag}={value}: expected {FLAGS[flag][1]}")
    return words[str(value).lower()]


def _number(flag: str, text: str | None) -> int | None:
    """The text as a whole number; None for None."""
    if text is None:
        return None
    digits = text[1:] if text.startswith("-") else text
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10):
        raise ValueError(f"--{flag}={text}: expected {FLAGS[flag][1]}")
    return int(text)
