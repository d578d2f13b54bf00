#!/usr/bin/env python3
"""Check every result that a pull request adds or changes; write one page of verdicts, as Markdown.

    evaluate.py BASE PAGE      in a checkout of a results repository; BASE: the commit or branch it is to be merged into

What the pull request holds is data: `ie-crowd check` reads it within limits and executes nothing of it. Needs git, and
ie-crowd in the Python that runs this. A claim of the paper that does not hold is a finding, and fails nothing here.
Exit status: 0 integrity and validity of all results hold, or none changed; 1 of one they do not; 2 no answer.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

MOST_RESULTS = 20
MOST_CHARACTERS = 60_000  # GitHub takes 65,536 in a comment
STATES = {0: "holds together", 1: "fails", 2: "cannot be checked"}
GATING = ("integrity", "validity")  # groups of the verdict
MARK = "<!-- ie-repr evaluate -->"  # by which an earlier comment is found and replaced


def changed(base: str) -> list[Path]:
    """Folders of the result.json files that HEAD has and BASE has not, or has otherwise."""
    argv = ["git", "diff", "-z", "--name-only", "--diff-filter=ACMR", "--end-of-options", f"{base}...HEAD"]
    done = subprocess.run(argv, capture_output=True)
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())[:300]
        raise SystemExit(f"evaluate: git finds no way from {base!r} to HEAD ({said}); fetch it: fetch-depth: 0")
    names = [Path(os.fsdecode(name)) for name in done.stdout.split(b"\0") if name]
    return sorted({name.parent for name in names if name.name == "result.json"})


def check(folder: Path) -> tuple[int, str]:
    """How one result does, a key of STATES, and its verdict as Markdown."""
    with tempfile.TemporaryDirectory() as scratch:
        verdict = Path(scratch) / "verdict.json"
        argv = [
            sys.executable,
            "-P",
            "-m",
            "ie_crowd",
            "check",
            "--markdown",
            f"--verdict={verdict}",
            "--",
            str(folder),
        ]
        done = subprocess.run(argv, capture_output=True, text=True, errors="replace")
        if done.returncode not in (0, 1):
            return 2, "```text\n" + done.stderr.strip()[-500:].replace("`", "'") + "\n```"
        counts = json.loads(verdict.read_text(encoding="utf-8"))["summary"]
    return int(any(counts.get(group, {}).get("fail") for group in GATING)), done.stdout


def main(base: str, page: Path) -> int:
    """Check, write the page, and return the exit status."""
    folders = changed(base)
    parts, worst = [MARK, f"## {len(folders)} result{'s' * (len(folders) != 1)} of this change"], 0
    for folder in folders[:MOST_RESULTS]:
        code, text = check(folder)
        worst = max(worst, code)
        name = "".join(one if one.isalnum() or one in "-_./ " else "?" for one in str(folder))
        parts.append(f"<details><summary>{name}: {STATES[code]}</summary>\n\n{text}\n\n</details>")
        print(f"{name}: {STATES[code]}")
    if len(folders) > MOST_RESULTS:
        parts.append(f"{len(folders) - MOST_RESULTS} more are not checked here; send fewer at once.")
        worst = max(worst, 2)
    text = "\n\n".join(parts)
    if len(text) > MOST_CHARACTERS:
        text = text[:MOST_CHARACTERS] + "\n\n</details>\n\nCut off here: the whole page is an artifact of the job."
        page.with_suffix(".whole.md").write_text("\n\n".join(parts), encoding="utf-8")
    page.write_text(text + "\n", encoding="utf-8")
    return worst


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: evaluate.py BASE PAGE")
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
