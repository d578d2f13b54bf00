"""report.html: what it says, that it loads and runs nothing, and that nothing from an artifact becomes markup."""

import base64
import contextlib
import html.parser
import itertools
import json
import math
import re
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ie_crowd.artifact import learning_curves, report_html
from ie_crowd.challenge import captions, load
from ie_crowd.check import verdict
from ie_crowd.check.finding import Item
from ie_crowd.formats import canonical_json, humanize, metrics_jsonl
from ie_crowd.formats import png as png_files
from paths import DATA, TOY
from toy_challenge.make import RULES, failed_run, run_document, write_folder

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&lt;"


def png(width=3, height=2, *, extra=b"", header=None):
    """A small grey PNG, with ``extra`` chunks before its pixels."""
    pixels = zlib.compress(b"".join(b"\0" + b"\x80" * width for _ in range(height)))
    header = header or struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), *([(b"tEXt", extra)] if extra else []), (b"IDAT", pixels), (b"IEND", b"")]
    parts = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def folder(tmp_path):
    """A results folder of the toy challenge with two runs, curves and a picture."""
    place = tmp_path / "results here"
    write_folder(place)
    return place


def rewritten(folder, change):
    """Change result.json as its sender could: valid by the schema, with the identity of its content."""
    path = folder / "result.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    change(found)
    found["id"] = canonical_json.identity(found)
    path.write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")


class Page(html.parser.HTMLParser):
    """The elements and texts of a page; asserts that what is opened is closed, in order."""

    VOID = ("meta", "img", "link", "br", "hr", "line", "circle", "polyline")

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.texts.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def page(folder, rules=RULES):
    return Page(report_html.render(folder, rules))


# What it says


def test_it_holds_everything_of_a_result(folder):
    (folder / "figures" / "levels.png").write_bytes(png())
    text = page(folder).text
    for words in (
        *("gauges, supervised, all labels", "Forecasting river levels from rainfall", "The Rivers Group"),
        *("2 of 2 completed", "closed", "NVIDIA H100 80GB HBM3", "2026-01-02 03:04 UTC", "12.5 s", "20.2 s"),
        *("forecast.mae", "mean absolute error, one day ahead", "5.00", "1.41", "−7.71 to 17.71", "cm", "lower"),
        *("Intel(R) Xeon(R) CPU @ 2.20GHz", "8.0 GiB", "550.54.15", "CPython 3.11.7", "river-models 13.0.96.1"),
        *("cm run script 'reproduce rivers' --data=<path>", "e" * 40, "reproduce-rivers", "not measured", "0 B"),
        *("levels.csv", "a" * 64, "window_days", "14", "wet, warm", "true", "river-levels, version 3", "256 MiB"),
    ):
        assert words in text, words


def test_one_run_has_no_interval_and_a_failed_run_says_why(tmp_path):
    write_folder(tmp_path / "a", [run_document(0, 4.0, 90.0), failed_run(1, "the flood never came")])
    text = page(tmp_path / "a").text
    assert "1 of 2 completed" in text
    assert "one run has neither deviation nor interval" in text
    assert "failed : the flood never came" in text


def test_runs_of_several_machines_are_told_apart(tmp_path, folder):
    assert "machine" not in page(folder).text.partition("Runs run seed")[2].partition("Configuration")[0]
    on = ("Xeon, x86_64, CPython 3.11.7", "Neoverse, aarch64, CPython 3.11.7")
    runs = [run_document(number, 4.0 + number, 90.0) | {"machine": machine} for number, machine in enumerate(on)]
    write_folder(tmp_path / "a", runs)
    text = page(tmp_path / "a").text
    assert all(machine in text for machine in on)


def test_the_summary_says_what_failed(folder):
    assert "No check of this folder failed." in page(folder).text
    (folder / "runs" / "0" / "model.safetensors").write_bytes(b"other weights")
    text = page(folder).text
    assert re.search(r"\d of \d+ checks of this folder failed\. Failed: [^.]*\bfiles\b", text)


def test_claims_and_checklists_are_judged_too(folder):
    text = page(folder).text
    for words in (
        "Integrity",
        "Validity",
        "ACM artifact badges",
        "needs a person",
        "What the evidence is consistent with",
    ):
        assert words in text, words


