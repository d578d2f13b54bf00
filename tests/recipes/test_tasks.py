"""Several tasks in one command, with the stand-in for ie_model: one folder each, failures, resuming, the index page."""

import json
from html.parser import HTMLParser

import pytest
from flow_place import ALL, one_line
from ie_crowd.formats import schema
from ie_recipes import tasks

PAGE = ["index.html", "error_by_labels.png", "error_by_labels.svg"]
TASKS = [f"mnist-semi-supervised-{labels}" for labels in (100, 600, 1000, 3000)]


def run(place, stand_in=None, **asked):
    return place.run(stand_in, **{"smoke": False, "full": True, "seeds": 2, "threads": ALL, **asked})


class Links(HTMLParser):
    """Every href, and whether the page runs or loads anything."""

    def __init__(self):
        super().__init__()
        self.hrefs, self.tags = [], set()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.hrefs += [value for key, value in attributes if key == "href"]


def links(folder):
    parser = Links()
    parser.feed((folder / "index.html").read_text(encoding="utf-8"))
    return parser


def test_every_task_has_a_folder_of_its_own_and_the_index_lists_them(place):
    done = run(place)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in place.out.iterdir()) == sorted([*TASKS, *PAGE])
    for task in TASKS:
        document = json.loads((place.out / task / "result.json").read_text())
        assert schema.problems(document) == []
        assert len(document["runs"]) == 2
        assert str(document["task"]["labels"]) == task.rpartition("-")[2]
        assert not (place.out / task / "incomplete.json").exists()
    page = links(place.out)
    assert page.hrefs == [f"{task}/report.html" for task in TASKS]
    assert all((place.out / href).is_file() for href in page.hrefs)
    assert "script" not in page.tags
    curve = json.loads((place.out / "error_by_labels.svg").read_text())
    assert [one["name"] for one in curve["measured"]] == ["EquiVAE, improved", "the same classifier, labels alone"]
    assert [point[0] for point in curve["measured"][0]["points"]] == [100, 600, 1000, 3000]
    assert any(one["name"].startswith("M1+M2 (Kingma") for one in curve["published"])
    text = (place.out / "index.html").read_text(encoding="utf-8")
    assert "classification.error" in text
    assert "(n = 2)" in text
    assert str(place.out / "index.html") in done.stdout.splitlines()[-1]


def test_a_failed_run_is_reported_and_the_other_tasks_go_on(place):
    done = run(place, {"train 1": "fail"})
    assert done.returncode == 1
    assert "4 of 4 tasks had failures" in one_line(done)
    assert sorted(path.name for path in place.out.iterdir()) == sorted([*TASKS, *PAGE])
    text = (place.out / "index.html").read_text(encoding="utf-8")
    assert text.count("run 1 failed") == 4
    assert "(n = 1)" in text


def test_a_task_whose_every_run_fails_is_listed_and_the_folder_stays_unfinished(place):
    done = run(place, {"train 0": "fail"}, seeds=1)
    assert done.returncode == 1
    assert "every run failed" in one_line(done)
    assert place.marker()["missing"] == TASKS
    assert links(place.out).hrefs == []


def test_stopped_in_the_middle_it_goes_on_with_what_is_missing(place):
    first = run(place, {"evaluate 1": "exit 2"})
    assert first.returncode == 2
    assert "_full" in one_line(first), "what to go on with is the whole command"
    assert place.marker()["missing"] == TASKS
    before = place.calls()
    again = run(place)
    assert again.returncode == 0, again.stderr
    one_task = ["train", "train", "figures"]
    assert place.calls()[len(before) :] == ["evaluate", "figures", *(one_task * 3), "curve"]
    assert not (place.out / "incomplete.json").exists()


@pytest.mark.parametrize("other", [{"seeds": 3}, {"epochs": 3}, {"full": False}])
def test_another_request_in_the_same_folder_is_refused(place, other):
    run(place, {"evaluate 1": "exit 2"})
    before = {path: path.read_bytes() for path in place.out.rglob("*") if path.is_file()}
    done = run(place, **other)
    assert done.returncode == 2
    assert "unfinished run" in one_line(done)
    assert {path: path.read_bytes() for path in place.out.rglob("*") if path.is_file()} == before


def test_a_finished_folder_is_refused(place):
    assert run(place, seeds=1).returncode == 0
    done = run(place, seeds=1)
    assert done.returncode == 2
    assert "holds a finished run" in one_line(done)


def test_references_are_one_folder_each_with_the_time_that_is_left_before_each(place):
    asked = {"dataset": "glyphs", "full": False, "references": True, "seeds": 1, "threads": None}
    stopped = run(place, {"evaluate 0": "exit 2"}, **asked)
    assert "_references" in one_line(stopped)
    assert "0 of 4 tasks are complete" in stopped.stdout
    assert "on cores like those of the plan" in stopped.stdout
    done = run(place, **asked)
    assert done.returncode == 0, done.stderr
    first, second, *_ = (line for line in done.stdout.splitlines() if " left, " in line)
    assert "0 of 4 tasks are complete" in first
    assert "1 of 4 tasks are complete" in second
    assert "as this machine has shown" in second
    folders = sorted(path.name for path in place.out.iterdir() if path.is_dir())
    kinds = ("semi-supervised-100", "semi-supervised-100-paper", "supervised-all", "supervised-all-paper")
    assert folders == [f"glyphs-{kind}" for kind in kinds]
    assert sorted(links(place.out).hrefs) == sorted(f"{name}/report.html" for name in folders)
    assert "glyphs: reference results" in (place.out / "index.html").read_text(encoding="utf-8")


def test_a_duration_is_minutes_then_hours():
    assert [tasks.duration(s) for s in (1, 89, 3600, 7530)] == ["1 min", "1 min", "1 h 00 min", "2 h 06 min"]
