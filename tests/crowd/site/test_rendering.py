"""The pieces that pages are made of: axes and markers, words of a challenge, numbers, the commands."""

import math
import re
import shlex
import socket
import xml.etree.ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("starlette")
from ie_crowd import __main__ as command_line
from ie_crowd.challenge import paper_pages
from ie_crowd.challenge.model import Metric
from ie_crowd.challenge.paper_pages import Published
from ie_crowd.cli import site
from ie_crowd.site import supervisor
from ie_crowd.site.charts import by_labels, points, svg
from ie_crowd.site.rendering import present
from ie_crowd.store import database
from paths import ROOT
from toy_challenge.make import RULES

ERROR = Metric("%", "lower", 0, 100, None, "error")


def values(low=-1e12, high=1e12):
    return st.lists(st.floats(low, high, allow_nan=False), min_size=1, max_size=20)


# Axes


@given(values())
def test_a_linear_axis_holds_its_values_between_its_ends(found):
    axis = svg.linear(found, 10, 110)
    room = 1e-6 * (axis.high - axis.low)
    assert axis.low - room <= min(found) <= max(found) <= axis.high + room
    assert all(10 <= axis.at(value) <= 110 for value in found)
    assert 2 <= len(axis.places) <= 9
    assert [axis.at(value) for value, _ in axis.places] == sorted(axis.at(value) for value, _ in axis.places)


@given(values(1e-6, 1e12))
def test_a_logarithmic_axis_does_too(found):
    axis = svg.logarithmic(found, 10, 110)
    assert axis.low <= min(found) * 1.001
    assert axis.high >= max(found) * 0.999
    assert all(10 <= axis.at(value) <= 110 for value in found)
    assert len(axis.places) >= 2


def test_an_axis_begins_at_nothing_where_that_is_near():
    assert svg.linear([2.0, 10.0], 0, 1, zero=True).low == 0
    assert svg.linear([9.0, 10.0], 0, 1, zero=True).low > 0
    assert svg.linear([-5.0, 10.0], 0, 1, zero=True).low < 0


def test_pages_to_lead_to():
    assert present.near(1, 1) == [1]
    assert present.near(1, 8) == [1, 2, 3, None, 8]
    assert present.near(5, 9) == [1, None, 3, 4, 5, 6, 7, None, 9]
    assert present.near(4, 5) == [1, 2, 3, 4, 5]


def test_values_that_are_spread_out():
    assert svg.spread_out([1.0, 100.0])
    assert not svg.spread_out([0.0, 100.0])
    assert not svg.spread_out([1.0, 10.0])


def test_each_series_has_a_shape_of_its_own():
    shapes = {re.search(r' d="([^"]+)"', svg.marker(series, 0, 0))[1] for series in range(svg.SERIES)}
    assert len(shapes) == svg.SERIES == len(set(svg.DASHES))


def test_texts_in_charts_are_escaped():
    drawn = svg.image("a", "<b>", '"&', [svg.marker(0, 1, 2, title="<i>")], 10, 10, "chart")
    assert "<b>" not in drawn
    assert "<i>" not in drawn
    assert "&lt;b&gt;" in drawn


# Charts


def row(**changes):
    base = {"dataset": "gauges", "supervision": "supervised", "labels": 100, "division": "closed", "method": ""}
    return {**base, "results": 3, "submitters": 2, "mean": 4.0, "ci95": 1.0, "low": 3.5, "high": 4.5, **changes}


def test_a_chart_for_each_data_set_with_what_others_published():
    rows = [row(), row(labels="all", mean=2.0, ci95=None), row(division="open", mean=5.0), row(dataset="synthetic")]
    others = [Published("gauges", "M<2>", "somebody 2014", 100, 11.97, 1.71)]
    first, second = by_labels.charts(rows, "error", ERROR, others)
    assert (first.dataset, second.dataset) == ("gauges", "synthetic")
    assert [text for _, _, text in first.legend] == [
        "supervised, closed division, measured",
        "supervised, open division, measured",
        "published by others",
    ]
    assert second.published == []
    drawn = xml.etree.ElementTree.fromstring(first.svg)  # noqa: S314 our own drawing
    texts = [element.text for element in drawn.iter() if element.text]
    assert "all" in texts
    assert "M<2>" in texts
    assert "M<2>, 100 labels: 11.97 (somebody 2014)" in texts
    assert first.svg.count('class="bar s') == 2, "a mean without an interval has no bar"