def test_items_of_any_kind_are_shown_and_escaped(folder, monkeypatch):
    items = tuple(
        Item(f"item {state}", state, "/x", f"because {state} {EVIL}", "validity") for state in report_html.STATES
    )
    claims = (Item("claim", "needs a person", "/y", "who?", "claims"),)
    found = verdict.Verdict(
        {},
        "hashes",
        (
            verdict.Group("validity", "Of the rules", "", {}, items),
            verdict.Group("claims", EVIL, EVIL, {}, claims),
        ),
        (),
    )
    monkeypatch.setattr(verdict, "judge", lambda *_: found)
    seen = page(folder)
    assert "1 of 5 checks of this folder failed. Failed: item fail ." in seen.text
    assert "✗ 1 fail ○ 1 not evidenced ✎ 1 needs a person ✓ 1 pass – 1 not applicable" in seen.text
    for state in report_html.STATES:
        assert f"because {state} {EVIL}" in seen.texts
    assert EVIL in seen.texts
    assert not seen.all("script")


def test_what_rests_on_the_sums_is_left_to_the_check(folder):
    before = report_html.render(folder, RULES)
    (folder / "SHA256SUMS").unlink()
    (folder / "ro-crate-metadata.json").write_text("{}")
    assert report_html.render(folder, RULES) == before
    assert "not for this page to say" in before


def test_an_unknown_challenge_costs_its_verdicts_only(folder):
    text = Page(report_html.render(folder)).text
    assert "No verdicts: no challenge 'river-levels' here" in text
    assert "5.00" in text


def test_an_unfinished_folder_says_so(folder):
    assert "has not come to its end" not in page(folder).text
    (folder / "incomplete.json").write_text("{}")
    assert "has not come to its end" in page(folder).text
    assert "has not come to its end" not in report_html.render(folder, RULES, complete=True)


def test_the_same_folder_gives_the_same_page(folder):
    first = report_html.write(folder, RULES).read_bytes()
    assert report_html.write(folder, RULES).read_bytes() == first


@pytest.mark.parametrize(
    "name", ["semi-supervised-one-run", "five-runs-one-failed", "supervised", "open-division-smoke"]
)
def test_a_lone_result_of_any_kind_has_a_page(tmp_path, name):
    source = DATA / "results" / "schema-1" / f"{name}.json"
    (tmp_path / "result.json").write_bytes(source.read_bytes())
    seen = Page(report_html.render(tmp_path))
    assert "swap.accuracy" in seen.text
    assert "runs/0/metrics.jsonl is not here" in seen.text


# That it is safe to open


def test_it_loads_and_runs_nothing(folder):
    (folder / "figures" / "levels.png").write_bytes(png())
    (folder / "runs" / "0" / "metrics.jsonl").write_text(lines({"epoch": 1, "loss": 3}, {"epoch": 2, "loss": 2}))
    seen = page(folder)
    assert not [tag for tag in ("script", "link", "iframe", "object", "embed", "form", "base") if seen.all(tag)]
    for tag, attributes in seen.elements:
        assert not any(name.startswith("on") for name in attributes), tag
        for name in ("src", "href", "xlink:href", "action", "srcset", "style"):
            value = attributes.get(name)
            allowed = value is None or value.startswith(("#", "data:image/png;base64,")) or value == RULES.paper["url"]
            assert allowed, (tag, name, value)
    policy = next(meta["content"] for meta in seen.all("meta") if "http-equiv" in meta)
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    assert "url(" not in report_html.render(folder, RULES).partition("</style>")[0]


