"""The reading pages: what they show, what they refuse, and that nothing of others' texts becomes markup."""

import csv
import html
import io
import re

import pytest

pytest.importorskip("starlette")
from ie_crowd.challenge import load
from ie_crowd.store import audit, chart_data, insert
from ie_crowd.store.people import accounts, comments, moderation
from sites import client
from toy_challenge.documents import identified, text, toy
from toy_challenge.make import RULES

MAE = "forecast.mae"
READING = (
    "/", "/results", "/results?view=chart", f"/results?view=chart&x=cores&y={MAE}", "/ranking", "/challenge",
    "/checklists", "/formats", "/initiatives", "/take-part", "/comments", "/compare", "/no-such-page",
)  # fmt: skip


def shown(page):
    """The ids of a list of results, in its order."""
    return re.findall(r'<th scope="row"><a href="/results/([0-9a-f]{64})"', page.text)


def order(site, query):
    names = {one: name for name, one in site.ids.items()}
    page = site.get(f"/results?{query}")
    assert page.status_code == 200, page.text
    return [names[one] for one in shown(page)]


# The list


def test_a_list_filters_and_sorts(site):
    assert set(order(site, "")) == {"ada", "ada2", "bob", "cyd", "nobody"}
    assert order(site, f"sort={MAE}") == ["cyd", "ada", "ada2", "bob", "nobody"]
    assert order(site, f"sort=-{MAE}&submitter=Ada") == ["ada2", "ada"]
    assert order(site, "sort=created") == ["ada", "ada2", "bob", "cyd", "nobody"]
    assert set(order(site, "dataset=gauges&supervision=supervised&labels=all&division=closed")) == set(site.ids) - {
        "bad"
    }
    assert order(site, "labels=50") == []
    assert order(site, "cpu_model=Neoverse-N1&sort=created") == ["ada2", "bob"]


def test_the_front_page_tells_apart_what_was_run(site):
    """Results of one task may be of either division: their values alone would contradict each other."""
    latest = site.get("/").text.partition("Newest results")[2].partition("</ul>")[0]
    told = re.findall(r'<a href="/results/[0-9a-f]{64}">([^<]*)</a>', latest)
    assert len(told) == 5
    assert all(text.endswith(", closed") for text in told)


def offered(site, path):
    """The first line of each CSV table that a page offers to download, and how many follow it; JSON must agree."""
    found = {}
    for address in re.findall(r'<a href="([^"]+)" download aria-label=', site.get(path).text):
        answer = site.get(html.unescape(address))
        assert answer.status_code == 200, answer.text
        name, _, form = re.search(r"/exports/(\w+)(\.)(csv|json)", address).groups()
        rows = answer.json() if form == "json" else list(csv.DictReader(io.StringIO(answer.text)))
        assert found.setdefault(name, len(rows)) == len(rows)
    return found


def test_every_page_with_a_table_offers_what_it_shows(site):
    assert offered(site, "/results")["results"] == 5
    assert set(offered(site, "/results")) == {"results", "metrics", "runs", "values"}
    assert offered(site, "/results?submitter=Ada&sort=created")["results"] == 2
    for query in ("accelerator=none", "accelerator=NVIDIA+A100", "cpu_model=Neoverse-N1"):
        assert offered(site, f"/results?{query}").get("results", 0) == len(order(site, query))
    assert offered(site, f"/results?view=chart&x=cores&y={MAE}") == {"points": 5}
    assert offered(site, "/results?view=chart")["labels"] > 0
    assert offered(site, "/ranking")["ranking"] == site.get("/ranking").text.count('class="forest-cell"')
    assert offered(site, f"/compare?a={site.ids['ada']}&b={site.ids['bob']}")["comparison"] > 20
    assert set(offered(site, "/challenge")) == {"tasks", "definitions", "claims"}
    assert offered(site, "/checklists")["checklists"] == site.get("/checklists").text.count('<th scope="row"><code>')
    assert "comments" in offered(site, "/comments")


def test_headings_say_how_the_list_is_sorted(site):
    page = site.get(f"/results?sort={MAE}")
    (heading,) = re.findall(r"<th[^>]*aria-sort[^>]*>.*?</th>", page.text)
    assert 'aria-sort="ascending"' in heading
    assert f"sort=-{MAE}" in heading, "the next click turns it around"
    assert 'aria-sort="descending"' in site.get(f"/results?sort=-{MAE}").text


