"""A result opens with what it comes to, then what there is to look at, then the numbers, then how it was made."""

import html
import re

import pytest

pytest.importorskip("starlette")
pytest.importorskip("sqlalchemy")
from ie_crowd.check.finding import Item
from ie_crowd.check.verdict import Group, Verdict
from ie_crowd.site.app import create_app
from ie_crowd.site.pages.result import sentence
from ie_crowd.site.settings import Settings
from ie_crowd.store import query
from ie_crowd.store.filters import Filter
from starlette.testclient import TestClient


def judged(integrity, claims):
    def group(name, states):
        items = tuple(Item(f"{name}.{number}", state, "", "") for number, state in enumerate(states))
        return Group(name, name, "", {state: states.count(state) for state in states}, items)

    groups = group("integrity", integrity), group("claims", claims), group("acm", ["fail"])
    return Verdict({}, "document", groups, ())


@pytest.mark.parametrize(
    ("integrity", "claims", "runs", "says"),
    [
        (["pass"], ["pass", "pass", "fail"], 5, "…fails; of the paper's claims 2 hold and 1 does not hold, by 5 runs."),
        (["pass"], ["pass"], 1, "…claims 1 holds, by 1 run. A single run supports nothing by itself."),
        (["fail"], ["not evidenced"], 3, "1 check of integrity or validity fails; it decides no claim of the paper."),
        (["fail", "fail"], [], 3, "2 checks of integrity or validity fail; it decides no claim of the paper."),
    ],
)
def test_the_verdict_in_a_sentence(integrity, claims, runs, says):
    assert sentence({"completed": runs}, judged(integrity, claims)).endswith(says.removeprefix("…"))
    assert "nothing is judged" in sentence({"completed": runs}, None)


@pytest.fixture(scope="module")
def page(references):
    asked = Filter("ie-repr", "mnist", "semi-supervised", 100, "closed", method="equivae")
    row = query.results(references, asked).rows[0]
    with TestClient(
        create_app(Settings(folders=(references.folder,)), references), base_url="http://localhost"
    ) as site:
        yield site, row, site.get(f"/results/{row['id']}").text


def test_pictures_come_before_tables_and_tables_before_settings(page):
    text = page[2]
    ids = re.findall(r'<h2 id="([a-z]+)"', text)
    order = "curves figures metrics verdicts runs environment configuration software provenance comments".split()
    assert [one for one in ids if one in order] == order
    assert text.index('class="verdict"') < text.index('class="badges"') < text.index('id="curves"')


def test_learning_curves_are_shown_even_where_only_their_picture_came_along(page):
    site, row, text = page
    section = text.split('id="curves"')[1].split("</section>")[0]
    (address, width, height) = re.search(r'<img src="([^"]+)" width="(\d+)" height="(\d+)"', section).groups()
    assert address == f"/results/{row['id']}/figures/learning_curves.png"
    assert site.get(address).headers["content-type"] == "image/png"
    assert int(width) > int(height) > 100


def test_the_contents_lead_to_what_is_there(page):
    text = page[2]
    contents = text.split('aria-label="On this page"')[1].split("</nav>")[0]
    targets = re.findall(r'href="#([a-z]+)"', contents)
    assert len(targets) >= 9
    for target in targets:
        assert f'id="{target}"' in text, target


def test_what_is_for_few_is_folded(page):
    text = page[2]
    for name in ("configuration", "software", "provenance"):
        assert re.search(rf'<details class="fold"><summary><h2 id="{name}">', text)
    assert text.count("<details") == text.count("</details>")


def test_titles_tell_results_of_one_task_apart(references, page):
    site = page[0]
    rows = query.results(references, Filter("ie-repr", "mnist", "semi-supervised", 100)).rows
    titles = [re.search(r"<title>(.*?):", site.get(f"/results/{row['id']}").text)[1] for row in rows]
    assert len(rows) >= 3
    assert len(set(titles)) == len(titles)
    assert all(html.unescape(title).startswith("mnist, semi-supervised, 100 labels, ") for title in titles)
