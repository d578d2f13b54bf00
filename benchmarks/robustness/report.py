"""The trials in a file, one JSON line each, and the Markdown table that is made from them after each trial."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.robustness import phases

ABOUT, TRIALS, TABLE = "about.json", "trials.jsonl", "table.md"


class Report:
    """A folder that holds what was found so far, and of which code."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.rows = folder, list[dict[str, Any]]()
        self.about = {
            "commit": _commit(),
            "seed": seed,
            "python": platform.python_version(),
            "platform": platform.platform(),
        }
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / ABOUT
        if file.exists() and (there := json.loads(file.read_bytes())) != self.about:
            raise SystemExit(f"{folder} holds trials of {there}, these are of {self.about}: choose another --out")
        file.write_text(json.dumps(self.about) + "\n", encoding="utf-8")
        if (folder / TRIALS).exists():
            kept = (folder / TRIALS).read_bytes()
            whole = kept[: kept.rfind(b"\n") + 1]  # killed while it wrote: that trial is made again
            (folder / TRIALS).write_bytes(whole)
            self.rows = [json.loads(line) for line in whole.splitlines()]

    @property
    def done(self) -> set[str]:
        """The keys of the trials that were made."""
        return {row["key"] for row in self.rows}

    def add(self, row: dict[str, Any]) -> None:
        """Keep a trial, and make the table anew."""
        self.rows.append(row)
        with (self.folder / TRIALS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
            file.flush()
            os.fsync(file.fileno())
        (self.folder / f"{TABLE}.part").write_text(self.table(), encoding="utf-8")
        (self.folder / f"{TABLE}.part").replace(self.folder / TABLE)

    def table(self) -> str:
        """What was tried, how often, and what held."""
        lines = [
            "Commit {commit}, seed {seed}, Python {python}, {platform}.".format(**self.about),
            "",
            "| What | Where | Tried | Held | Median seconds a trial |",
            "|---|---|---|---|---|",
        ]
        for kind, by in (
            ("kill", "phase"),
            ("kill", "how"),
            ("fault", "phase"),
            ("fault", "how"),
            ("environment", "kind"),
        ):
            groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
            for row in self.rows:
                if row["kind"] == kind:
                    groups[str(row[by])].append(row)
            lines += [_line(kind, name, groups[name]) for name in sorted(groups)]
        lines += [_line("all", "", self.rows)]
        wrong = [row for row in self.rows if row["wrong"]]
        lines += ["", *(f"- {row['key']}: {row.get('phase', '')} {row['what']}: {row['wrong']}" for row in wrong)]
        return "\n".join(lines).rstrip() + "\n"


def _line(kind: str, name: str, rows: Iterable[dict[str, Any]]) -> str:
    rows = list(rows)
    held, seconds = sum(not row["wrong"] for row in rows), [row["seconds"] for row in rows]
    return f"| {kind} | {name} | {len(rows)} | {held} | {statistics.median(seconds) if rows else 0:.1f} |"


def _commit() -> str:
    git = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=phases.ROOT, capture_output=True, text=True)
    return git.stdout.strip() or f"unknown ({sys.version_info[0]})"