def test_pages_of_a_list(site_store):
    with client(site_store, page_size=2) as site:
        pages = [shown(site.get(f"/results?sort=created&page={number}")) for number in (1, 2, 3)]
        assert [len(page) for page in pages] == [2, 2, 1]
        assert len({one for page in pages for one in page}) == 5
        assert "page=2" in re.search(r'<a href="([^"]*)" rel="next"', site.get("/results?sort=created").text)[1]
        beyond = site.get("/results?page=9")
        assert beyond.status_code == 200
        assert "ends at page 3" in beyond.text


def test_lists_without_results_say_so(site, tmp_path):
    assert "No published result fits" in site.get("/results?submitter=Zoe").text
    for axes, says in (("", "No published result has <code>"), (f"&x=cores&y={MAE}", "No published result has both")):
        assert says in site.get(f"/results?view=chart&submitter=Zoe{axes}").text
    from ie_crowd.store import database

    engine = database.connect(tmp_path / "empty.sqlite3")
    with client(engine) as empty:
        for path, says in (
            ("/results", "No results are published here yet"),
            ("/results?view=chart", "No results are published here yet"),
            (f"/results?view=chart&x=cores&y={MAE}", "No results are published here yet"),
            ("/ranking", "Nothing is ranked yet"),
            ("/comments", "No comments yet"),
        ):
            page = empty.get(path)
            assert page.status_code == 200
            assert says in page.text
    engine.dispose()


@pytest.mark.parametrize(
    "query",
    ["page=0", "page=x", "page=99999999", "sort=nonsense", "sort=' OR 1=1", "view=cards", "view=chart&x=nonsense",
     "view=chart&y=<script>", "submitter=" + "x" * 300],
)  # fmt: skip
def test_queries_that_cannot_be(site, query):
    page = site.get(f"/results?{query}")
    assert page.status_code == 400
    assert "<script>" not in page.text
    assert "expected" in page.text or "at most" in page.text


# Charts


def test_error_by_labels_has_a_table_behind_it(site):
    page = site.get("/results?view=chart")
    (drawn,) = re.findall(r'<svg class="chart".*?</svg>', page.text)
    assert re.search(r'role="img" [^>]*aria-labelledby="labels0-t labels0-d"', drawn)
    assert '<title id="labels0-t">gauges: forecast.mae (cm) by number of labels</title>' in drawn
    # Ada's two uploads are one submitter: the mean of Ada, Bob, Cyd and of who names nobody
    assert "all labels: 4.663" in re.search(r"<desc[^>]*>(.*?)</desc>", drawn)[1]
    assert re.search(r"<caption[^>]*>forecast.mae on gauges by number of labels", page.text)


def test_any_two_axes(site):
    page = site.get(f"/results?view=chart&x=flood.recall&y={MAE}")
    (drawn,) = re.findall(r'<svg class="chart".*?</svg>', page.text)
    assert drawn.count('class="mark') == 5
    assert shown(page)
    offered = re.findall(
        r'<option value="([^"]+)"', re.search(r'<select name="x">.*?</select>', page.text, re.DOTALL)[0]
    )
    assert set(chart_data.AXES) < set(offered), "what can be asked for can be chosen"
    for axis in chart_data.AXES:
        assert '<svg class="chart"' in site.get(f"/results?view=chart&x={axis}&y={MAE}").text


@pytest.mark.parametrize("axis", ["created", "published"])
def test_an_axis_of_days_has_dates_on_it(site, axis):
    (drawn,) = re.findall(r'<svg class="chart".*?</svg>', site.get(f"/results?view=chart&x={axis}&y={MAE}").text)
    assert re.search(r"<text[^>]*>20[0-9]{2}-[0-9]{2}-[0-9]{2}</text>", drawn)
    assert not re.search(r"<text[^>]*>7[0-9]{2},?[0-9]{3}", drawn), "days are not counted from the year 1"


# One result


