"""What other sites show beside a link: one picture of 1200 by 630 for each page, whose texts stay inside of it."""

import html
import re
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import pytest

pytest.importorskip("starlette")
pytest.importorskip("resvg_py")
from ie_crowd.challenge.paper_pages import Published
from ie_crowd.site import static_export
from ie_crowd.site.charts import png
from ie_crowd.site.pictures import cards, words
from ie_crowd.site.settings import Settings
from sites import client, fill
from toy_challenge.make import RULES

SITE = cards.Site("toy", "A paper " * 40, "example.org")
HOSTILE = '\u202e"><image href="file:///etc/passwd"/>\x00' + "W" * 300


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    one = fill(tmp_path_factory.mktemp("cards") / "store.sqlite3")
    yield one
    one.dispose()


@pytest.fixture(scope="module")
def site(engine):
    with client(engine, base_url="http://localhost") as one:
        yield one


def told(page):
    """The content of each meta element by its property or name."""
    found = re.findall(r'<meta (?:property|name)="([^"]+)" content="([^"]*)"', page)
    return {name: html.unescape(content) for name, content in found}


@pytest.mark.parametrize(
    ("path", "picture"),
    [
        ("/", "/og.png"), ("/challenge", "/og.png"), ("/results", "/og.png"), ("/ranking", "/ranking/og.png"),
        ("/results?view=chart", "/charts/og.png"), ("/results?view=chart&x=wall_seconds", "/charts/og.png"),
        ("/results/ada", "/results/ada/og.png"),
    ],
)  # fmt: skip
def test_each_page_names_its_picture(site, engine, path, picture):
    path, picture = (one.replace("ada", engine.ids["ada"]) for one in (path, picture))
    found = told(site.get(path).text)
    assert found["og:image"].partition("?")[0] == f"http://localhost{picture}"
    assert found["twitter:card"] == "summary_large_image"
    assert found["og:image:alt"]
    assert (found["og:image:width"], found["og:image:height"]) == ("1200", "630")
    answer = site.get(found["og:image"])
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    assert answer.content[16:24] == (1200).to_bytes(4, "big") + (630).to_bytes(4, "big")


def test_what_is_not_published_has_none(site, engine):
    assert site.get(f"/results/{engine.ids['bad']}/og.png").status_code == 404
    assert site.get("/ranking/og.png?dataset=nothing").status_code == 404
    assert site.get("/charts/og.png?dataset=nothing").status_code == 404


def test_without_the_renderer_no_page_names_one(engine, monkeypatch):
    monkeypatch.setattr(png, "available", lambda: False)
    with client(engine) as site:
        found = told(site.get("/").text)
        assert "og:image" not in found
        assert found["twitter:card"] == "summary"


def every_card():
    finding = SimpleNamespace(
        sign=("✓", "pass"),
        claim=SimpleNamespace(
            id="a-claim-of-the-paper-that-is-as-long-as-an-id-may-be-and-longer-than-a-line-of-a-picture", text=HOSTILE
        ),
        state="holds in part",
    )
    entry = SimpleNamespace(submitter=HOSTILE, method=HOSTILE, mean=1e9, ci95=1e8)
    line = SimpleNamespace(entry=entry, place="12=", drawn='<svg class="forest" viewBox="0 0 160 18"></svg>')
    others = [Published("d", HOSTILE, "s", 1, 1.0 + number / 90, None) for number in range(30)]
    measured = cards.Measured(HOSTILE, HOSTILE, [1.0, 2.0], 1.5, 0.3, others)
    chart = '<svg class="chart" viewBox="0 0 9 9"></svg>'
    return {
        "front": cards.front(SITE, HOSTILE, [finding] * 9),
        "ranking": cards.ranking(SITE, HOSTILE, HOSTILE, [line] * 9, HOSTILE, 9),
        "chart": cards.chart(SITE, HOSTILE, chart, (9, 9), [("", HOSTILE)] * 20),
        "result": cards.result(SITE, HOSTILE, HOSTILE, measured, HOSTILE, [(HOSTILE, True), (HOSTILE, False)]),
        "result of nothing": cards.result(SITE, "t", "k", None, "", []),
    }


@pytest.mark.parametrize("name", list(every_card()))
def test_texts_of_others_stay_inside_of_the_picture(name):
    drawing = every_card()[name]
    png.check(drawing)
    root = ET.fromstring(drawing)  # noqa: S314 our own drawing
    assert root.get("viewBox") == "0 0 1200 630"
    seen = 0
    for one in root.iter("{http://www.w3.org/2000/svg}text"):
        said, x, size = one.text or "", float(one.get("x")), float(one.get("font-size"))
        wide = words.width(said, size, bold=one.get("font-weight") == "bold")
        left = x - {"start": 0, "middle": wide / 2, "end": wide}[one.get("text-anchor")]
        assert left >= 20, said
        assert left + wide <= 1200, said
        assert float(one.get("y")) <= 630, said
        seen += "⟨U+202E⟩" in said
    assert bool(seen) == (name != "result of nothing")


def test_lines_are_broken_at_words_and_clipped():
    assert words.lines("one two three", 10, 60, 3) == ["one two", "three"]
    assert words.lines("one two three", 10, 60, 1) == ["one two…"]
    assert words.clipped("W" * 50, 10, 60).endswith("…")
    assert words.lines("", 10, 60, 2) == []
    assert words.width("中", 10) > words.width("a", 10) > words.width("i", 10)
    assert words.width("ab", 10) < words.width("ab", 10, bold=True)


def test_the_copy_of_files_has_the_pictures_too(engine, tmp_path):
    settings = Settings(challenges=(RULES.folder,), base_url="https://example.org/x")
    written = static_export.export(engine, tmp_path / "out", settings)
    assert written.failed == []
    for path in (
        "index.html",
        "ranking/index.html",
        f"results/{engine.ids['ada']}/index.html",
        "results/view-chart.html",
    ):
        address = told((tmp_path / "out" / path).read_text(encoding="utf-8"))["og:image"]
        assert address.startswith("https://example.org/x/")
        assert (tmp_path / "out" / address.removeprefix("https://example.org/x/")).read_bytes()[:4] == b"\x89PNG"
