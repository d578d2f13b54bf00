"""The API as programs use it: lists, pages, one result, caching, who may see and say what, tables, the feed."""

import csv
import hashlib
import html
import io
import json
import re
from xml.etree import ElementTree

import pytest

pytest.importorskip("starlette")
from ie_crowd.evidence import files, queue
from ie_crowd.site.api import exports, operations, routes
from ie_crowd.site.pages import feed
from ie_crowd.store import audit, database, insert, query, rejected_uploads, tables
from ie_crowd.store.people import accounts, comments, moderation
from sites import client, site, site_store  # noqa: F401 fixtures
from sqlalchemy import insert as insert_row
from toy_challenge import compute
from toy_challenge.documents import text, toy
from toy_challenge.make import RULES

MAE = "forecast.mae"


def token(engine, name, role="contributor"):
    return {"Authorization": f"Bearer {accounts.add(engine, name, role)}"}


@pytest.fixture
def store(site_store):  # noqa: F811
    return site_store


@pytest.fixture
def ids(site):  # noqa: F811
    return site.ids


def get(site, path, status=200, **more):  # noqa: F811
    answer = site.get(f"/api/v1{path}", **more)
    assert answer.status_code == status, answer.text
    return answer


def problem(answer, status, said):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert found["status"] == status
    assert said in found["detail"], found
    return found


# Lists


def test_a_list_says_how_many_there_are_and_leads_to_its_pages(site):  # noqa: F811
    seen = []
    answer = get(site, "/results?size=2&sort=created&order=ascending&metrics=forecast.mae")
    while True:
        assert answer.json()["total"] == 5
        seen += answer.json()["results"]
        links = {rel: to for to, rel in re.findall(r'<([^>]+)>; rel="(\w+)"', answer.headers["link"])}
        assert "page=1" in links["first"]
        assert "page=3" in links["last"]
        if "next" not in links:
            break
        answer = site.get(links["next"])
    assert [row["created"] for row in seen] == sorted(row["created"] for row in seen)
    assert len({row["id"] for row in seen}) == 5
    assert all(set(row["metrics"]) == {MAE} for row in seen)


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("submitter=Ada", {"ada", "ada2"}),
        ("submitter=Nobody%20at%20all", set()),
        ("dataset=gauges&labels=all&division=closed", {"ada", "ada2", "bob", "cyd", "nobody"}),
        ("labels=100", set()),
        ("cpu_model=Neoverse-N1", {"ada2", "bob"}),
        ("accelerator=", set()),
    ],
)
def test_filters(site, ids, asked, names):  # noqa: F811
    found = get(site, f"/results?{asked}").json()
    assert {row["id"] for row in found["results"]} == {ids[name] for name in names}
    assert found["total"] == len(names)


@pytest.mark.parametrize("sort", ["published", "created", "wall_seconds", "submitter", "labels", MAE])
def test_orders(site, sort):  # noqa: F811
    up = [row["id"] for row in get(site, f"/results?sort={sort}&order=ascending").json()["results"]]
    assert up == [row["id"] for row in get(site, f"/results?sort={sort}").json()["results"]][::-1]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("page=0", "page='0': expected a whole number from 1 to 1000000"),
        ("page=1e3", "expected a whole number"),
        ("page=%2B1", "expected a whole number"),
        ("page=" + "9" * 400, "expected a whole number"),
        ("size=501", "from 1 to 500"),
        ("sort=x%20y", "sort="),
        ("sort=a%0a", "sort="),
        ("order=up", "expected one of ascending, descending"),
        ("labels=ten", "labels="),
        ("submitter=a%00b", "submitter="),
        ("submitter=" + "a" * 201, "0 to 200 characters"),
        ("pgae=1", "unknown parameter 'pgae'"),
        ("page=1&page=2", "the parameter page is given twice"),
    ],
)
def test_a_parameter_that_cannot_be(site, asked, said):  # noqa: F811
    problem(site.get(f"/api/v1/results?{asked}"), 400, said)