def test_over_time_the_best_so_far_is_a_step_line(site):
    front = site.get("/").text
    assert "/results?view=chart&amp;x=created" in front
    page = site.get("/results?view=chart&x=created&y=forecast.mae").text
    chart = page.split('<svg class="chart"')[1].split("</svg>")[0]
    (line,) = re.findall(r'<path class="line s0"[^>]* d="(M[^"]*)"', chart)
    places = [(float(x), float(y)) for x, y in re.findall(r"[MH]([0-9.]+)[ V]([0-9.]+)", line)]
    assert len(places) == 2  # Ada's first, and Cyd's that is better; Bob's is not
    assert places[0][0] < places[1][0]
    assert places[0][1] < places[1][1], "lower is better, and lies lower"
    table = page.split("became better</caption>")[1].split("</table>")[0]
    assert re.findall(r"<td>([0-9-]{10})</td>", table) == ["2026-01-01", "2026-01-04"]
    assert "When the best became better" not in site.get("/results?view=chart&x=cores&y=forecast.mae").text


def test_a_result_by_its_id_and_its_beginning(site):
    whole = site.ids["cyd"]
    page = site.get(f"/results/{whole}")
    assert page.status_code == 200
    short = site.get(f"/results/{whole[:12]}").text
    assert short == page.text.replace(f"/login?next=%2Fresults%2F{whole}", f"/login?next=%2Fresults%2F{whole[:12]}")
    assert "2 of 3" in page.text, "a failed run is listed"
    assert site.get("/results/ffffffff").status_code == 404
    assert site.get("/results/nothex!!").status_code == 404
    assert site.get(f"/results/{whole[:4]}").status_code == 404, "too short to name one"
    for part in ("Metrics", "Evidence and verdicts", "Machine and cost", "Software", "Provenance", "Comments"):
        assert f">{part}</h2>" in page.text


def test_the_download_is_what_came(site):
    answer = site.get(f"/results/{site.ids['ada']}/result.json")
    assert answer.content == text(toy((1.0, 2.0, 3.0), submitter="Ada", created="2026-01-01T00:00:00Z"))
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert site.get(f"/results/{site.ids['bad']}/result.json").status_code == 404


def test_what_is_not_published_is_for_reviewers(site):
    page = site.get(f"/results/{site.ids['bad']}")
    assert page.status_code == 404
    assert "not published" in page.text
    assert "Eve" not in page.text


def test_a_withdrawn_result_leaves_its_reason(site, site_store):
    accounts.add(site_store, "Op", "operator")
    operator = {"pk": 1, "name": "Op", "role": "operator"}
    moderation.withdraw(site_store, site.ids["bob"], operator, "the wrong <b>data</b>")
    page = site.get(f"/results/{site.ids['bob']}")
    assert page.status_code == 410
    assert "the wrong &lt;b&gt;data&lt;/b&gt;" in page.text
    assert "Bob" not in page.text
    assert site.get(f"/results/{site.ids['bob']}/result.json").status_code == 404


def test_verdicts_and_signatures(site, site_store):
    accounts.add(site_store, "Rae", "reviewer")
    reviewer = {"pk": 1, "name": "Rae", "role": "reviewer"}
    comments.sign(site_store, site.ids["ada"], reviewer, "acm-badges", "licence", "pass", "read <it>")
    page = site.get(f"/results/{site.ids['ada']}").text
    assert "ACM artifact badges" in page
    row = re.search(r'<tr><th scope="row">licence</th>.*?</tr>', page, re.DOTALL)[0]
    assert "needs a person" in row
    assert "by <bdi>Rae</bdi>" in row
    assert "read &lt;it&gt;" in row


def test_a_search_is_a_filter_and_a_chip_takes_it_away(site):
    page = site.get("/results?text=ada&columns=flood.recall").text
    assert page.count('name="id"') == 2
    assert "<h1>Results</h1>" in page
    assert "with “ada”" in page
    chip = re.search(r'<a href="([^"]*)" aria-label="Take away text: ada">', page)[1]
    assert html.unescape(chip) == "/results?columns=flood.recall"
    heads = page.split("<thead>")[1].split("</thead>")[0]
    assert "flood" in heads
    assert "forecast" not in heads
    assert "text=ada" in re.search(r'<a href="([^"]*sort=[^"]*)"', page)[1]
    assert site.get("/results?columns=no.such").status_code == 400
    assert site.get("/results?text=nobody-here").status_code == 200


