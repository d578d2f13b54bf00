"""The paper's own recipe and this project's, at once: a results folder for each, one table, and the paper's claims.

What `reproduce ie-repr mnist` runs where no recipe is named. Each recipe is a child process (`workflow.py --beside`)
with a core of its own, so that one that fails leaves the other alone; the rest is as with other tasks (`tasks.py`).
"""

if __name__ == "__main__":  # before everything else: it keeps the current folder and the checkout out of imports' way
    import sys

    sys.path.insert(0, __file__[: -len("/ie_recipes/both_recipes.py")])
    from ie_recipes import own_code

    own_code.start()

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ie_crowd.formats import strict

from ie_recipes import flags, program, tasks, workflow
from ie_recipes.comparison import recipes
from ie_recipes.run import processes, progress

PATIENCE_SECONDS = 2 * processes.PATIENCE_SECONDS  # a child waits for its own children first


class BothRecipes(tasks.Tasks):
    """The folder of a request that names no recipe."""

    def work(self) -> dict[str, str]:
        """Do the recipes that are not complete, at once where the machine has room; why each failed that did."""
        failed: dict[str, str] = {}
        left = {name: part for name, part in self.parts.items() if not self.complete(name)}
        print(self.headline(resumed=(self.folder / next(iter(self.parts))).exists()), flush=True)
        configs = {name: part.config() for name, part in left.items()}
        watched = {name: (self.folder / name, config["epochs"]) for name, config in configs.items()}
        first = next(iter(left.values()), None)
        room = first.room(len(left), first.config()["threads"], self.found["device"]) if first else 1
        with tempfile.TemporaryDirectory(prefix="ie-repr-") as scratch:
            processes.together(
                [self._recipe(name, part, Path(scratch), failed) for name, part in left.items()],
                room,
                cwd=Path.cwd(),
                env=os.environ,
                patience=PATIENCE_SECONDS,
                watch=progress.Lines(watched, self.request.quiet),
            )
        return failed

    def _recipe(self, name: str, part: flags.Request, scratch: Path, failed: dict[str, str]) -> processes.Job:
        last_words = scratch / f"{name}.txt"
        argv = [sys.executable, "-P", workflow.__file__, f"--request={part.text()}", f"--folder={self.folder / name}"]
        argv += [f"--{key}={value}" for key, value in self.found.items() if value is not None]
        # the data came once and both needed it: each result counts the download
        argv += [f"--command={self.command}", f"--last-words={last_words}", "--beside"]
        ended = yield argv
        assert ended is not None
        if ended.code == 0:
            return
        if ended.code in program.STOPPED:
            raise program.stopped(ended.code, self.folder, self.command)
        said = last_words.read_text(encoding="utf-8").strip() if last_words.exists() else ""
        line = said or f"{name} ended with exit code {ended.code}; go on with: {self.command}"
        if ended.code != 1:  # told to stop, or asked for what cannot be: the other would not fare better
            raise program.StopError(ended.code, line)
        failed[name] = line
        print(f"ie-repr: {name}: {line}", file=sys.stderr, flush=True)

    def headline(self, *, resumed: bool) -> str:
        """The first line: task, device and reason, expected time, results folder."""
        request, reason = self.request, self.found.get("reason", "")
        config = next(iter(self.parts.values())).config()
        runs = f", {request.seeds} runs each" if request.seeds > 1 else ""
        expected = "10 to 25 minutes" + (" each" if runs else "") + " on 2 CPU cores"
        if request.epochs is not None:
            expected = f"{request.epochs} epoch{'s' * (request.epochs > 1)}, as --epochs says"
        device = self.found["device"] + (f" ({reason.partition(':')[0]})" if reason else "")
        return (
            f"ie-repr {'goes on' if resumed else 'starts'}: {request.dataset}, {request.supervision}, "
            f"{config['labels']} labels, the paper's own recipe and this project's at once{runs} | device: {device} | "
            f"expected: {expected} | results: {self.folder}"
        )

    def write_index(self, documents: Mapping[str, Mapping[str, Any]], failed: Mapping[str, str]) -> None:
        """One page of both: the table, what becomes of the claims, and where each result is."""
        seen = self._compared(documents)
        strict.write_text(self.folder / tasks.INDEX, recipes.page(self.folder, seen, failed))

    def show(self, documents: Mapping[str, Mapping[str, Any]]) -> None:
        """The table and the claims, in the terminal."""
        if documents:
            recipes.show(self._compared(documents))

    def _compared(self, documents: Mapping[str, Mapping[str, Any]]) -> recipes.Comparison:
        labels = next(iter(self.parts.values())).config()["labels"]
        return recipes.of(self.request.dataset, labels, documents)


def main(argv: Sequence[str]) -> int:
    """Run both; every foreseeable end is an exit code and one line."""
    arguments = program.parse(argv)
    found = {key: getattr(arguments, key) for key in ("device", "reason", "data", "downloaded")}
    doing = BothRecipes(arguments.request, arguments.folder, **found)
    return program.ended(doing.run, arguments.folder, arguments.last_words)


if __name__ == "__main__":
    from ie_crowd import entry

    sys.exit(entry.guarded(lambda: main(sys.argv[1:]), "run-ie-repr"))
