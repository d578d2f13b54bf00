"""The site's frame: pages, errors, assets, links, and that the store is where its settings say."""

import os
import re
import subprocess
import sys

import pytest
from paths import ROOT

pytest.importorskip("starlette")
from ie_crowd.site.app import create_app
from ie_crowd.site.rendering import links
from ie_crowd.site.settings import Settings
from starlette.testclient import TestClient
from toy_challenge.make import RULES


def test_every_page_of_the_navigation_answers(site):
    front = site.get("/")
    assert front.status_code == 200
    assert RULES.paper["title"] in front.text
    page = site.get("/results")
    assert page.status_code == 200
    assert site.ids["ada"][:10] in page.text
    assert site.ids["bad"][:10] not in page.text


def test_the_store_of_the_settings_is_opened_and_closed(tmp_path):
    app = create_app(Settings(store=tmp_path / "new.sqlite3", challenges=(RULES.folder,)))
    with TestClient(app, base_url="http://localhost") as client:
        assert client.get("/healthz").text == "ok\n"
        assert client.get("/results").status_code == 200
    assert (tmp_path / "new.sqlite3").is_file()


def test_a_started_site_imports_what_ranks_need_before_they_are_asked_for():
    code = "import sys; from ie_crowd.site import app\nassert 'scipy' not in sys.modules\napp._import_distributions()\n"
    code += "assert 'scipy.special' in sys.modules"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "cm-repo")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_is_not_there(site):
    page = site.get("/no/such/page")
    assert page.status_code == 404
    assert "text/html" in page.headers["content-type"]
    assert "<h1>Not Found</h1>" in page.text
    assert site.get("/assets/style.css").status_code == 404
    assert site.get("/assets/..%2Fapp.py").status_code == 404
    assert site.post("/results").status_code == 405
    problem = site.get("/api/v1/no-such-thing")
    assert problem.status_code == 404
    assert problem.headers["content-type"] == "application/problem+json"
    assert (problem.json()["status"], problem.json()["title"]) == (404, "Not Found")


def test_assets_may_be_kept_for_ever(site):
    (address,) = re.findall(r'href="(/assets/style\.[0-9a-f]{12}\.css)"', site.get("/").text)
    answer = site.get(address)
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert "immutable" in answer.headers["cache-control"]


def test_links_on_a_server():
    link = links.live("/crowd")
    assert link("/results", page=2, q=None, x="") == "/crowd/results?page=2"
    assert link("/results", submitter='a"b&c') == "/crowd/results?submitter=a%22b%26c"


def test_links_between_files():
    asked = []
    link = links.static("results/index.html", lambda path, query: asked.append((path, query)))
    assert link("/") == "../index.html"
    assert link("/results", page=2, dataset="mnist") == "dataset-mnist.page-2.html"
    assert link("/results/0f") == "0f/index.html"
    assert link("/assets/style.0.css") == "../assets/style.0.css"
    assert asked[1] == ("/results", {"page": "2", "dataset": "mnist"})
    odd = link("/results", dataset="../../etc/passwd")
    assert re.fullmatch(r"dataset-[0-9a-f]{16}\.html", odd)
    assert link("/results", submitter="Ada", sort="-created") == "index.html", "what is not made ahead"
    assert link("/login") == "../server.html"
    assert link("/compare", a="b" * 64, b="a" * 64) == link("/compare", a="a" * 64, b="b" * 64)
    assert links.static("index.html")("/results/0f/result.json") == "results/0f/result.json"


def test_a_public_address_gives_the_path_of_links(site_store):
    from sites import client

    with client(site_store, base_url="https://example.org/crowd/") as one:
        assert 'href="/crowd/results"' in one.get("/").text
    with pytest.raises(ValueError, match="expected an address"):
        Settings(base_url="example.org")


def test_a_site_below_a_path(site_store):
    from sites import client

    with client(site_store, base_url="https://localhost/crowd") as one:
        page = one.get("/crowd/results")
        assert page.status_code == 200
        assert 'aria-current="page">Results' in page.text
        address = re.search(r'href="(/crowd/assets/style[^"]*)"', page.text)[1]
        assert one.get(address).status_code == 200
        assert one.get("/crowd/no-such-page").status_code == 404
        assert one.get("/results").status_code == 404
        assert one.get("/healthz").text == one.get("/crowd/healthz").text == "ok\n"