def test_chips_count_what_a_further_choice_would_leave(site):
    page = site.get("/results?text=n").text  # Neoverse-N1, and nobody in particular
    further = page.split('aria-label="Narrow down"')[1].split("</nav>")[0]
    found = re.findall(r'href="([^"]*)"><bdi>([^<]*)</bdi> <span class="soft">([^<]*)<', further)
    assert len(found) >= 3
    for href, value, results in found:
        there = site.get(html.unescape(href)).text
        assert there.count('name="id"') == int(results), value
        assert "text=n" in html.unescape(href)
    assert 'aria-label="Narrow down"' not in site.get("/results?text=nobody-here").text


# Two results


def test_a_comparison_marks_what_differs(site):
    page = site.get(f"/compare?a={site.ids['ada']}&b={site.ids['bob'][:10]}")
    assert page.status_code == 200
    shown = page.text.replace("<wbr>", "")
    machine = shown.split('id="system"')[1].split("</section>")[0]
    assert re.search(r'class="differs"><th scope="row">.*?<code>cpu_model</code>', machine)
    assert "Xeon" in machine
    assert "Neoverse-N1" in machine
    metrics = shown.split('id="metrics"')[1].split("</section>")[0]
    assert re.search(r'class="differs"><th scope="row"><code>forecast.mae</code>', metrics)
    assert "p = " in metrics


def test_choosing_what_to_compare(site):
    ids = [site.ids[name] for name in ("ada", "bob", "cyd")]
    assert "Two results side by side" in site.get(f"/compare?id={ids[0]}&id={ids[1]}").text
    assert "7 results are ticked" in site.get("/compare?" + "&".join(f"id={ids[0][:n]}" for n in range(8, 15))).text
    assert "the same result" in site.get(f"/compare?a={ids[0]}&b={ids[0]}").text
    one = site.get(f"/compare?a={ids[0]}").text
    assert f"b={ids[1]}" in one
    assert site.get("/compare").status_code == 200
    assert site.get(f"/compare?a={ids[0]}&b={site.ids['bad']}").status_code == 404
    assert site.get("/compare?a=x&b=y").status_code == 404


def test_three_are_compared_with_the_best_marked(site):
    ids = [site.ids[name] for name in ("bob", "ada", "cyd")]
    page = site.get("/compare?" + "&".join(f"id={one}" for one in ids)).text.replace("<wbr>", "")
    assert "3 results side by side" in page
    row = re.search(r"<code>forecast.mae</code>.*?</tr>", page, re.S)[0]
    bob, ada, cyd = row.split("<td>")[1:]
    assert "<strong>1.55</strong>" in cyd.replace("<strong>1.550</strong>", "<strong>1.55</strong>")
    assert "<strong>" not in bob + ada
    assert "differs" in bob
    assert "differs" not in ada
    machine = page.split('id="system"')[1].split("</section>")[0]
    assert "<code>cpu_model</code>" in machine
    assert "different tasks" not in page


def test_no_best_across_tasks(site, site_store):
    task = {"dataset": "gauges", "supervision": "supervised", "labels": 20}
    challenge = {**toy()["challenge"], "division": "open", "departures": ["labels"]}
    other = toy((1.3, 2.4, 3.1), submitter="Dan", task=task, challenge=challenge)
    assert insert.submit(site_store, text(other), publish=True, challenges={RULES.id: RULES}).what == "published"
    ids = [site.ids["ada"], site.ids["bob"], other["id"]]
    page = site.get("/compare?" + "&".join(f"id={one}" for one in ids)).text
    assert "results of different tasks" in page
    assert "<strong>" not in page.split('id="metrics"')[1].split("</section>")[0]
    assert "results of different tasks" in site.get(f"/compare?a={ids[0]}&b={ids[2]}").text


# Ranks


def test_ranks_share_a_place_where_they_do_not_differ(site):
    page = site.get("/ranking").text
    rows = re.findall(r'data-label="Rank"><strong>(.*?)</strong></td><th scope="row">.*?<bdi>(.*?)</bdi>', page)
    assert rows == [("1", "Ada"), ("2", "Bob"), ("–", "Cyd")]
    assert site.get("/ranking?dataset=nothing").status_code == 404
    assert site.get("/ranking?metric=nothing").status_code == 404
    assert site.get("/ranking?page=2").status_code == 404
    assert "by <code>flood.recall</code>: higher is better" in site.get("/ranking?metric=flood.recall").text