def test_errors_far_apart_are_drawn_by_their_ratios():
    near, far = [row(mean=4.0, ci95=None), row(labels=600, mean=2.0, ci95=None)], row(labels=1000, mean=40.0, ci95=None)
    (linear,) = by_labels.charts(near, "error", ERROR, [])
    (ratios,) = by_labels.charts([*near, far], "error", ERROR, [])
    tick = re.compile(r'class="tick" x="54.0"[^>]*>([^<]*)<')
    assert "0" in tick.findall(linear.svg)
    assert tick.findall(ratios.svg) == ["2", "5", "10", "20", "50"]
    (with_nothing,) = by_labels.charts([*near, {**far, "ci95": 100.0}], "error", ERROR, [])
    assert "0" in tick.findall(with_nothing.svg), "an interval that reaches 0 has no place on a logarithmic axis"


def test_methods_are_lines_of_their_own():
    rows = [row(method="m2", mean=9.0), row(method="equivae")]
    (chart,) = by_labels.charts(rows, "error", ERROR, [])
    assert [text for _, _, text in chart.legend] == [
        "m2, supervised, closed division, measured",
        "equivae, supervised, closed division, measured",
    ]


@given(st.floats(0, 100), st.one_of(st.none(), st.floats(0, 1e6)), st.sampled_from([1, 100, "all"]))
def test_any_mean_and_interval_is_drawn_inside(mean, ci95, labels):
    (chart,) = by_labels.charts([row(mean=mean, ci95=ci95, labels=labels)], "error", ERROR, [])
    numbers = [float(found) for found in re.findall(r'(?:x|y)="(-?[0-9.]+)"', chart.svg)]
    assert all(math.isfinite(number) and -20 <= number <= 600 for number in numbers)
    assert "nan" not in chart.svg
    assert "inf" not in chart.svg


def test_points_without_a_place_are_left_out():
    point = {"id": "a" * 64, "submitter": None, "dataset": "gauges", "labels": "all", "division": "closed"}
    whole = {**point, "x": 3.0, "x_ci95": None, "y": 4.0, "y_ci95": 0.5}
    drawn = points.draw([whole, {**whole, "y": None}], "cores", "forecast.mae", "dataset", RULES)
    assert drawn.shown == 1
    assert drawn.legend == [(0, "gauges")]
    assert points.draw([{**whole, "x": "all"}], "labels", "forecast.mae", "dataset", RULES) is None
    assert points.number("2026-01-02T00:00:00Z", "created") - points.number("2026-01-01", "created") == 1
    assert points.number(2**31, "memory_bytes") == 2


# Words


def write(folder, text):
    (folder / "pages.yaml").write_text(text, encoding="utf-8")
    return folder


def test_a_challenge_without_words_has_none(tmp_path):
    assert paper_pages.load(tmp_path) == paper_pages.Words()
    assert paper_pages.published(tmp_path) == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("abstract: one\n", "abstract is 'one', expected a list"),
        ("abstract: []\nother: 1\n", "the file is ['abstract', 'other']"),
        (
            "abstract: []\nlinks: [{text: a, url: 'javascript:alert(1)'}]\n",
            "expected an address that starts with https://",
        ),
        ("abstract: []\nlinks: [{text: a}]\n", "links[0] is ['text']"),
        ("abstract: []\nfigures: [{file: ../x.png, alt: a, caption: b}]\n", "figures is '../x.png'"),
        ("abstract: []\nfigures: [{file: x.html, alt: a, caption: b}]\n", "figures is 'x.html'"),
        ("abstract: []\nsymbols: [{symbol: x, what: ''}]\n", "symbols[0].what is ''"),
    ],
)
def test_words_that_are_wrong_are_refused_in_one_line(tmp_path, text, says):
    with pytest.raises(ValueError, match=re.escape(says)) as caught:
        paper_pages.load(write(tmp_path, text))
    assert "\n" not in str(caught.value)
    assert "pages.yaml" in str(caught.value)


