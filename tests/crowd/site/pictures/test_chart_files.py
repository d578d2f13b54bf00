"""Charts as files: whole by themselves, the same on every machine, and nothing in them that leads elsewhere."""

import csv
import io
import re
import xml.etree.ElementTree as ET

import pytest

pytest.importorskip("starlette")
from ie_crowd.site.charts import png, standalone
from sites import client, fill
from toy_challenge.make import RULES

LABELS = "/charts/labels.{}?dataset=gauges"
POINTS = "/charts/points.{}?x=wall_seconds"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    engine = fill(tmp_path_factory.mktemp("pictures") / "store.sqlite3")
    with client(engine) as one:
        one.ids, one.engine = engine.ids, engine
        yield one
    engine.dispose()


def size(content):
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")


def test_each_chart_leads_to_its_files(site):
    pages = "/results?view=chart", "/results?view=chart&x=wall_seconds&dataset=gauges"
    for path in pages:
        page = site.get(path).text
        found = re.findall(r'href="(/charts/[^"]+)" download', page)
        assert [one.partition("?")[0].rpartition(".")[2] for one in found] == ["svg", "png", "csv"]
        for one in found:
            answer = site.get(one.replace("&amp;", "&"))
            assert answer.status_code == 200
            assert answer.headers["content-disposition"].startswith('attachment; filename="')


@pytest.mark.parametrize("path", [LABELS, POINTS])
def test_a_chart_as_svg_stands_by_itself(site, path):
    answer = site.get(path.format("svg"))
    assert answer.headers["content-type"] == "image/svg+xml"
    root = ET.fromstring(answer.content)  # noqa: S314 our own drawing
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "var(" not in answer.text
    assert "<style>" in answer.text
    for name in set(re.findall(r"class=\"[^\"]*\b(s\d)\b", answer.text)):
        assert f".{name} {{ color: #" in answer.text
    png.check(answer.text)
    words = "".join(root.itertext())
    assert "gauges" in words
    assert RULES.paper["title"] in words


@pytest.mark.parametrize("path", [LABELS, POINTS])
def test_a_chart_as_png_is_twice_as_large(site, path):
    pytest.importorskip("resvg_py")
    drawn = ET.fromstring(site.get(path.format("svg")).content)  # noqa: S314
    answer = site.get(path.format("png"))
    assert answer.headers["content-type"] == "image/png"
    assert size(answer.content) == (2 * int(drawn.get("width")), 2 * int(drawn.get("height")))
    assert site.get(path.format("png") + "&width=9000&scale=50").content == answer.content
    again = site.get(path.format("png"), headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_chart_as_csv_holds_its_numbers(site):
    rows = list(csv.DictReader(io.StringIO(site.get(LABELS.format("csv")).text)))
    assert {row["kind"] for row in rows} <= {"measured", "published by others"}
    assert {row["dataset"] for row in rows} == {"gauges"}
    points = list(csv.DictReader(io.StringIO(site.get(POINTS.format("csv")).text)))
    assert {row["id"] for row in points} <= set(site.ids.values())
    assert len(points) == 5


@pytest.mark.parametrize(
    "path",
    [
        "/charts/labels.gif?dataset=gauges", "/charts/labels.svg", "/charts/labels.svg?dataset=none",
        "/charts/points.svg?x=wall_seconds&submitter=nobody", "/charts/nothing.svg",
    ],
)  # fmt: skip
def test_what_there_is_no_chart_of(site, path):
    assert site.get(path).status_code == 404


def test_without_the_renderer_there_is_no_png_and_no_word_of_it(site, monkeypatch):
    monkeypatch.setattr(png, "available", lambda: False)
    with client(site.engine) as site:
        page = site.get("/results?view=chart").text
        assert "/charts/labels.svg" in page
        assert ".png" not in page
        answer = site.get(LABELS.format("png"))
        assert answer.status_code == 404
        assert "resvg_py is not installed" in answer.text


HOSTILE = (
    "</text><image href='file:///etc/passwd' xlink:href=\"http://x.test/a.png\"/><style>@import url(x)</style>&\x00\x0b"
)


def test_texts_stay_texts():
    drawn = standalone.document([standalone.text(0, 20, HOSTILE, 12, "ink")], 200, 40, HOSTILE)
    root = ET.fromstring(drawn)  # noqa: S314
    assert {one.tag.rpartition("}")[2] for one in root.iter()} == {"svg", "title", "style", "rect", "text"}
    assert root[-1].text == HOSTILE.replace("\x00", "\ufffd").replace("\x0b", "\ufffd")
    png.check(drawn)


@pytest.mark.parametrize(
    "inside",
    [
        '<image href="file:///etc/passwd" width="9" height="9"/>', '<text style="fill:red">x</text>',
        '<use href="#a"/>', '<rect fill="url(http://x.test/a.svg#b)"/>', "<style>@import 'x';</style>",
        "<style>rect { fill: url(x) }</style>", "<script>x</script>", '<text onclick="x">x</text>', "<!DOCTYPE x>",
        "<?xml-stylesheet href='x'?>", "<!-- x -->", "<a", '<foreignObject width="1"/>', '<text x="1" xlink:href="x"/>',
    ],
)  # fmt: skip
def test_a_drawing_with_anything_else_is_not_drawn(inside):
    whole = standalone.document([inside], 20, 20, "x")
    with pytest.raises(ValueError, match=r"holds|refers"):
        png.check(whole)
    with pytest.raises(ValueError, match=r"holds|refers"):
        png.draw(whole)


def test_a_picture_has_its_bounds(monkeypatch):
    with pytest.raises(ValueError, match="too large"):
        png.draw(standalone.document([], 9999, 9999, "x"))
    with pytest.raises(ValueError, match="at most"):
        png.draw(standalone.document(["x" * png.LARGEST], 9, 9, "x"))


def test_one_picture_at_a_time_and_each_once(monkeypatch):
    resvg = pytest.importorskip("resvg_py")
    drawn = []
    monkeypatch.setattr(resvg, "svg_to_bytes", lambda **asked: drawn.append(asked) or b"p" * 3_000_000)
    monkeypatch.setattr(png, "_kept", png.OrderedDict())
    monkeypatch.setattr(png, "WAIT_SECONDS", 0.01)
    whole = [standalone.document([], 9, 9, f"{number}") for number in range(4)]
    assert png.draw(whole[0]) == png.draw(whole[0])
    assert len(drawn) == 1
    assert drawn[0]["skip_system_fonts"]
    for one in whole[1:]:
        png.draw(one)
    assert len(png._kept) == 2, "8 MiB are kept"
    with png._one, pytest.raises(png.Busy):
        png.draw(whole[0])


def test_fonts_come_along():
    assert len(png.FONTS) == 2
    resvg = pytest.importorskip("resvg_py")
    empty = resvg.svg_to_bytes(svg_string=standalone.document([], 90, 30, ""), skip_system_fonts=True)
    written = png.draw(standalone.document([standalone.text(5, 20, "±✓Ωж", 14, "ink")], 90, 30, ""))
    assert size(written) == size(empty) == (90, 30)
    assert written != empty