def test_it_can_be_read_without_seeing_it(folder):
    (folder / "figures" / "levels.png").write_bytes(png())
    (folder / "runs" / "1" / "metrics.jsonl").write_text(lines({"epoch": 1, "loss": 3}, {"epoch": 2, "loss": 2}))
    seen = page(folder)
    assert dict(seen.elements[0][1])["lang"] == "en"
    levels = [int(tag[1]) for tag, _ in seen.elements if tag in ("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert all(image["alt"] for image in seen.all("img"))
    assert all(head.get("scope") in ("col", "row") for head in seen.all("th"))
    assert all(graph.get("aria-labelledby") or graph.get("aria-hidden") for graph in seen.all("svg"))
    names = [attributes["id"] for _, attributes in seen.elements if "id" in attributes]
    assert len(names) == len(set(names))
    for _, attributes in seen.elements:
        for reference in [
            *attributes.get("aria-labelledby", "").split(),
            *attributes.get("aria-describedby", "").split(),
        ]:
            assert reference in names
    assert {link["href"][1:] for link in seen.all("a") if link["href"].startswith("#")} <= set(names)
    assert "run 1: 3 in epoch 1, 2 in epoch 2" in seen.text


def test_nothing_from_a_result_becomes_markup(folder):
    def change(found):
        found["paper"]["title"] = EVIL
        found["provenance"]["command"] = EVIL
        found["runs"][1].update(status="failed", error=EVIL, metrics={})
        found["submitter"]["name"] = 'a "quoted" name'

    rewritten(folder, change)
    seen = page(folder)
    assert not seen.all("script")
    assert not seen.all("img")
    assert not any(name.startswith("on") for _, attributes in seen.elements for name in attributes)
    assert "".join(seen.texts).count(EVIL) >= 3


def test_names_in_any_script_and_direction_are_kept_apart(folder):
    rewritten(folder, lambda found: found["submitter"].update(name="مجموعة الأنهار 川のグループ"))
    text = report_html.render(folder, RULES)
    assert "<bdi>مجموعة الأنهار 川のグループ</bdi>" in text


def test_a_character_that_turns_the_text_is_refused(folder):
    rewritten(folder, lambda found: found["submitter"].update(name="a\u202eb"))
    with pytest.raises(ValueError, match=r"U\+202E"):
        report_html.render(folder, RULES)


def test_huge_and_tiny_numbers_fit(folder):
    def change(found):
        for key, value in (("value", -1e12), ("sd", 1e13), ("ci95", 1e14)):
            found["metrics"]["forecast.mae"][key] = value
        found["metrics"]["flood.recall"].update(value=1e-12)
        found["cost"].update(wall_seconds=1e12, cpu_seconds=1e15, energy_joules_estimated=1e15, download_bytes=2**50)
        found["config"].update(damping=1e-300, season="x" * 100)
        found["runs"][0].update(images_per_second=1e12, wall_seconds=1e9)

    rewritten(folder, change)
    text = page(folder).text
    for words in ("−1.00e+12", "1.00e+13", "1.00e−12", "1,024 TiB", "277,777,777 h 46 min"):
        assert words in text, words


def test_a_result_that_the_schema_refuses_has_no_page(folder):
    rewritten(folder, lambda found: found["paper"].update(url="javascript:alert(1)"))
    with pytest.raises(ValueError, match="/paper/url"):
        report_html.render(folder, RULES)


# Curves


def history_of(folder, text, run=0):
    (folder / "runs" / str(run) / "metrics.jsonl").write_bytes(text if isinstance(text, bytes) else text.encode())
    return metrics_jsonl.read(report_html.reader(folder), [run])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"epoch": 1, "loss": NaN}\n', "line 1: NaN is not a JSON number"),
        ('{"epoch": 1, "loss": 1}\n{"epo', "line 2: is not JSON"),
        ('{"epoch": 1}\n{"epoch": 1}\n', "line 2: expected an object whose epoch is a number that grows"),
        ('{"loss": 1}\n', "line 1: expected an object"),
        ("[1]\n", "line 1: expected an object"),
        ('{"epoch": true}\n', "line 1: expected an object"),
        ('{"epoch": 1, "<b>": 1}\n', "line 1: '<b>' is not a name"),
        ('{"epoch": 1, "loss": 1e300}\n', "line 1: loss is 1e+300, beyond"),
        ('{"epoch": 1, "loss": {"a": {"b": 1}}}\n', "line 1: is nested more than"),
        ("\n", "line 1: is empty"),
        (b"\xff\xfe", "line 1: is not UTF-8"),
        ('{"epoch": 1}' + " " * 20_000, "line 1: holds"),
        ("1\n" * 20_001, "holds more than 20,000 lines"),
        (b" " * (4 * 2**20 + 1), "at most 4,194,304 are read"),
    ],
)
def test_a_damaged_history_costs_its_curves_only(folder, text, message):
    found = history_of(folder, text)
    assert found.series == {}
    assert len(found.problems) == 1
    assert message in found.problems[0]
    assert message in page(folder).text
    assert "5.00" in page(folder).text


def test_a_history_behind_a_link_or_missing_is_not_followed(folder, tmp_path):
    secret = tmp_path / "secret.jsonl"
    secret.write_text(lines({"epoch": 1, "secret": 1}))
    path = folder / "runs" / "0" / "metrics.jsonl"
    path.unlink()
    path.symlink_to(secret)
    assert "symbolic link" in metrics_jsonl.read(report_html.reader(folder), [0]).problems[0]
    path.unlink()
    assert metrics_jsonl.read(report_html.reader(folder), [0]).problems == ["runs/0/metrics.jsonl is not here"]


