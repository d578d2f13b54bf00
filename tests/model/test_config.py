"""The configuration refuses what no run could use, in one line that says what was expected."""

import dataclasses
import json
import re
import subprocess
import sys

import pytest

from ie_model import recipes
from ie_model.config import DATASETS, Config


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"labels": 7}, "multiple of the 10 classes"),
        ({"labels": 10}, "no complementary sample"),
        ({"labels": 70_000}, "rarest class"),
        ({"labels": 0}, "multiple"),
        ({"labels": -100}, "multiple"),
        ({"labels": "many"}, "whole number or 'all'"),
        ({"labels": 100.0}, "labels: got 100.0"),
        ({"epochs": "abc"}, "epochs: got 'abc', expected a whole number"),
        ({"epochs": -1}, "epochs: got -1, expected 1 to"),
        ({"epochs": 0}, "epochs: got 0"),
        ({"epochs": True}, "epochs: got True"),
        ({"epochs": 1.5}, "epochs: got 1.5"),
        ({"seed": -1}, "seed: got -1"),
        ({"learning_rate": float("nan")}, "learning_rate: got nan"),
        ({"kl_start": float("inf")}, "kl_start: got inf"),
        ({"threads": 0}, "threads: got 0"),
        ({"dataset": "mnsit"}, "expected one of: mnist, fashion-mnist, svhn, glyphs"),
        ({"method": "m1"}, "method: got 'm1', expected one of: equivae, m2"),
        ({"supervision": "none"}, "semi-supervised, supervised"),
        ({"device": "tpu"}, "cpu, cuda"),
        ({"per_class": 1}, "per_class: got 1, expected 2"),
        ({"epoch": 3}, "unknown setting 'epoch'"),
    ],
)
def test_bad_values_are_refused_in_one_line(given, named):
    with pytest.raises(ValueError, match=re.escape(named)) as refused:
        Config.resolve(**given)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_label_count_of_the_grid_is_valid(dataset):
    facts = DATASETS[dataset]
    more = () if facts.unseen else (facts.smallest_class * 10, "all")  # a count says how many classes there are
    for labels in (*facts.label_grid, *more):
        assert Config.resolve(dataset=dataset, labels=labels).labels == labels


def test_defaults_depend_on_the_task_and_what_is_given_wins():
    assert Config.resolve().labels == 100
    assert Config.resolve(supervision="supervised").labels == "all"
    assert Config.resolve(smoke=True).epochs == 2
    assert Config.resolve(smoke=True, epochs=3).epochs == 3
    assert Config.resolve(labels=None).labels == 100


def test_a_configuration_survives_the_disk(tmp_path):
    config = Config.resolve(labels=600, seed=3, kl_start=2.5)
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    assert Config.read(tmp_path / "config.json") == config


def test_a_run_from_before_a_setting_goes_on_with_what_it_had(tmp_path):
    config = Config.resolve()
    stored = config.to_dict()
    del stored["smoothness_until"]
    (tmp_path / "config.json").write_text(json.dumps(stored))
    assert Config.read(tmp_path / "config.json") == dataclasses.replace(config, smoothness_until=0.8)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"epoch": 1}', '{"labels": 7}'])
def test_a_damaged_configuration_is_a_value_error(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ValueError, match=r"expected|unexpected|unknown|config\.json"):
        Config.read(tmp_path / "config.json")


def test_every_setting_says_what_it_is():
    for spec in dataclasses.fields(Config):
        assert spec.metadata["about"], spec.name


def test_wrong_values_are_refused_without_importing_torch():
    code = "import sys, ie_model.config, ie_model.__main__; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Recipes


def test_the_papers_recipe_is_its_objective():
    paper = Config.resolve(recipe="paper")
    assert (paper.kl_start, paper.labelled_weight, paper.complementary) == (1.0, 1.0, "labelled")
    for name in ("smoothness", "balance", "posed", "moved", "moments"):
        assert getattr(paper, f"{name}_weight") == 0
    assert (paper.free_nats, paper.pose_gain, paper.warm_up_steps, paper.modulated) == (0, 0, 0, False)
    assert paper.labelled_decoded >= paper.per_class  # all labelled images of a step
    assert 0 < paper.sum_tolerance <= 0.01
    for task in ({"supervision": "supervised"}, {"dataset": "glyphs"}, {"method": "m2"}, {"smoke": True}):
        Config.resolve(recipe="paper", **task)


@pytest.mark.parametrize(
    ("name", "value"), [("kl_start", 2.0), ("free_nats", 0.1), ("moved_weight", 30.0), ("complementary", "all")]
)
def test_what_would_change_the_papers_objective_is_refused(name, value):
    with pytest.raises(ValueError, match=f"^{name}: got {value}, but the paper's objective has .*--recipe=closed$"):
        Config.resolve(recipe="paper", **{name: value})


def test_what_the_paper_leaves_open_may_be_chosen_in_its_recipe():
    assert Config.resolve(recipe="paper", classifier_weight=30.0, channels=8, modulated=True).channels == 8


def test_the_papers_sum_is_whole_but_for_what_is_worth_little():
    assert Config.resolve(recipe="paper", sum_tolerance=0.001).sum_tolerance == 0.001
    assert Config.resolve(recipe="paper", sum_tolerance=0.0, likeliest=10, pairs_per_image=10.0).likeliest == 10
    for wrong in ({"sum_tolerance": 0.5}, {"sum_tolerance": 0.0}, {"sum_tolerance": 0.0, "likeliest": 10}):
        with pytest.raises(ValueError, match=r"^sum_tolerance: got .* the paper's sum over y is whole"):
            Config.resolve(recipe="paper", **wrong)


def test_an_unknown_recipe_and_combinations_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="recipe: got 'own', expected one of: paper, closed, open"):
        Config.resolve(recipe="own")
    with pytest.raises(ValueError, match="q-only learns from labels and unlabelled images"):
        Config.resolve(method="q-only", supervision="supervised")
    with pytest.raises(ValueError, match=r"posed_weight: got 30\.0, but with pose_gain 0 nothing is moved"):
        Config.resolve(pose_gain=0.0)


@pytest.mark.parametrize(("was_open", "recipe"), [(True, "open"), (False, "closed")])
def test_a_configuration_from_before_there_were_recipes_reads_as_what_it_was(tmp_path, was_open, recipe):
    stored = {name: value for name, value in Config.resolve().to_dict().items() if name not in recipes.BEFORE}
    for more in ({}, {"recipe": "closed"}):  # the rules add what came later
        (tmp_path / "config.json").write_text(json.dumps({**stored, **more, "open": was_open}))
        read = Config.read(tmp_path / "config.json")
        assert read.recipe == recipe
        assert (read.complementary, read.modulated, read.moments_weight) == ("labelled", False, 0)
        assert not read.apart
