"""The commands of ``ie-crowd`` that work on one result: check, schema, report, submit."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ie_crowd.artifact import bundle, report_html
from ie_crowd.cli import check, submit
from ie_crowd.formats import schema, schema_docs


def add(commands: Any) -> None:
    """Add the parsers of these commands to ``argparse``'s sub-commands; each sets ``run``."""
    check.add(commands)
    form = commands.add_parser(
        "schema",
        help="print the JSON Schema of result.json, or the page made from it",
        description="Prints the JSON Schema of result.json.",
        allow_abbrev=False,
    )
    form.add_argument("--markdown", action="store_true", help="print the page made from it (docs/result-format.md)")
    form.set_defaults(run=_schema)
    page = commands.add_parser(
        "report",
        help="make report.html and what else is made from a result.json",
        description="Makes cm-output.json, report.html and ro-crate-metadata.json of a results folder anew.",
        allow_abbrev=False,
    )
    page.add_argument("folder", type=Path, metavar="DIR", help="results folder that holds result.json")
    page.set_defaults(run=_report)
    submit.add(commands)


def _schema(arguments: argparse.Namespace) -> int:
    print(schema_docs.markdown() if arguments.markdown else schema.SCHEMA.read_text(encoding="utf-8"), end="")
    return 0


def _report(arguments: argparse.Namespace) -> int:
    bundle.remake(arguments.folder)
    print(arguments.folder / report_html.REPORT)
    return 0