def test_texts_and_nulls_are_passed_over(folder):
    found = history_of(folder, lines({"epoch": 1, "loss": 2, "note": "x", "best": True, "other": None}))
    assert found.series == {"loss": [(0, [(1.0, 2.0)])]}


def test_captions_give_order_and_units(folder, monkeypatch):
    (folder / "runs" / "0" / "metrics.jsonl").write_text(
        lines({"epoch": 1, "zeta": 1, "loss": 2}, {"epoch": 2, "zeta": 1, "loss": 1})
    )
    words = captions.Captions({"loss": captions.Curve("cm", "mean loss & more")}, {})
    monkeypatch.setattr(report_html, "rules_of", lambda _: (RULES, words, ""))
    text = page(folder).text
    assert text.index("loss (cm)") < text.index("zeta (unit not stated)")
    assert "mean loss & more" in text


def points(*values):
    return [(float(epoch), value) for epoch, value in enumerate(values, 1)]


@pytest.mark.parametrize(
    "values",
    [(1.0,), (0.0, 0.0), (5.0, 5.0), (-1e15, 1e15), (1e-15, 2e-15), (1e15, 1e15), (-3.0, 4.0), (1.0, 1.0 + 1e-12)],
)
def test_a_graph_of_any_values_is_drawn_inside_its_frame(values):
    drawn = learning_curves.svg("loss (cm)", [(0, points(*values))], [0], "c")
    seen = Page(drawn)
    assert "nan" not in drawn
    assert "inf" not in drawn
    for circle in seen.all("circle"):
        assert learning_curves.LEFT - 1 <= float(circle["cx"]) <= learning_curves.WIDTH
        assert 0 <= float(circle["cy"]) <= learning_curves.HEIGHT - learning_curves.BOTTOM + 1


def test_a_graph_escapes_and_is_as_long_as_it_must_be():
    drawn = learning_curves.svg(EVIL, [(0, [(float(x), float(x % 7)) for x in range(20_000)])], [0], "c")
    assert "<script" not in drawn
    assert len(drawn) < 20_000
    assert learning_curves.svg("loss", [(0, [])], [0], "c") == ""


def test_a_run_looks_the_same_in_every_graph():
    whole = learning_curves.svg("a", [(0, points(1, 2)), (2, points(2, 3))], [0, 2], "c")
    part = learning_curves.svg("b", [(2, points(2, 3))], [0, 2], "c")
    line = Page(part).all("polyline")[0]
    assert {key: line[key] for key in ("class", "stroke-dasharray")} in [
        {key: other[key] for key in ("class", "stroke-dasharray")} for other in Page(whole).all("polyline")
    ]
    many = learning_curves.svg("a", [(run, points(1, run)) for run in range(30)], list(range(30)), "c")
    assert {line["class"] for line in Page(many).all("polyline")} == {"line many"}


# Pictures


def test_a_picture_is_embedded_without_its_texts(folder):
    (folder / "figures" / "levels.png").write_bytes(png(extra=b"Author\0Ada at her own machine"))
    image = page(folder).all("img")[0]
    content = base64.b64decode(image["src"].partition(",")[2])
    assert content == png()
    assert (image["alt"], image["width"], image["height"]) == ("Levels", "3", "2")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a PNG"),
        (b"<svg onload=alert(1)>", "is not a PNG"),
        (b"GIF89a", "is not a PNG"),
        (png()[:-4], "cut off"),
        (png()[:20], "cut off"),
        (b"\x89PNG\r\n\x1a\n", "cut off"),
        (png()[:8] + b"\xff\xff\xff\xffIHDR" + png()[16:], "cut off"),
        (png()[:-5] + b"x" + png()[-4:], "damaged"),
        (png()[:8] + png()[33:], "does not begin with one header"),
        (png()[:33] + png()[8:33] + png()[33:], "does not begin with one header"),
        (png(header=struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)), "100000 × 100000 pixels"),
        (png(header=struct.pack(">IIBBBBB", 0, 2, 8, 0, 0, 0, 0)), "0 × 2 pixels"),
    ],
)
def test_what_is_no_picture_is_not_shown(folder, content, message):
    (folder / "figures" / "levels.png").write_bytes(content)
    seen = page(folder)
    assert not seen.all("img")
    assert message in seen.text