def test_what_nobody_has_is_not_found(site):  # noqa: F811
    problem(site.get("/api/v1/results?sort=no.such"), 404, "there is no metric, axis or order 'no.such'")
    problem(site.get(f"/api/v1/results/{'0' * 64}"), 404, "there is no result")
    problem(site.get("/api/v1/results/ABC"), 400, "id='ABC'")
    problem(site.get("/api/v1/nowhere"), 404, "Not Found")
    answer = site.delete("/api/v1/results")
    problem(answer, 405, "")
    assert {one.strip() for one in answer.headers["allow"].split(",")} == {"GET", "HEAD", "POST"}


# One result


def test_one_result_and_its_document(site, ids, store):  # noqa: F811
    found = get(site, f"/results/{ids['ada']}").json()
    assert found["submitter"] == "Ada"
    assert [run["metrics"][MAE] for run in found["runs"]] == [1.0, 2.0, 3.0]
    assert "uploaded_by" not in found
    document = get(site, f"/results/{ids['ada']}/result.json")
    assert document.content == query.original(store, ids["ada"])
    assert document.headers["content-type"] == "application/json"


def test_what_is_not_published_is_for_reviewers_and_for_whoever_sent_it(site, ids, store):  # noqa: F811
    eve, rev, ada = token(store, "Eve"), token(store, "Rev", "reviewer"), token(store, "Ada")
    mine = toy((1.0, 2.0, 3.5), submitter="Eve")
    assert site.post("/api/v1/results", content=text(mine), headers={**eve, **JSON}).status_code == 201
    for path in ("", "/result.json", "/comments", "/objections", "/signatures"):
        for result_id, seeing in ((ids["bad"], (rev,)), (mine["id"], (rev, eve))):
            for headers in ({}, ada, eve, rev):
                answer = site.get(f"/api/v1/results/{result_id}{path}", headers=headers)
                assert answer.status_code == (200 if headers in seeing else 404)
    for headers in ({}, ada):
        problem(site.get(f"/api/v1/comparison?a={ids['ada']}&b={ids['bad']}", headers=headers), 404, "is not published")
    assert site.get(f"/api/v1/results/{mine['id']}", headers=rev).json()["uploaded_by"] == "Eve"
    assert mine["id"] not in site.get("/api/v1/results").text


def test_what_was_withdrawn_leaves_its_reason(site, ids, store):  # noqa: F811
    rev = token(store, "Op", "operator")
    answer = site.post(f"/api/v1/results/{ids['bob']}/withdrawal", json={"reason": "wrong data"}, headers=rev)
    assert answer.json() == {"id": ids["bob"], "state": "withdrawn"}
    for path in ("", "/result.json"):
        found = problem(site.get(f"/api/v1/results/{ids['bob']}{path}"), 410, "was withdrawn")
        assert found["reasons"][0]["detail"] == "wrong data"
    problem(
        site.post(f"/api/v1/results/{ids['bob']}/withdrawal", json={"reason": "again"}, headers=rev),
        409,
        "is withdrawn",
    )


def test_two_side_by_side(site, ids):  # noqa: F811
    rows = get(site, f"/comparison?a={ids['ada']}&b={ids['bob']}").json()["rows"]
    assert {row["section"] for row in rows} >= {"config", "system", "software", "metrics"}
    (cpu,) = [row for row in rows if row["name"] == "cpu_model"]
    assert cpu["differs"]
    assert cpu["left"] != cpu["right"]
    only = get(site, f"/comparison?a={ids['ada']}&b={ids['bob']}&only=differences").json()["rows"]
    assert only == [row for row in rows if row["differs"]]
    problem(site.get(f"/api/v1/comparison?a={ids['ada']}"), 400, "the parameter b is missing")


