"""The request of `reproduce ie-repr new-classes`: which data set it is, its tasks, and the command that asks for it."""

from dataclasses import replace

import pytest
from ie_recipes import flags
from ie_recipes.data import new_classes

ENV = {"CM_IE_DATASET": new_classes.TAG, "CM_IE_SUPERVISION": "semi-supervised", "CM_TMP_CURRENT_PATH": "/"}


def asked(**more):
    return flags.from_env(ENV | more)


def test_the_default_is_strokes_with_all_labels_of_200_classes():
    request = asked()
    assert (request.dataset, request.supervision, request.recipe) == ("strokes", "supervised", "closed")
    assert request.config()["labels"] == 4000
    flags.check_task(request)
    assert request.task() == "strokes-supervised-4000"
    assert request.command() == ["cm", "run", "script", "reproduce ie-repr new-classes _strokes"]


def test_omniglot_is_asked_for_by_its_variation():
    request = asked(CM_IE_CLASSES="omniglot-small", CM_IE_SMOKE="yes")
    assert request.dataset == "omniglot-small"
    assert request.command()[-1] == "reproduce ie-repr new-classes _omniglot-small _smoke"


def test_full_is_every_number_of_classes():
    parts = asked(CM_IE_FULL="yes").parts()
    assert [part.labels for part in parts.values()] == [200, 1000, 4000, 20_000]
    for part in parts.values():
        flags.check_task(part)


@pytest.mark.parametrize("labels", [100, "all"])
def test_other_label_counts_are_refused_in_one_line(labels):
    with pytest.raises(ValueError, match=r"^labels: got (100|all), ") as error:
        flags.check_task(replace(asked(), labels=labels))
    assert "\n" not in str(error.value)


def test_what_is_drawn_takes_no_data():
    with pytest.raises(ValueError, match="strokes are drawn, not read: leave --data out"):
        flags.check_data(asked(CM_IE_DATA="/tmp"))


def test_a_smoke_run_is_a_task_of_the_challenge():
    flags.check_task(asked(CM_IE_SMOKE="yes"))
