"""Both recipes at once, with the stand-in for ie_model: two folders, one table, one page, and what may go wrong."""

import json
import signal
from html.parser import HTMLParser

import pytest
from flow_place import PATIENCE, alive, one_line
from ie_crowd.formats import schema

BOTH = {"recipe": "both", "smoke": False}
RECIPES = ("closed", "paper")


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.hrefs, self.tags, self.text = [], set(), ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.hrefs += [value for key, value in attributes if key == "href"]

    def handle_data(self, data):
        self.text += data


def test_a_folder_each_one_table_and_a_page(place):
    done = place.run(**BOTH)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in place.out.iterdir()) == [*RECIPES[:1], "index.html", *RECIPES[1:]]
    for recipe in RECIPES:
        document = json.loads((place.out / recipe / "result.json").read_text())
        assert schema.problems(document) == []
        assert (document["config"]["recipe"], document["config"]["threads"]) == (recipe, 1)
        assert document["challenge"]["division"] == "closed"
        assert f"_{recipe}" in document["provenance"]["command"]
        assert document["cost"]["energy_joules_estimated"] is None, "another recipe took a part of it"
        assert not (place.out / recipe / "incomplete.json").exists()
    first, *rest = done.stdout.splitlines()
    for word in ("mnist", "100 labels", "at once", "10 to 25 minutes", "cpu", str(place.out)):
        assert word in first
    assert all(len(line) <= 80 for line in rest[:-1])
    table = "\n".join(rest)
    for said in (
        "EquiVAE, as in the paper", "EquiVAE, improved", "labels alone", "Kingma et al. 2014", "11.97 ± 1.71", "VAT",
        "What the paper claims is judged on its own recipe", "claim, and what it asks", "invariant carries class",
        "invariant.knn_error", "50 %: not evidenced",
    ):  # fmt: skip
        assert said in table
    written = (place.out / "index.html").read_text(encoding="utf-8")
    assert max(row.count("</td>") for row in written.split("<tr>")) <= 3, "no wider than a phone"
    assert written.index("Claims of the paper") < written.index("What was measured") < written.index("others published")
    page = Page(written)
    assert set(page.hrefs) == {f"{recipe}/report.html" for recipe in RECIPES}
    assert all((place.out / href).is_file() for href in page.hrefs)
    assert "script" not in page.tags
    assert page.text.count("50 %: not evidenced, one run (outside)") >= 6, "three claims, two recipes"


def test_they_are_at_work_at_once(place):
    done = place.run({"paper train 0": "fail once another waits", "closed train 0": "wait"}, **BOTH)
    assert "every run failed" in done.stderr, "the paper's ended only once the other had begun"


def test_one_that_fails_leaves_the_other_alone_and_can_be_done_again(place):
    done = place.run({"paper train 0": "fail"}, **BOTH)
    assert done.returncode == 1
    assert "1 of 2 tasks had failures (paper: every run failed" in one_line(done)
    assert (place.out / "closed" / "result.json").is_file()
    assert "every run failed" in Page((place.out / "index.html").read_text(encoding="utf-8")).text
    assert place.marker()["missing"] == ["paper"]


def test_stopped_it_goes_on_with_what_is_missing(place):
    done = place.run({"paper evaluate 0": "exit 1"}, **BOTH)
    assert done.returncode == 1
    assert "go on with: cm run script 'reproduce ie-repr mnist _semi-supervised' " in one_line(done)
    before = place.calls()
    again = place.run(**BOTH)
    assert again.returncode == 0, again.stderr
    assert sorted(place.calls()[len(before) :]) == ["evaluate", "figures"]
    assert not (place.out / "incomplete.json").exists()
    assert "holds a finished run" in one_line(place.run(**BOTH))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_told_to_stop_everything_ends_and_it_goes_on_later(place, number, code):
    process, waiting = place.start({"closed train 0": "wait"}, **BOTH)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, stderr
    assert not alive(waiting)
    line = next(line for line in stderr.splitlines() if line.startswith("run-ie-repr: error: "))
    assert "go on with: cm run script 'reproduce ie-repr mnist _semi-supervised' " in line
    assert place.run(**BOTH).returncode == 0


def test_a_single_recipe_in_that_folder_is_refused(place):
    place.run({"paper train 0": "exit 1"}, **BOTH)
    done = place.run(recipe="paper", smoke=False)
    assert done.returncode == 2
    assert "unfinished run" in one_line(done)