def test_up_to_six_side_by_side(site, ids):  # noqa: F811
    found = get(site, f"/comparison?a={ids['ada']}&b={ids['bob']}&c={ids['cyd']}&d={ids['ada2']}").json()
    assert found["results"] == [ids[name] for name in ("ada", "bob", "cyd", "ada2")]
    assert found["same_task"]
    (mae,) = [line["cells"] for line in found["metrics"] if line["name"] == "forecast.mae"]
    best = min(mae, key=lambda cell: cell["value"])
    assert [cell["best"] for cell in mae] == [cell is best for cell in mae]
    for cell in mae:
        assert (cell["behind"] is None) is cell["best"]
        assert cell["best"] or cell["behind"]["mean"] == pytest.approx(cell["value"] - best["value"])
        assert cell["over_images"] is None  # nothing was recomputed
    (cpu,) = [line for line in found["differing"] if line["name"] == "cpu_model"]
    assert len(cpu["cells"]) == 4
    alone = get(site, f"/comparison?a={ids['ada']}&b={ids['bob']}").json()
    assert alone["rows"] == found["rows"]
    problem(site.get(f"/api/v1/comparison?a={ids['ada']}&b={ids['bob']}&g={ids['cyd']}"), 400, "unknown parameter")
    problem(site.get(f"/api/v1/comparison?a={ids['ada']}&b={ids['bob']}&c={'0' * 64}"), 404, "there is no result")


def test_the_challenge_its_claims_and_checklists(site):  # noqa: F811
    rules = get(site, "/challenge").json()
    assert rules["id"] == RULES.id
    assert {metric["name"] for metric in rules["metrics"]} == set(RULES.metrics)
    assert [claim["id"] for claim in get(site, "/claims").json()["claims"]]
    assert len(get(site, "/checklists").json()["checklists"]) == 3
    assert get(site, "/summary").json()["totals"]["published"] == 5


def test_ranks_and_charts(site, ids):  # noqa: F811
    (contest,) = get(site, "/ranking?dataset=gauges").json()["contests"]
    assert contest["metric"] == MAE
    assert [entry["submitter"] for entry in contest["entries"]] == ["Ada", "Bob", "Cyd"]
    assert contest["entries"][0]["rank"] == 1
    assert contest["entries"][-1]["rank"] is None
    assert get(site, "/ranking?dataset=gauges&most=1").json()["contests"][0]["total"] == 3
    assert get(site, "/ranking?labels=100").json()["contests"] == []
    assert get(site, "/ranking?page=2").json() == {"contests": [], "total": 1, "page": 2}
    problem(site.get("/api/v1/ranking?metric=no.such"), 404, "no metric")
    found = get(site, f"/charts/points?x=wall_seconds&y={MAE}").json()
    assert (found["total"], len(found["points"]), found["thinned"]) == (5, 5, False)
    problem(site.get(f"/api/v1/charts/points?x=no.such&y={MAE}"), 404, "no metric, axis")
    (row,) = get(site, f"/charts/labels?metric={MAE}").json()["rows"]
    assert (row["results"], row["submitters"]) == (5, 4)  # who names nobody is one more


# What has not changed


def test_what_has_not_changed_is_not_sent_again(site, store, ids):  # noqa: F811
    for path in ("/results", f"/results/{ids['ada']}", "/ranking", "/openapi.json", "/exports/results.csv"):
        first = get(site, path)
        tag = first.headers["etag"]
        for given in (tag, f'"x", {tag}', "*", tag.removeprefix("W/")):
            again = get(site, path, 304, headers={"If-None-Match": given})
            assert (again.content, again.headers["etag"]) == (b"", tag)
        get(site, path, headers={"If-None-Match": '"other"'})
    before = get(site, "/results").headers["etag"]
    insert.submit(store, text(toy((8.0, 8.1))), publish=True, challenges={RULES.id: RULES})
    assert get(site, "/results", headers={"If-None-Match": before}).headers["etag"] != before


def test_what_somebody_sees_by_a_token_is_kept_nowhere(site, store, ids):  # noqa: F811
    rev = token(store, "Rev", "reviewer")
    answer = site.get(f"/api/v1/results/{ids['bad']}", headers={**rev, "If-None-Match": "*"})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "private, no-store"
    assert "etag" not in answer.headers
    assert "authorization" in get(site, f"/results/{ids['ada']}").headers["vary"].lower()


def test_head_is_get_without_a_body(site, ids):  # noqa: F811
    for path in ("/results", f"/results/{ids['ada']}/result.json", "/exports/values.csv", "/exports/values.json"):
        got, head = get(site, path), site.head(f"/api/v1{path}")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == got.headers["content-type"]
        assert head.headers.get("content-length") == got.headers.get("content-length")


