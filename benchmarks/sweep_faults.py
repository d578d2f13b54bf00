"""Trainings of seconds of the real model on a scheduler with workers, and what happens to them meanwhile."""

import json

from ie_recipes.sweep import engine, works

from ie_model.run import checkpoint

QUICK = {
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "4 s",  # a frozen worker counts as lost
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",  # every death of a worker is told to the sweep
}
TRAINING = (
    "--method=equivae --recipe=open --dataset=glyphs --supervision=semi-supervised --labels=100 --smoke --threads=1 "
    "--epoch-images=100 --control-steps=5 --warm-up-steps=2 --channels=4 --hidden=32 --epochs=6"
).split()


def real_works(count):
    """Trainings of seconds, of the real model; nothing is measured."""
    return [
        works.Work("cell", n, "glyphs", (*TRAINING, f"--seed={n}", f"--label-seed={n}"), evaluate=False)
        for n in range(count)
    ]


def weights(folder, asked):
    """The hash of each run's weights."""
    return [
        json.loads((folder / "cell" / "runs" / str(w.number) / "run.json").read_bytes())["model_sha256"] for w in asked
    ]


class Faults:
    """What happens to a sweep, one after the other, each as soon as there is a checkpoint to go on from."""

    def __init__(self, machines, folder, plan):
        self.machines, self.folder, self.plan = machines, folder, list(plan)
        self.running, self.ended, self.kept = {}, [], {}

    def told(self, work, what, line):
        """What a sweep says of a run."""
        self.running.pop(work.name, None)
        if what == engine.RUNNING:
            self.running[work.name] = self.machines.where(line)
        else:
            self.ended.append((work.name, what, line))

    def watch(self):
        """Let the next fault happen, once a run has sent a checkpoint; what is trained by then is kept."""
        for name, where in self.running.items():
            path = self.folder / name / "checkpoint.safetensors"
            if self.plan and path.exists():
                done = int(checkpoint.read(path)[1]["epoch"])
                self.kept[name] = (self.folder / name / "metrics.jsonl").read_bytes().splitlines()[:done]
                self.plan.pop(0)(where)
                self.running.clear()
                return