def test_pictures_are_limited_in_number_and_size(tmp_path):
    (tmp_path / "figures").mkdir()
    files = []
    for number in range(20):
        (tmp_path / "figures" / f"{number:02}.png").write_bytes(png())
        files.append({"path": f"figures/{number:02}.png"})
    found = png_files.read(report_html.reader(tmp_path), files)
    assert len(found.shown) == png_files.MOST_PICTURES
    assert "too many or too large" in found.problems[0]
    (tmp_path / "figures" / "00.png").write_bytes(b"x" * (png_files.MOST_BYTES + 1))
    assert "at most" in png_files.read(report_html.reader(tmp_path), files[:1]).problems[0]
    (tmp_path / "figures" / "00.png").unlink()
    (tmp_path / "figures" / "00.png").symlink_to(tmp_path / "figures" / "01.png")
    assert "symbolic link" in png_files.read(report_html.reader(tmp_path), files[:1]).problems[0]


def test_a_caption_of_null_leaves_a_picture_out(folder, monkeypatch):
    (folder / "figures" / "levels.png").write_bytes(png())
    monkeypatch.setattr(report_html, "rules_of", lambda _: (RULES, captions.Captions({}, {"levels": None}), ""))
    assert not page(folder).all("img")
    monkeypatch.setattr(
        report_html, "rules_of", lambda _: (RULES, captions.Captions({}, {"levels": "the <levels>"}), "")
    )
    assert page(folder).all("img")[0]["alt"] == "the <levels>"


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reading_of_a_history(content):
    with contextlib.suppress(ValueError):
        for values in metrics_jsonl.parse(content).values():
            assert all(math.isfinite(x) and math.isfinite(y) for x, y in values)


@given(
    st.lists(
        st.tuples(st.floats(-1e15, 1e15), st.floats(-1e15, 1e15)), min_size=1, max_size=20, unique_by=lambda p: p[0]
    )
)
def test_any_numbers_give_a_graph_of_finite_numbers(values):
    drawn = learning_curves.svg("loss (cm)", [(0, sorted(values))], [0], "c")
    for number in re.findall(r' (?:c?[xy][12]?|points)="([^"]*)"', drawn):
        assert all(math.isfinite(float(part)) for part in re.split("[ ,]", number))
    assert len(drawn) < 20_000


@given(st.integers(0, len(png()) - 1), st.binary(min_size=0, max_size=8))
def test_no_bytes_break_the_reading_of_a_picture(at, content):
    with contextlib.suppress(ValueError):
        width, height, kept = png_files.clean(png()[:at] + content + png()[at + len(content) :])
        assert png_files.clean(kept) == (width, height, kept)


# Words and numbers


def test_the_captions_here_can_be_read():
    words = captions.load(load.find("ie-repr"))
    assert words.curves["bound"].unit == "nats"
    assert words.figures["styles"]
    assert "5,000" in words.headline
    assert captions.load(TOY) == captions.Captions()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "the file is [], expected a mapping"),
        ("curve: {}", "expected the keys"),
        ("curves: []", "expected a mapping"),
        ("headline: [a]", "expected a text"),
        ("curves: {a: nats}", "curves.a is 'nats', expected a mapping"),
        ("curves: {a: {unit: nats}}", "curves.a is ['unit'], expected the keys: unit what"),
        ("curves: {a: {unit: 1, what: x}}", "expected a text"),
        ("figures: {a: [1]}", "expected a text"),
        ("figures: {a: !!python/name:os.system x}", "a YAML tag"),
    ],
)
def test_captions_that_are_wrong_are_one_line(tmp_path, text, message):
    (tmp_path / "captions.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"captions\.yaml") as caught:
        captions.load(tmp_path)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "–"), (0.0, "0.00"), (-0.004, "−4.00e−03"), (-0.006, "−0.01"), (1234.5, "1,234.50"), (1e7, "1.00e+07")],
)
def test_fixed(value, expected):
    assert humanize.fixed(value, 2) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "–"), (0, "0 B"), (1023, "1,023 B"), (1024, "1.0 KiB"), (2**30, "1.0 GiB"), (150 * 2**20, "150 MiB")],
)
def test_sizes(value, expected):
    assert humanize.size(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(None, "–"), (0, "0.0 s"), (59.94, "59.9 s"), (61, "1 min 01 s"), (3661, "1 h 01 min")]
)
def test_durations(value, expected):
    assert humanize.duration(value) == expected


def test_energies():
    assert humanize.energy(None) == "not measured"
    assert humanize.energy(7200) == "7,200 J (2.00 Wh)"
    assert humanize.energy(3.6e6) == "3,600,000 J (1.00 kWh)"