def test_other_sites_may_read_and_nothing_else(site, store, ids):  # noqa: F811
    for path in ("/results", f"/results/{'0' * 64}", "/exports/claims.json"):
        answer = site.get(f"/api/v1{path}", headers={"Origin": "https://elsewhere.example"})
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers
    said = site.post("/api/v1/comments", json={"text": "x"}, headers=token(store, "Ada"))
    assert said.status_code == 201
    assert "access-control-allow-origin" not in said.headers


# People

JSON = {"Content-Type": "application/json"}


def test_who_one_is(site, store):  # noqa: F811
    assert get(site, "/account", headers=token(store, "Ada L.", "reviewer")).json() == {
        "name": "Ada L.",
        "role": "reviewer",
    }
    answer = site.get("/api/v1/account")
    problem(answer, 401, "this needs a token")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("given", ["Bearer iecrowd_no", "Bearer ", "Basic YTpi", "Bearer é", "x" * 300])
def test_a_wrong_token_is_not_as_good_as_none(site, given):  # noqa: F811
    for path in ("/account", f"/results/{'0' * 64}"):
        problem(site.get(f"/api/v1{path}", headers={"Authorization": given.encode()}), 401, "the token is not")


def test_wrong_tokens_are_throttled(site):  # noqa: F811
    wrong = {"Authorization": "Bearer iecrowd_0000000000000000000000"}
    statuses = [site.get("/api/v1/account", headers=wrong).status_code for _ in range(25)]
    assert statuses == [401] * 20 + [429] * 5
    assert int(site.get("/api/v1/account", headers=wrong).headers["retry-after"]) > 0


def test_comments_wait_and_are_shown_as_they_were_written(site, store, ids):  # noqa: F811
    ada, rev = token(store, "Ada"), token(store, "Rev", "reviewer")
    hostile = "<script>alert(1)</script>\nline two \u202eturned"
    said = site.post(f"/api/v1/results/{ids['bob']}/comments", json={"text": hostile}, headers=ada)
    assert (said.status_code, said.json()["state"]) == (201, "pending")
    path = f"/results/{ids['bob']}/comments"
    assert get(site, path).json() == {"comments": []}
    assert get(site, path, headers=ada).json()["comments"][0]["state"] == "pending"
    account = next(one for one in accounts.accounts(store) if one["name"] == "Rev")
    comments.judge_comment(store, said.json()["number"], account, visible=True)
    (shown,) = get(site, path).json()["comments"]
    assert shown["text"] == "<script>alert(1)</script>\nline two turned"
    assert site.post("/api/v1/comments", json={"text": "ok"}, headers=rev).json()["state"] == "visible"
    assert [one["text"] for one in get(site, "/comments").json()["comments"]] == ["ok"]


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (b"", 400, "is empty"),
        (b"{", 400, "is not JSON"),
        (b'{"text": "a", "text": "b"}', 400, "appears twice"),
        (b'{"text": NaN}', 400, "NaN is not a JSON number"),
        (b'{"text": "\\u0000"}', 422, "the comment is empty"),
        (b'{"text": "\\ud800"}', 400, "U+D800"),
        (b'{"text": {"a": {"b": 1}}}', 400, "nested more than 2"),
        (b"[]", 422, "is not of type 'object'"),
        (b'{"text": 1}', 422, "/text: 1 is not of type 'string'"),
        (b'{"text": "a", "visible": true}', 422, "Additional properties"),
        (b'{"text": ""}', 422, "/text"),
        (b'{"text": "\\u200e"}', 422, "the comment is empty"),
        (json.dumps({"text": "x" * 4001}).encode(), 422, "/text"),
        (json.dumps({"text": "x" * 70000}).encode(), 413, "65,536"),
    ],
)
def test_a_comment_that_cannot_be(site, store, content, status, said):  # noqa: F811
    answer = site.post("/api/v1/comments", content=content, headers={**token(store, "Ada"), **JSON})
    problem(answer, status, said)
    assert get(site, "/comments").json() == {"comments": []}
    assert rejected_uploads.read(store) == []  # of uploads only


