"""`python -m ie_model train|evaluate|figures` with made-up numbers.

STAND_IN says what goes wrong, as JSON: {"train 1": "fail"} makes the training of run 1 end as a failed run; other
words: see `misbehave`; "paper train 0" means that recipe alone. {"curves": {"0.002": [9, 1]}} are the validation
errors, epoch by epoch, of trainings with that learning rate. STAND_IN_LOG hears of every call.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

from ie_crowd.challenge import load

from ie_model.config import Config

RULES = load.challenge(load.find("ie-repr"))


def log(**entry):
    with Path(os.environ["STAND_IN_LOG"]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


def write_run(folder, **changes):
    path = folder / "run.json"
    run = json.loads(path.read_text()) if path.exists() else {}
    run.update(changes)
    (folder / "run.json.tmp").write_text(json.dumps(run))
    (folder / "run.json.tmp").replace(path)


def misbehave(verb, recipe, number, folder, **facts):
    wrong = json.loads(os.environ.get("STAND_IN", "{}"))
    what = wrong.get(f"{verb} {number}", wrong.get(f"{recipe} {verb} {number}"))
    if what is not None and what.endswith(" once another waits"):
        what = what.removesuffix(" once another waits")
        while '"waiting"' not in Path(os.environ["STAND_IN_LOG"]).read_text(encoding="utf-8"):
            time.sleep(0.05)
    if what == "wait":

        def end(signum, frame):
            log(ended_by=signum, pid=os.getpid())
            sys.exit(128 + signum)

        signal.signal(signal.SIGINT, end)
        signal.signal(signal.SIGTERM, end)
        log(waiting=os.getpid())
        time.sleep(60)
    elif what == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what in ("exit 1", "exit 2"):
        print(f"ie_model: error: made up for {what}", file=sys.stderr)
        sys.exit(int(what[-1]))
    elif what == "fail":
        write_run(
            folder, **facts | {"status": "failed", "error": "the bound is not finite", "metrics": {}, "epochs": 1}
        )
        print("ie_model: error: the bound is not finite", file=sys.stderr)
        sys.exit(1)
    elif what is not None:
        raise AssertionError(what)


def train(flags, folder):
    # seeds are all that differs between runs
    seed = int(flags.pop("seed"))
    number = seed - RULES.validity.first_seed
    whole = {key: int(flags[key]) for key in ("labels", "epochs", "threads") if flags.get(key, "all") != "all"}
    if "learning-rate" in flags:
        whole["learning_rate"] = float(flags["learning-rate"])
    config = Config.resolve(
        method=flags["method"],
        dataset=flags["dataset"],
        supervision=flags["supervision"],
        device=flags["device"],
        smoke="smoke" in flags,
        recipe=flags["recipe"],
        seed=seed,
        label_seed=int(flags["label-seed"]),
        **whole,
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    with (folder / "metrics.jsonl").open("w", encoding="utf-8") as file:
        curves = json.loads(os.environ.get("STAND_IN", "{}")).get("curves", {})
        for epoch, error in enumerate(curves.get(str(config.learning_rate), [50.0]), 1):
            time.sleep(0.5 * (epoch > 1))  # somebody looks at it meanwhile
            file.write(json.dumps({"epoch": epoch, "valid_error": error}) + "\n")
            file.flush()
    facts = {
        "format": 1,
        "status": "trained",
        "error": None,
        "task": {key: getattr(config, key) for key in ("dataset", "supervision", "labels")},
        "config": config.to_dict(),
        "seed": seed,
        "label_seed": seed,
        "metrics": {},
        "epochs": config.epochs,
        "wall_seconds": 60.0,
        "cpu_seconds": 100.0,
        "images_per_second": 1000.0 + number,
        "peak_rss_bytes": 10**9,
        "model_sha256": f"{number:064x}",
        "split_sha256": RULES.splits.get(config.dataset) or "0" * 64,
        "datasets": [
            {
                "name": config.dataset,
                "files": [
                    {"name": name, "sha256": sha256 or "0" * 64, "bytes": 1}
                    for name, sha256 in RULES.datasets.get(config.dataset, {}).items()
                ],
            }
        ],
        "device": {
            "kind": "cpu",
            "name": "made up",
            "memory_bytes": None,
            "driver": None,
            "count": 1,
            "reason": "test",
        },
    }
    misbehave("train", config.recipe, number, folder, **facts)
    (folder / "model.safetensors").write_bytes(b"weights")
    write_run(folder, **facts)


def evaluate(folder):
    run = json.loads((folder / "run.json").read_text())
    number = run["seed"] - RULES.validity.first_seed
    misbehave("evaluate", run["config"]["recipe"], number, folder)
    asked = RULES.task(run["task"]["dataset"], run["task"]["supervision"])
    metrics = {}
    for name in (name for name in asked.metrics if name not in RULES.without(run["config"])):
        low, high = (max(min(bound, 100.0), -100.0) for bound in (RULES.metrics[name].low, RULES.metrics[name].high))
        metrics[name] = low + (high - low) * (0.5 + number / 100)
    write_run(folder, status="completed", metrics=metrics, evaluation_seconds=1.0, evaluation_cpu_seconds=2.0)


def main():
    verb, *arguments = sys.argv[1:]
    log(argv=sys.argv[1:], cwd=str(Path.cwd()), pid=os.getpid(), threads=os.environ.get("OMP_NUM_THREADS"))
    flags = dict(argument[2:].partition("=")[::2] for argument in arguments if argument.startswith("--"))
    if verb == "train":
        train(flags, Path(flags["outdir"]))
        if "evaluate" in flags:
            evaluate(Path(flags["outdir"]))
    elif verb == "evaluate":
        evaluate(Path(arguments[0]))
    elif verb == "figures":
        misbehave("figures", "", Path(arguments[0]).name, Path(arguments[0]))
        Path(flags["outdir"]).mkdir(exist_ok=True)
        (Path(flags["outdir"]) / "reconstructions.png").write_bytes(b"picture")
    elif verb == "curve":
        for argument in arguments[1:]:
            Path(argument.removeprefix("--out=")).write_bytes(Path(arguments[0]).read_bytes())
    else:
        raise AssertionError(verb)


main()
