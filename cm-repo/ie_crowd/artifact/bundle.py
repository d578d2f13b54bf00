"""What is made from a result.json and lies beside it: cm-output.json, report.html, ro-crate-metadata.json, SHA256SUMS.

In this order, each by rename, each a function of the folder: made again they are the same, so a killed one is mended by
doing it again.
"""

from __future__ import annotations

from pathlib import Path

from ie_crowd.artifact import cm_output, report_html, ro_crate
from ie_crowd.challenge.model import Challenge
from ie_crowd.formats import checksums, strict, upgrade

MADE = (cm_output.OUTPUT, report_html.REPORT, ro_crate.CRATE)


def write(folder: Path, challenge: Challenge | None = None, started_in: Path | None = None) -> None:
    """Make all of it, SHA256SUMS included, for a folder of one's own whose runs are done.

    ``challenge``: None finds the challenge that the result names. ``started_in``: where cm was started (see cm_output).
    Raises ValueError of one line if result.json is not valid or something cannot be written.
    """
    known = _make(folder, challenge, started_in)
    report_html.write(folder, known, complete=True)
    ro_crate.write(folder, sums_follow=True)
    checksums.write_sha256sums(folder)


def remake(folder: Path) -> None:
    """Make all of it in a folder that may be somebody else's, and may hold no more than a result.json.

    In SHA256SUMS, if there is one, only the lines of what was made are changed: what another file should be stays as
    its owner said. Raises ValueError as ``write`` does.
    """
    listed = checksums.read_sha256sums(folder) if (folder / checksums.SUMS).exists() else None
    report_html.write(folder, _make(folder, None, None))
    ro_crate.write(folder)
    if listed is not None:
        listed |= {name: checksums.sha256_file(folder / name)[0] for name in MADE}
        lines = (f"{listed[path]}  {path}\n" for path in sorted(listed, key=str.encode))
        strict.write_text(folder / checksums.SUMS, "".join(lines))


def _make(folder: Path, challenge: Challenge | None, started_in: Path | None) -> Challenge | None:
    """Write cm-output.json; returns the rules, None if the challenge is not known here."""
    result = upgrade.read(folder)
    challenge = challenge or report_html.rules_of(result)[0]
    cm_output.write(folder, cm_output.flat(result, challenge.metrics if challenge else ()), started_in)
    return challenge