def test_objections(site, store, ids):  # noqa: F811
    ada = token(store, "Ada")
    path = f"/api/v1/results/{ids['bob']}/objections"
    assert site.post(path, json={"reason": "seed 3"}, headers=ada).status_code == 201
    (found,) = site.get(path).json()["objections"]
    assert (found["by"], found["reason"], found["state"]) == ("Ada", "seed 3", "open")
    bad = site.post(f"/api/v1/results/{ids['bad']}/objections", json={"reason": "x"}, headers=ada)
    problem(bad, 409, "is quarantined")
    problem(site.post(f"/api/v1/results/{'0' * 64}/objections", json={"reason": "x"}, headers=ada), 404, "no result")
    for number in range(moderation.MOST_OPEN):
        last = site.post(path, json={"reason": f"{number}"}, headers=ada)
    problem(last, 422, "objections of yours")


def test_nobody_withdraws_what_is_anothers(site, store, ids):  # noqa: F811
    answer = site.post(
        f"/api/v1/results/{ids['bob']}/withdrawal", json={"reason": "x"}, headers=token(store, "Ada", "reviewer")
    )
    problem(answer, 403, "operator")
    assert get(site, f"/results/{ids['bob']}").json()["state"] == "published"


def test_words_are_limited(site, store, monkeypatch):  # noqa: F811
    from ie_crowd.site.api import endpoint

    monkeypatch.setattr(endpoint, "WORDS", (2, 3600))
    rev = token(store, "Rev", "reviewer")
    statuses = [site.post("/api/v1/comments", json={"text": "a"}, headers=rev).status_code for _ in range(3)]
    assert statuses == [201, 201, 429]


# Tables


def test_every_table_as_csv_and_json(site, ids, monkeypatch):  # noqa: F811
    extra = {
        "points": f"?x=wall_seconds&y={MAE}",
        "labels": f"?metric={MAE}",
        "comparison": f"?a={ids['ada']}&b={ids['bob']}",
    }
    given = {}  # what the store and the rules give: a new column of theirs is not to be forgotten
    for name, table in exports.TABLES.items():
        columns = table.rows

        def noted(call, name=name, columns=columns):
            for row in columns(call):
                given[name] = row
                yield row

        monkeypatch.setitem(exports.TABLES, name, table._replace(rows=noted))
        rows = get(site, f"/exports/{name}.json{extra.get(name, '')}").json()
        text_ = get(site, f"/exports/{name}.csv{extra.get(name, '')}")
        assert text_.headers["content-disposition"] == f'attachment; filename="{name}.csv"'
        cells = list(csv.reader(io.StringIO(text_.text)))
        assert cells[0] == list(table.columns)
        assert len(cells) == len(rows) + 1
        assert rows or name == "comments", name  # nobody has said anything here; see test_people
        assert all(len(row) == len(cells[0]) for row in cells)
        for row, line in zip(rows, cells[1:], strict=True):
            assert set(row) == set(table.columns)
            assert set(row) == set(given[name])
            assert line == [str(exports.cell(row[column])) for column in table.columns]


def test_a_spreadsheet_computes_nothing(site, store):  # noqa: F811
    for name, shown in {
        "=1+1": "'=1+1",
        "@SUM(A1)": "'@SUM(A1)",
        "+1 x": "'+1 x",
        "-2 y": "'-2 y",
        'a,"b': 'a,"b',
    }.items():
        assert exports.cell(name) == shown
    assert exports.cell(-1.5) == "-1.5"
    assert exports.cell("\t=1") == "'\t=1"
    insert.submit(store, text(toy((8.0, 8.1), submitter="=HYPERLINK(0)")), publish=True, challenges={RULES.id: RULES})
    rows = csv.DictReader(io.StringIO(get(site, "/exports/results.csv?submitter=%3DHYPERLINK(0)").text))
    assert [row["submitter"] for row in rows] == ["'=HYPERLINK(0)"]