def test_published_numbers_are_checked(tmp_path):
    entry = "published: [{dataset: a, method: b, source: c, errors: [{labels: many, value: 1}]}]\n"
    (tmp_path / "claims.yaml").write_text(f"claims: []\n{entry}")
    with pytest.raises(ValueError, match="labels is 'many', expected a whole number or all"):
        paper_pages.published(tmp_path)


def test_formulas_are_escaped_before_they_are_set():
    assert present.formula("r_{y} < x^{2} & <b>") == "r<sub>y</sub> &lt; x<sup>2</sup> &amp; &lt;b&gt;"
    assert present.formula("_{<script>}") == "<sub>&lt;script&gt;</sub>"


def test_options_of_commands_are_not_broken():
    assert present.command('cm run "x" --seeds=3 a--b <--c') == (
        'cm run &#34;x&#34; <span class="nowrap">--seeds</span>=3 a--b &lt;--c'
    )


def test_values_as_people_read_them():
    assert present.scalar(None) == present.scalar([]) == "–"
    assert (present.scalar(True), present.scalar(12345), present.scalar(0.003)) == ("yes", "12,345", "0.003")
    assert (present.cell(3575, "wall_seconds"), present.cell(2**30, "memory_bytes")) == ("59 min 35 s", "1.0 GiB")
    assert (present.probability(1e-9), present.probability(0.0456)) == ("p < 0.001", "p = 0.046")
    assert (present.labels("all"), present.labels(3000)) == ("all labels", "3,000 labels")


# Commands


DOCS = (ROOT / "docs" / "site.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    ie-crowd (.*?)(?:\s+#.*)?$", DOCS, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_of_the_page_on_hosting_is_one(command, monkeypatch, tmp_path, capsys):
    uvicorn = pytest.importorskip("uvicorn")
    served = []
    monkeypatch.setattr(site, "PORT", 0)
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: served.append(sockets))
    monkeypatch.setenv("IE_CROWD_STORE", str(tmp_path / "store.sqlite3"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ie-repr-results").mkdir()
    if command.startswith(("backup", "restore")):  # there is something to keep, and to bring back
        database.connect(None).dispose()
    if command.startswith("restore"):
        assert command_line.main(["backup", "crowd.zip"]) == 0
    monkeypatch.setattr(supervisor, "run", lambda count, serve, ended: (serve(), ended()))
    here = re.sub(r"--store=\S+", "", re.sub(r"--port=\d+", "--port=0", command))  # that database is somebody's own
    assert command_line.main(shlex.split(here)) == 0
    assert len(served) == command.startswith("serve")
    assert "Traceback" not in capsys.readouterr().err


def test_the_page_on_hosting_names_commands_and_the_port():
    assert {command.split()[0] for command in COMMANDS} == {"serve", "site", "user", "backup", "restore"}
    assert f"127.0.0.1:{site.PORT}" in DOCS


def test_what_cannot_be_served_is_one_line(tmp_path, capsys):
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    store = f"--store={tmp_path / 's.sqlite3'}"
    port = taken.getsockname()[1]
    for argv, says in (
        ([f"--port={port}"], f"--port={port}: cannot listen on 127.0.0.1 (address already in use)"),
        (["--host=0.0.0.0"], "say by which one it is asked for with --base-url=URL"),
        (["--base-url=example.org"], "expected an address like https://example.org/crowd"),
        ([f"--challenge={tmp_path}"], "rules.yaml"),
        ([f"--ingest={tmp_path / 'missing'}"], "is not a folder"),
    ):
        assert command_line.main(["serve", store, *argv]) == 2
        printed = capsys.readouterr()
        assert says in printed.err
        assert printed.err.count("\n") == 1
    taken.close()
    with pytest.raises(SystemExit):
        command_line.main(["serve", "--port=70000"])