def test_ranks_are_computed_once_for_a_state_of_the_store(site, site_store, monkeypatch):
    from ie_crowd.store import standings

    calls = []
    real = standings.standings
    monkeypatch.setattr(standings, "standings", lambda *args: calls.append(1) or real(*args))
    assert site.get("/ranking").text == site.get("/ranking").text
    assert len(calls) == 1
    new = toy((0.1, 0.2, 0.3), submitter="Fay", machine=2)
    assert insert.submit(site_store, text(new), publish=True, challenges={RULES.id: RULES}).what == "published"
    assert "Fay" in site.get("/ranking").text
    assert len(calls) == 2


def test_ranks_outlast_talk_and_not_an_objection_that_is_upheld(site, site_store, monkeypatch):
    from ie_crowd.store import standings

    calls = []
    real = standings.standings
    monkeypatch.setattr(standings, "standings", lambda *args: calls.append(1) or real(*args))
    before = site.get("/ranking").text
    reviewer, cat = (
        {"pk": pk, "name": name, "role": role} for pk, name, role in ((1, "Rae", "reviewer"), (2, "Cat", "contributor"))
    )
    for account in (reviewer, cat):
        accounts.add(site_store, account["name"], account["role"])
    comments.comment(site_store, cat, "on this one", site.ids["ada"])
    comments.sign(site_store, site.ids["ada"], reviewer, "acm-badges", "licence", "pass", "")
    accounts.new_token(site_store, "Cat")
    accounts.set_role(site_store, "Cat", "contributor")
    number = moderation.object_to(site_store, site.ids["ada"], cat, "seen elsewhere")
    assert audit.revision(site_store) >= 6
    assert site.get("/ranking").text == before
    assert len(calls) == 1
    moderation.decide(site_store, number, reviewer, upheld=True, decision="so it is")
    assert site.ids["ada"] in before
    assert site.ids["ada"] not in site.get("/ranking").text
    assert len(calls) == 2


def test_the_cache_forgets_the_oldest(site_store):
    from ie_crowd.site.cache import Cached

    cached, made = Cached(site_store, most=2), []
    for name in ("a", "b", "a", "c", "a", "b"):
        cached.get(name, lambda name=name: made.append(name))
    assert made == ["a", "b", "c", "b"]
    assert audit.revision(site_store) > 0


# Pages of words


def test_the_challenge_page_says_what_the_rules_say(site):
    page = html.unescape(site.get("/challenge").text)
    for task in RULES.tasks:
        assert task.dataset in page
    for metric in RULES.metrics.values():
        assert metric.what in page
    for files in RULES.datasets.values():
        assert all(digest in page for digest in files.values() if digest)


def test_every_point_of_the_checklists_is_there(site):
    from ie_crowd.check import checklists

    page = html.unescape(site.get("/checklists").text)
    for checklist in checklists.load():
        for points in checklist.subjects.values():
            assert all(point.asks in page for point in points)


def test_formats_document_every_field_and_hand_out_files(site):
    from ie_crowd.formats import schema, schema_docs
    from ie_crowd.store import records

    page = html.unescape(re.sub(r"</?code>", "", site.get("/formats").text))
    assert f"at most {records.LIMITS.size // 2**20}.0 MiB here" in page
    assert f"{records.LIMITS.values:,} values and {records.LIMITS.string:,} characters" in page
    for section in schema_docs.sections():
        assert section.key in page
        assert all(path in page for path, _, _, _ in section.fields)
    assert site.get("/formats/result.schema.json").content == schema.SCHEMA.read_bytes()
    assert site.get("/formats/rules.yaml").content == (RULES.folder / "rules.yaml").read_bytes()
    for name in ("make.py", "..%2Fmake.py", "nothing"):
        assert site.get(f"/formats/{name}").status_code == 404