def test_tables_are_filtered_and_what_they_need_is_said(site):  # noqa: F811
    rows = get(site, "/exports/results.json?submitter=Ada").json()
    assert {row["submitter"] for row in rows} == {"Ada"}
    problem(site.get("/api/v1/exports/points.csv"), 400, "the table points needs x and y")
    problem(site.get("/api/v1/exports/secrets.csv"), 400, "file='secrets.csv'")
    problem(site.get("/api/v1/exports/ranking.csv?metric=no.such"), 404, "no metric")


def test_only_a_few_tables_go_out_at_once(site):  # noqa: F811
    for _ in range(5):  # each gives its place free
        get(site, "/exports/results.csv")
        problem(site.get("/api/v1/exports/points.csv?x=no.such&y=labels"), 404, "")
        site.head("/api/v1/exports/results.csv")
    others = [f"10.0.0.{number}" for number in range(exports.AT_ONCE)]
    assert [exports._places.take(who) for who in others] == [True] * exports.AT_ONCE
    try:
        answer = site.get("/api/v1/exports/results.csv")
        problem(answer, 503, "try again")
        assert answer.headers["retry-after"] == "5"
    finally:
        for who in others:
            exports._places.give(who)
    assert [exports._places.take("10.0.0.1") for _ in range(3)] == [True, True, False]  # one address
    for _ in range(exports.OF_ONE):
        exports._places.give("10.0.0.1")
    get(site, "/exports/results.csv")


# The feed


def entries(content):
    root = ElementTree.fromstring(content)  # noqa: S314 our own
    atom = {"a": feed.ATOM}
    assert root.tag == f"{{{feed.ATOM}}}feed"
    for parent in (root, *root.findall("a:entry", atom)):
        for name in ("id", "title", "updated"):
            (one,) = parent.findall(f"a:{name}", atom)
            assert one.text
        assert re.fullmatch(r"tag:[a-z0-9.-]+,20\d\d:[A-Za-z0-9/-]+", parent.find("a:id", atom).text)
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", parent.find("a:updated", atom).text)
    return root.findall("a:entry", atom), atom


