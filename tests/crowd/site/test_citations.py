"""What is shown can be cited and linked: BibTeX, CFF, JSON-LD, meta elements, the feed in every page, badges."""

import html
import json
import re
from xml.etree import ElementTree

import pytest
import yaml

pytest.importorskip("starlette")
pytest.importorskip("sqlalchemy")
from ie_crowd.site.app import create_app
from ie_crowd.site.rendering import citations
from ie_crowd.site.settings import Settings
from ie_crowd.store import insert
from starlette.testclient import TestClient
from toy_challenge.documents import text, toy
from toy_challenge.make import RULES

HOSTILE = "A {B} \\write18 $x$ & % # _ ~ ^"


@pytest.fixture
def paper(site_store):
    """The site about this project's paper."""
    with TestClient(create_app(Settings(), site_store), base_url="http://localhost") as one:
        yield one


def test_the_paper_in_every_form(paper):
    answer = paper.get("/cite.bib")
    assert answer.headers["content-type"] == "application/x-bibtex; charset=utf-8"
    assert answer.text.startswith("@inproceedings{feige2019,\n")
    for field in (
        "title = {{Invariant-equivariant representation learning for multi-class data}}", "author = {Ilya Feige}",
        "year = {2019}", "eprint = {1902.03251}", "archivePrefix = {arXiv}", "url = {https://",
    ):  # fmt: skip
        assert field in answer.text
    cff = yaml.safe_load(paper.get("/cite.cff").text)
    assert cff["cff-version"] == "1.2.0"
    assert cff["preferred-citation"]["type"] == "conference-paper"
    assert cff["preferred-citation"]["year"] == 2019
    assert cff["preferred-citation"]["authors"] == [{"name": "Ilya Feige"}]
    linked = paper.get("/cite.jsonld").json()
    assert (linked["@context"], linked["@type"]) == ("https://schema.org", "ScholarlyArticle")
    assert linked["author"][0]["name"] == "Ilya Feige"
    assert paper.get("/cite.docx").status_code == 404


def test_a_result_in_every_form(site):
    ada = site.ids["ada"]
    bib = site.get(f"/results/{ada}/cite.bib").text
    assert bib.startswith(f"@misc{{{RULES.id}-{ada[:10]},\n")
    assert f"sha256:{ada}" in bib
    assert "author = {{Ada}}" in bib
    cff = yaml.safe_load(site.get(f"/results/{ada}/cite.cff").text)
    assert (cff["type"], cff["authors"], str(cff["date-released"])) == ("dataset", [{"name": "Ada"}], "2026-01-01")
    linked = json.loads(site.get(f"/results/{ada}/cite.jsonld").text)
    assert linked["@type"] == "Dataset"
    assert linked["identifier"] == [f"sha256:{ada}"]
    assert linked["isBasedOn"] == RULES.paper["url"]
    assert yaml.safe_load(site.get(f"/results/{site.ids['nobody']}/cite.cff").text)["authors"]
    for path in (f"/results/{site.ids['bad']}/cite.bib", f"/results/{'0' * 64}/badge.svg", f"/results/{ada}/cite.exe"):
        assert site.get(path).status_code == 404, path


def test_what_people_write_means_itself_in_each_form(site_store):
    from sites import client

    name = "O'Hara {the} 1st $ü"
    document = toy((1.0, 1.7), submitter=name)
    insert.submit(site_store, text(document), publish=True, challenges={RULES.id: RULES})
    with client(site_store) as site:
        where = f"/results/{document['id']}"
        assert r"author = {{O'Hara \{the\} 1st \$ü}}" in site.get(f"{where}/cite.bib").text
        assert yaml.safe_load(site.get(f"{where}/cite.cff").text)["authors"] == [{"name": name}]
        assert site.get(f"{where}/cite.jsonld").json()["author"][0]["name"] == name
    work = citations.Work("result", "k{}", HOSTILE, [HOSTILE], "2026-01-01", "", "", ())
    bib = citations.written(work, "bib")
    assert bib.startswith("@misc{k,\n")
    assert re.sub(r"\\[{}]", "", bib).count("{") == re.sub(r"\\[{}]", "", bib).count("}")
    assert "\\write" not in bib
    ElementTree.fromstring(citations.badge("<a>", '"&', "#000"))  # noqa: S314 our own


def test_badges_are_pictures_with_their_words(paper, site):
    for answer, says in (
        (paper.get("/badge.svg"), "claims"),
        (site.get(f"/results/{site.ids['ada']}/badge.svg"), "forecast.mae"),
    ):
        assert answer.headers["content-type"].startswith("image/svg+xml")
        root = ElementTree.fromstring(answer.text)  # noqa: S314 our own
        assert says in root.attrib["aria-label"]
        assert "<script" not in answer.text
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"  # for pages of others
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert paper.get("/").headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/", "/results", "/ranking", "/challenge", "/login"])
def test_every_page_announces_the_feed_and_says_what_it_is(paper, path):
    head = paper.get(path).text.split("</head>")[0]
    assert '<link rel="alternate" type="application/atom+xml" title="New results" href="/feed.atom">' in head
    title = re.search(r"<title>(.*?)</title>", head)[1]
    assert f'<meta property="og:title" content="{title}">' in head
    assert re.search(r'<meta property="og:description" content="[^"]{20,}">', head)


def test_the_first_page_has_what_indexes_of_papers_read(paper):
    head = html.unescape(paper.get("/").text.split("</head>")[0])
    assert '<meta name="citation_author" content="Ilya Feige">' in head
    assert '<meta name="citation_publication_date" content="2019">' in head
    assert '<link rel="describedby" type="application/ld+json" href="/cite.jsonld">' in head
