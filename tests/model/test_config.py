"""The configuration refuses what no run could use, in one line that says what was expected."""

import dataclasses
import json
import re
import subprocess
import sys

import pytest

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
    for labels in (*DATASETS[dataset].label_grid, DATASETS[dataset].smallest_class * 10, "all"):
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