def test_the_feed(site, store, ids):  # noqa: F811
    answer = site.get("/feed.atom")
    assert answer.headers["content-type"].startswith("application/atom+xml")
    found, atom = entries(answer.content)
    assert len(found) == 5
    assert {entry.find("a:link", atom).attrib["href"].rpartition("/")[2] for entry in found} == {
        ids[name] for name in ("ada", "ada2", "bob", "cyd", "nobody")
    }
    assert site.get("/feed.atom", headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    before = {entry.find("a:id", atom).text: entry.find("a:updated", atom).text for entry in found}
    insert.submit(store, text(toy((8.0, 8.1), submitter="A ]] 'amp; b")), publish=True, challenges={RULES.id: RULES})
    insert.submit(store, text(toy((8.0, 8.2), submitter="Tom's x")), publish=True, challenges={RULES.id: RULES})
    after, atom = entries(site.get("/feed.atom").content)
    assert (
        before.items() <= {entry.find("a:id", atom).text: entry.find("a:updated", atom).text for entry in after}.items()
    )
    assert any("Tom's x" in entry.find("a:title", atom).text for entry in after)


def test_an_entry_names_the_method_where_the_rules_tell_methods_apart():
    row = {"dataset": "gauges", "supervision": "supervised", "labels": "all", "division": "open", "submitter": "Ada"}
    assert feed.title({**row, "method": "dry"}).endswith("open division, dry, by Ada")
    assert feed.title({**row, "method": ""}).endswith("open division, by Ada")


def test_text_that_no_xml_holds_is_replaced():
    assert feed._legal("a\x00b\ufffe\ud800c\U0001f600") == "a\ufffdb\ufffd\ufffdc\U0001f600"


def test_an_empty_feed_is_one(tmp_path):
    from ie_crowd.store import database

    engine = database.connect(tmp_path / "empty.sqlite3")
    with client(engine, base_url="https://example.org/crowd") as one:
        found, _ = entries(one.get("/crowd/feed.atom").content)
    assert found == []
    engine.dispose()


def test_a_feed_among_files_leads_to_files(store):
    with client(store, static=True) as one:
        root = ElementTree.fromstring(one.get("/feed.atom").content)  # noqa: S314 our own
    links = [link.attrib["href"] for link in root.iter(f"{{{feed.ATOM}}}link")]
    assert links[:2] == ["feed.atom", "results/index.html"]
    assert re.fullmatch(r"results/[0-9a-f]{64}/index\.html", links[2])


# The description


def test_the_page_names_every_operation_and_its_commands_work(site, ids):  # noqa: F811
    page = site.get("/api")
    assert page.status_code == 200
    text_ = html.unescape(page.text)
    for operation in routes.OPERATIONS:
        assert f"{operation.method} /api/v1{operation.path}" in text_
        for parameter in operation.parameters:
            assert f"<code>{parameter.name}</code>" in text_
    commands = re.findall(r"<code>curl '(http[^']+)'", text_)
    assert len(commands) == 4
    first, original, ranks, table = (site.get(command) for command in commands)  # as they stand
    assert first.json()["total"] > 0
    assert original.json()["id"] in set(ids.values())
    assert ranks.json()["total"] > 0
    assert len(table.text.splitlines()) > 1
    assert "<script" not in page.text
    assert "style=" not in page.text


def test_a_copy_made_of_files_says_that_it_answers_nothing(store):
    with client(store, static=True) as one:
        assert "answers no questions" in one.get("/api").text


def test_the_description_is_of_all_routes_and_of_no_other(site):  # noqa: F811
    described = get(site, "/openapi.json").json()
    assert described["openapi"] == "3.1.0"
    written = {(path, method.upper()) for path, methods in described["paths"].items() for method in methods}
    served = {
        (route.path.removeprefix(operations.PREFIX), method)
        for route in site.app.routes
        if getattr(route, "path", "").startswith(operations.PREFIX)
        for method in route.methods
        if method != "HEAD"
    }
    assert written == served
    names = [one["operationId"] for methods in described["paths"].values() for one in methods.values()]
    assert len(names) == len(set(names)) == len(routes.OPERATIONS)


def test_every_example_and_default_passes_its_own_check():
    for operation in routes.OPERATIONS:
        for parameter in operation.parameters:
            if parameter.example is not None:
                assert parameter.read(str(parameter.example)) == parameter.example
        assert f"{{{'}{'.join(p.name for p in operation.parameters if p.where == 'path')}}}" in operation.path or not [
            p for p in operation.parameters if p.where == "path"
        ]


@pytest.fixture
def evidence(store, ids):
    """Ada's result has one file of evidence."""
    content = compute.weights(1.0, 90.0)
    sha256 = hashlib.sha256(content).hexdigest()
    files.of(store).put([content], files.Asked(sha256, len(content), True))
    with database.writing(store) as connection:
        key = queue.key_of(connection, ids["ada"])
        row = {"result_pk": key, "path": "runs/0/model.safetensors", "sha256": sha256, "bytes": len(content)}
        connection.execute(insert_row(tables.evidence_file), row)


@pytest.mark.usefixtures("evidence")
def test_every_example_can_be_asked(site, ids):  # noqa: F811
    for operation in routes.OPERATIONS:
        if operation.method != "GET" or operation.role:
            continue
        values = {
            one.name: {"ie-repr": RULES.id, "classification.error": MAE, "classification.error,elbo": MAE}.get(
                one.example, one.example
            )
            for one in operation.parameters
            if one.example is not None
        }
        values |= {name: ids["ada"] for name in ("id", "a", "b") if name in {p.name for p in operation.parameters}}
        path = operation.path.format(**{k: v for k, v in values.items() if f"{{{k}}}" in operation.path})
        asked = {key: str(value) for key, value in values.items() if f"{{{key}}}" not in operation.path}
        answer = site.get(f"/api/v1{path}", params=asked)
        assert answer.status_code == 200, (operation.name, answer.text)


def test_changes_of_the_store_change_what_is_cached(site, store):  # noqa: F811
    first = get(site, "/summary").json()["totals"]["published"]
    insert.submit(store, text(toy((8.0, 8.1))), publish=True, challenges={RULES.id: RULES})
    assert get(site, "/summary").json()["totals"]["published"] == first + 1
    assert audit.revision(store) > 0
