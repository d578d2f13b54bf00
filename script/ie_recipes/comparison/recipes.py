"""What both recipes gave, beside the labels alone and what others published, and what becomes of the paper's claims."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from ie_crowd.challenge import captions, load
from ie_crowd.challenge import claims as claims_yaml
from ie_crowd.check import claims
from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ie_recipes import flags
from ie_recipes.comparison import label_curve

COLUMNS = 80
PICTURE = "figures/styles.png"  # of a results folder
# metric -> head of its column
METRICS = {
    "classification.error": "error, %",
    "invariant.knn_error": "neighbours, %",
    "equivariant.leakage": "leakage, %",
    "swap.accuracy": "swaps, %",
    "equivariance.r2": "R²",
    "elbo": "bound, nats",
}
NOTES = (
    "error: of q(y|x). neighbours: error of nearest neighbours on f(x). leakage: how often a probe reads the class in "
    "v; guessing gives 10. swaps: recombined images taken for the intended class. R²: of known transformations, from v."
)
CLAIMS = "What the paper claims is judged on its own recipe; of the improved one it is whether it keeps it."
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}"
    "table{border-collapse:collapse}th,td{padding:.3rem .8rem;text-align:right;border-bottom:1px solid #ccc}"
    "th:first-child,td:first-child{text-align:left}small{color:#555;font-weight:400;overflow-wrap:anywhere}"
    ".numbers td{white-space:nowrap}"
    "figure{display:inline-block;margin:0 1rem 1rem 0;max-width:33rem}img{max-width:100%}"
    "@media(max-width:40rem){body{font-size:14px;margin:1rem auto;padding:0 .5rem}"
    "th,td{padding:.3rem}h1{font-size:1.4rem}}"
)


@dataclass(frozen=True)
class Row:
    """A line of the table: what was measured or published, its values by metric as text, and where they are from."""

    name: str
    values: Mapping[str, str]
    source: str
    folder: str = ""
    here: bool = False  # measured by these runs, not published by others


@dataclass(frozen=True)
class Claimed:
    """A claim, what it asks, and how each recipe stands to it, as text, in the order of the folders."""

    id: str
    asked: str
    stands: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """Title, lines of the table, the claims that a number can be held against, and what else the numbers rest on."""

    title: str
    rows: tuple[Row, ...]
    claims: tuple[Claimed, ...]
    beside: str = ""

    @property
    def recipes(self) -> tuple[str, ...]:
        """Names of the columns of the claims."""
        return tuple(row.name for row in self.rows if row.folder)


def of(dataset: str, labels: Any, documents: Mapping[str, Mapping[str, Any]]) -> Comparison:
    """From the result.json of each recipe by the name of its folder."""
    rows = [
        Row(label_curve.method(read), _values(read), f"{_runs(read)}, test images", name, here=True)
        for name, read in documents.items()
    ]
    control = next((read for read in documents.values() if label_curve.CONTROL in read["metrics"]), None)
    if control:
        value = {label_curve.METRIC: _value(control["metrics"][label_curve.CONTROL])}
        rows.append(Row(label_curve.ALONE, value, f"{_runs(control)}, test images", here=True))
    rows += _published(dataset, labels)
    beside = captions.load(load.find(flags.CHALLENGE)).headline
    return Comparison(f"{dataset}, {labels} labels", tuple(rows), _claimed(documents), beside)


def _published(dataset: str, labels: Any) -> list[Row]:
    """What others reported for that data set and number of labels."""
    rows = []
    for published in label_curve.published():
        for point in published["errors"] if published["dataset"] == dataset else []:
            if point["labels"] == labels:
                spread = "" if point["spread"] is None else f" ± {point['spread']:.2f}"
                value = {label_curve.METRIC: f"{point['value']:.2f}{spread}"}
                rows.append(Row(published["method"], value, published["source"]))
    return rows


def _claimed(documents: Mapping[str, Mapping[str, Any]]) -> tuple[Claimed, ...]:
    rules = load.challenge(load.find(flags.CHALLENGE))
    found = []
    for claim in claims_yaml.load(rules.folder, rules):
        about = {name: read for name, read in documents.items() if claims.is_about(claim, read)}
        stands = [claims.standing(read, claim, rules) for read in about.values()]
        known = [one for one in stands if one is not None]
        if known:
            asked = f"{known[0].what} {known[0].asked} {known[0].unit}".rstrip()
            found.append(Claimed(claim.id, asked, tuple(_stands(one) for one in stands)))
    return tuple(found)


def _stands(one: claims.Standing | None) -> str:
    """How a recipe stands to a claim: "3.87 %: holds"; of one run only where its value lies."""
    if one is None:
        return "not measured"
    half = "" if one.half is None else f" ± {one.half:.2g}"
    word = {"pass": "holds", "fail": "does not hold"}.get(one.state, "open")
    if one.n == 1:
        word = f"not evidenced, one run ({'inside' if one.inside else 'outside'})"
    return f"{one.mean:.4g}{half} {one.unit}".rstrip() + f": {word}"


def _runs(document: Mapping[str, Any]) -> str:
    completed = sum(run["status"] == "completed" for run in document["runs"])
    return f"{completed} run" + ("s" if completed != 1 else "") + " here"


def _values(document: Mapping[str, Any]) -> dict[str, str]:
    return {name: _value(document["metrics"][name]) for name in METRICS if name in document["metrics"]}


def _value(metric: Mapping[str, Any]) -> str:
    half = "" if metric["ci95"] is None else f" ± {metric['ci95']:.2f}"
    return f"{metric['value']:.2f}{half}"


def show(seen: Comparison) -> None:
    """The table and the claims in the terminal, in 80 columns. No markup is read from the text."""
    console = Console(width=COLUMNS, markup=False, highlight=False, emoji=False)
    errors = Table(title=seen.title, box=box.SIMPLE_HEAD, width=COLUMNS, padding=(0, 1, 0, 0))
    errors.add_column("", no_wrap=True)
    errors.add_column(METRICS[label_curve.METRIC], justify="right", no_wrap=True)
    errors.add_column("from")
    for row in seen.rows:
        # where the number was seen stands on the page: here it would take four lines
        source = ", ".join(row.source.split(", ")[:2])
        errors.add_row(Text(row.name), row.values.get(label_curve.METRIC, ""), Text(source, style="dim"))
    console.print(errors)
    if seen.beside:
        console.print(Padding(Text(seen.beside, style="dim"), (0, 0, 1, 0)))
    others = {metric: head for metric, head in METRICS.items() if metric != label_curve.METRIC}
    measured = Table(box=box.SIMPLE_HEAD, width=COLUMNS, padding=(0, 1, 0, 0))
    measured.add_column("")
    for head in others.values():
        measured.add_column(head.replace(", ", "\n"), justify="right", min_width=len(head.partition(",")[0]))
    for row in seen.rows:
        if row.folder:
            measured.add_row(Text(row.name), *(row.values.get(metric, "") for metric in others))
    console.print(measured)
    console.print(Padding(Text(NOTES, style="dim"), (0, 0, 1, 0)))
    if seen.claims:
        console.print(Text(CLAIMS))
        table = Table(box=box.SIMPLE_HEAD, width=COLUMNS, padding=(0, 1, 0, 0))
        table.add_column("claim, and what it asks", ratio=4)
        for head in seen.recipes:
            table.add_column(head, ratio=3)
        for claim in seen.claims:
            name = Text(claim.id.replace("-", " "))
            name.append(f"\n{claim.asked}", style="dim")
            table.add_row(name, *map(Text, claim.stands))
        console.print(table)


def page(folder: Path, seen: Comparison, failed: Mapping[str, str]) -> str:
    """The same as a page of ``folder``, with a picture from each recipe's. All text is escaped.

    No table is wider than a phone: what was measured here has a column for each recipe, and others' errors are apart.
    """
    listed = "".join(f"<li>{escape(name)}: {escape(why)}</li>" for name, why in failed.items())
    failures = f"<h2>Failed</h2><ul>{listed}</ul>" if listed else ""
    links = ", ".join(
        f'<a href="{escape(row.folder)}/report.html">{escape(row.name)}</a>' for row in seen.rows if row.folder
    )
    title = escape(f"The paper's method and this project's: {seen.title}")
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width, initial-scale=1"><title>{title}</title><style>{STYLE}</style>'
        f"<h1>{title}</h1><p>Reports: {links}. Each folder is a result of its own, to be checked and submitted by "
        f"itself.</p>{_claims(seen) if seen.claims else ''}{_measured(seen)}{_pictures(folder, seen)}{_errors(seen)}"
        f"{failures}</html>\n"
    )


def _measured(seen: Comparison) -> str:
    """What was measured here: a column for each recipe, and one for the labels alone."""
    ours = [row for row in seen.rows if row.here]
    head = "".join(f'<th scope="col">{_name(row)}<br><small>{escape(row.source)}</small></th>' for row in ours)
    lines = "".join(
        f'<tr><th scope="row">{escape(text)}</th>'
        + "".join(f"<td>{escape(row.values.get(metric, ''))}</td>" for row in ours)
        + "</tr>"
        for metric, text in METRICS.items()
    )
    return (
        f'<h2>What was measured</h2><table class="numbers"><thead><tr><th scope="col">metric</th>{head}</tr></thead>'
        f"<tbody>{lines}</tbody></table><p><small>{escape(NOTES)} Mean ± half-width of the 95 % interval over runs. "
        f"{escape(seen.beside)}</small></p>"
    )


def _errors(seen: Comparison) -> str:
    """The errors of all, those that others published among them."""
    lines = "".join(
        f'<tr><th scope="row">{_name(row)}<br><small>{escape(row.source)}</small></th>'
        f"<td>{escape(row.values.get(label_curve.METRIC, ''))}</td></tr>"
        for row in seen.rows
    )
    return (
        '<h2>The error beside what others published</h2><table class="numbers"><thead><tr><th scope="col">method</th>'
        f'<th scope="col">{escape(METRICS[label_curve.METRIC])}</th></tr></thead><tbody>{lines}</tbody></table>'
        "<p><small>Of published numbers, the ± that they give.</small></p>"
    )


def _pictures(folder: Path, seen: Comparison) -> str:
    shown = [row for row in seen.rows if row.folder and (folder / row.folder / PICTURE).is_file()]
    figures = "".join(
        f'<figure><img src="{escape(row.folder)}/{PICTURE}" alt="Styles decoded under every class">'
        f"<figcaption>{escape(row.name)}</figcaption></figure>"
        for row in shown
    )
    return f"<h2>One style under every class</h2>{figures}" if figures else ""


def _name(row: Row) -> str:
    return f'<a href="{escape(row.folder)}/report.html">{escape(row.name)}</a>' if row.folder else escape(row.name)


def _claims(seen: Comparison) -> str:
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in seen.recipes)
    lines = "".join(
        f'<tr><th scope="row">{escape(claim.id.replace("-", " "))}<br><small>{escape(claim.asked)}</small></th>'
        + "".join(f"<td>{escape(text)}</td>" for text in claim.stands)
        + "</tr>"
        for claim in seen.claims
    )
    return (
        f"<h2>Claims of the paper</h2><p>{escape(CLAIMS)}</p>"
        f'<table><thead><tr><th scope="col">claim, and what it asks</th>{head}</tr></thead>'
        f"<tbody>{lines}</tbody></table>"
    )