def test_the_paper_of_this_project(site_store):
    from ie_crowd.site import content
    from ie_crowd.site.app import create_app
    from ie_crowd.site.settings import Settings
    from starlette.testclient import TestClient

    found = content.load()
    assert found.challenge.id == "ie-repr"
    with TestClient(create_app(Settings(), site_store), base_url="http://localhost") as site:
        page = site.get("/").text
        for symbol in ("r<sub>y</sub>", "q(v | r<sub>y</sub>, x)", "p(x | r<sub>y</sub>, v)", "q(y | x)"):
            assert symbol in page
        pictures = re.findall(r'<img src="([^"]+)" alt="([^"]+)"', page.split("<main")[1])
        assert len(pictures) == len(found.words.figures)
        for address, alt in pictures:
            assert site.get(address).status_code == 200
            assert len(alt) > 40
        for example in ("one-run.json", "five-runs-one-failed.json"):
            assert site.get(f"/formats/{example}").status_code == 200
        commands = html.unescape(re.sub("<[^>]+>", "", site.get("/take-part").text))
        for step in found.words.take_part:
            assert step.command in commands


def test_examples_are_results_of_this_challenge():
    from ie_crowd.store import records

    folder = load.find("ie-repr") / "examples"
    examples = sorted(folder.glob("*.json"))
    assert len(examples) == 3
    for path in examples:
        records.prepare(path.read_bytes())


def test_comments_are_shown_escaped(site, site_store):
    accounts.add(site_store, "Rae", "reviewer")
    reviewer = {"pk": 1, "name": "Rae", "role": "reviewer"}
    comments.comment(site_store, reviewer, "<script>alert(1)</script> & so\n\non", None)
    comments.comment(site_store, reviewer, "on this one", site.ids["ada"])
    page = site.get("/comments").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; so\n\non" in page
    assert "on this one" not in page
    assert "on this one" in site.get(f"/results/{site.ids['ada']}").text


# All pages


def test_texts_of_others_are_text_everywhere(site_store):
    document = toy((2.0, 2.2, 2.4), submitter='O\'Hara "the 1st"', machine=2)
    document["provenance"]["command"] = "<script>alert(1)</script> && <img src=x onerror=alert(1)> '\">"
    document = identified(document)
    accounts.add(site_store, "Rae", "reviewer")
    reviewer = {"pk": 1, "name": "Rae", "role": "reviewer"}
    outcome = insert.submit(site_store, text(document), publish=True, challenges={RULES.id: RULES})
    if outcome.what == "quarantined":
        moderation.publish(site_store, document["id"], reviewer, "looked <at>")
    with client(site_store) as site:
        own = f"/results/{document['id']}"
        versus = f"/compare?a={document['id']}&b={site_store.ids['ada']}"
        for path in (*READING, own, versus):
            page = site.get(path).text
            assert "<script" not in page
            assert "<img src=x" not in page
        for path in (own, versus):
            assert "&lt;script&gt;alert(1)&lt;/script&gt;" in site.get(path).text
        assert "O&#39;Hara &#34;the 1st&#34;" in site.get("/results").text


@pytest.mark.parametrize("path", READING)
def test_no_page_has_script_or_style_inside(site, path):
    page = site.get(path).text
    assert "<script" not in page
    assert "<style" not in page
    assert not re.search(r"<[^>]+\s(?:style|on[a-z]+)=", page)
    assert not re.search(r'(?:src|href)="(?:https?:)?//[^"]*\.(?:css|js|png|svg|woff2?)"', page), (
        "nothing from elsewhere"
    )
    assert page.count("<h1>") == 1
    assert '<html lang="en">' in page
    assert re.search(r"<title>[^<]+</title>", page)
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    for name in re.findall(r'aria-labelledby="([^"]+)"', page):
        assert set(name.split()) <= set(ids)


def test_every_link_leads_somewhere(site):
    seen, waiting = set(), ["/"]
    while waiting:
        path = waiting.pop()
        if path in seen or len(seen) > 400:
            continue
        seen.add(path)
        answer = site.get(path)
        assert answer.status_code == 200, path
        if answer.headers["content-type"].startswith("text/html"):
            found = [html.unescape(one) for one in re.findall(r'(?:href|src)="(/[^"#]*)', answer.text)]
            waiting += [one for one in found if not one.startswith("/api/v1")]
            waiting.sort(key=lambda one: "?" in one, reverse=True)  # filters have many combinations: pages first
    assert {f"/results/{site.ids['ada']}", "/formats/rules.yaml", "/ranking"} <= seen
