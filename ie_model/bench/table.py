"""What the parts measured, as small tables for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

WIDTH = 80
PROFILE_ROWS = 15


def show(found: Mapping[str, Any], console: Console | None = None) -> None:
    """Prints a table for each part that was measured."""
    console = console or Console(width=WIDTH)
    for name, part in found["parts"].items():
        for table in PARTS[name](part):
            console.print(table)
    if "profile" in found:
        console.print(_profile(found["profile"]))


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", width=WIDTH)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right", no_wrap=number == 0)
    return table


def _spread(value: Mapping[str, float] | None, scale: float = 1.0, digits: int = 0) -> str:
    if value is None:
        return "–"
    median, low, high = (f"{scale * value[key]:,.{digits}f}" for key in ("median", "low", "high"))
    return median if value["n"] == 1 else f"{median} ({low}–{high})"


def _step(rows: list[dict[str, Any]]) -> list[Table]:
    tables = []
    for row in rows:
        count = f"{row['threads']} thread{'s' if row['threads'] > 1 else ''}"
        n = next(iter(row["forms"].values()))["images"]["per_second"]["n"]
        table = _table(
            f"Training step, {count}: median (least–most) of {n} rounds",
            *("form", "images/s", "× usual", "× by CPU", "% matmul"),
        )
        for name, form in row["forms"].items():
            times, share = form["times_usual_m2"], form.get("share_of_matmul")
            table.add_row(
                name,
                _spread(form["images"]["per_second"]),
                _spread(times["wall"], digits=1),
                _spread(times["cpu"], digits=1),
                _spread(share["wall"] if share else None, 100),
            )
        limit = row["matmul"]
        table.caption = (
            f"matmul: {_spread(limit['operations_per_second'], 1e-9)} GFLOP/s in fp32 at {limit['best']}; a step is "
            f"{row['batch']['unlabelled']} unlabelled and {row['batch']['labelled']} labelled images; "
            "× usual: images/s over those of the usual M2"
        )
        tables.append(table)
    return tables


def _matmul(rows: list[dict[str, Any]]) -> list[Table]:
    table = _table("Square matrix products: median (least–most)", "threads and type", "size", "GFLOP/s")
    for row in rows:
        for size, rate in row["by_size"].items():
            table.add_row(f"{row['threads']}, {row['type']}", size, _spread(rate, 1e-9))
    return [table]


def _startup(part: dict[str, Any]) -> list[Table]:
    table = _table("Start-up: median (least–most) seconds", "ie-model …", "seconds")
    for name, seconds in part["commands"].items():
        table.add_row(name, _spread(seconds, digits=2))
    recipe = part["recipe"]
    if recipe is None:
        table.caption = f"the recipe was not measured: {part['why']}"
    else:
        table.add_section()
        table.add_row("the _smoke recipe", _spread(recipe["seconds"], digits=1))
        table.add_row("  beside training and evaluation", _spread(recipe["rest"], digits=1))
    return [table]


def _grid(part: dict[str, Any]) -> list[Table]:
    title = f"{part['draws']} draws of {part['images']:,} images on {part['cores']} cores: median (least–most)"
    table = _table(title, "way", "seconds", "memory at once")
    for row in part["ways"]:
        way = f"{row['processes']} at once, threads of each: {row['threads']}"
        table.add_row(way, _spread(row["seconds"], digits=1), f"{row['peak_rss_bytes_at_once'] / 2**30:.1f} GiB")
    return [table]


def _profile(rows: list[dict[str, Any]]) -> Table:
    table = _table("Profile of a training step: the longest operators", "operator", "own ms", "share", "calls")
    total = sum(row["ms_per_step"] for row in rows)
    for row in rows[:PROFILE_ROWS]:
        share = f"{100 * row['ms_per_step'] / total:.1f} %"
        table.add_row(row["operator"][:44], f"{row['ms_per_step']:.2f}", share, str(row["calls"]))
    return table


def _time_to_error(part: dict[str, Any]) -> list[Table]:
    marks = [f"{mark:g}" for mark in part["marks"]]
    title = f"Seconds of training to a test error below, median of {part['draws']} draws"
    table = _table(title, "method", *(f"{mark} %" for mark in marks))
    for method, found in part["median_seconds_to"].items():
        table.add_row(method, *("not reached" if found[mark] is None else f"{found[mark]:.0f}" for mark in marks))
    table.caption = f"chosen on validation images; the usual M2 is stopped after {part['cap']:.0f} s"
    return [table]


PARTS: dict[str, Callable[[Any], list[Table]]] = {
    "step": _step,
    "matmul": _matmul,
    "startup": _startup,
    "grid": _grid,
    "time-to-error": _time_to_error,
}
