"""What others' tools read of a run and of the data: logs, a model card, Croissant metadata."""

import importlib.util
import json
import platform
import sqlite3

import pytest
import torch
import yaml
from paths import ROOT
from small_training import CONFIG, run, small_training

import ie_model
from ie_model import __main__ as program
from ie_model.api import croissant, model_card, trackers
from ie_model.data import fetch, tensors
from ie_model.run import run_folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run with two metrics, as an evaluation would leave them."""
    folder = tmp_path_factory.mktemp("published") / "a 'run'"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tensors, "load_training", small_training)
        run(CONFIG, folder)
    document = run_folder.read_run(folder)
    measured = {"classification.error": 12.5, "elbo": -101.25}
    run_folder.write_json(folder / "run.json", document | {"status": "completed", "metrics": measured})
    return folder


def test_a_history_has_each_epoch_and_the_metrics_by_their_names(finished):
    told = trackers.history(finished, "x")
    assert told.config == CONFIG.to_dict()
    bounds = [(epoch, value) for name, epoch, value in told.scalars if name == "bound"]
    assert [epoch for epoch, _ in bounds] == [1, 2, 3]
    assert {name: (epoch, value) for name, epoch, value in told.scalars if "." in name} == {
        "classification.error": (3, 12.5)
    }
    assert ("elbo", 3, -101.25) in told.scalars


def test_a_run_that_is_still_training_can_be_logged(finished, tmp_path):
    for name in ("config.json", "metrics.jsonl"):
        (tmp_path / name).write_bytes((finished / name).read_bytes())
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"epoch": 4, "bou')
    assert max(epoch for _, epoch, _ in trackers.history(tmp_path, "x").scalars) == 3


def test_a_results_folder_is_as_many_runs_as_it_holds(finished, tmp_path, monkeypatch):
    (tmp_path / "runs").mkdir()
    for number in ("0", "10", "2"):
        (tmp_path / "runs" / number).symlink_to(finished)
    written = []
    monkeypatch.setitem(trackers._WRITERS, "tensorboard", lambda told, folder: written.append(told.name))
    assert trackers.write(tmp_path, ["tensorboard"], tmp_path / "logs") == 3
    assert written == [f"{tmp_path.name}-{number}" for number in ("0", "2", "10")]
    written.clear()
    trackers.write(tmp_path, ["tensorboard"], tmp_path / "logs", "by day")
    assert written == [f"by day-{number}" for number in ("0", "2", "10")]


@pytest.mark.parametrize("name", trackers.NEEDED)
def test_a_tracker_that_is_installed_takes_it(finished, tmp_path, name):
    if importlib.util.find_spec(trackers.NEEDED[name]) is None:
        pytest.skip(f"{trackers.NEEDED[name]} is not installed (the extra log)")
    for _ in range(2):  # the second time replaces the first
        assert trackers.write(finished, trackers.chosen(name), trackers.prepared(tmp_path / "logs")) == 1
    if name == "tensorboard":
        assert len(list((tmp_path / "logs").glob("tensorboard/*/events.out.tfevents.*"))) == 1
    elif name == "mlflow":
        with sqlite3.connect(tmp_path / "logs" / "mlflow" / "mlflow.db") as database:
            rows = database.execute(
                "SELECT value FROM latest_metrics JOIN runs USING (run_uuid) "
                "WHERE key = 'elbo' AND lifecycle_stage = 'active'"
            ).fetchall()
        assert rows == [(-101.25,)]
    else:
        kept = list((tmp_path / "logs" / "wandb").glob("offline-run-*/*.wandb"))
        assert kept
        assert not any(platform.node().encode() in path.read_bytes() for path in kept), "the machine's name stays here"


def test_the_command_calls_a_run_what_its_folder_is_called_or_what_is_asked(finished, tmp_path, monkeypatch, capsys):
    written = []
    monkeypatch.setitem(trackers._WRITERS, "tensorboard", lambda told, folder: written.append(told.name))
    monkeypatch.setitem(trackers.NEEDED, "tensorboard", "json")  # whether it is installed is not the question
    for more in ([], ["--name=by day"]):
        assert program.main(["log", str(finished), "--log=tensorboard", f"--log-dir={tmp_path}", *more]) == 0
    assert written == [finished.name, "by day"]
    assert capsys.readouterr().out.count("1 run, for tensorboard") == 2


def test_wrong_trackers_and_folders_are_one_line_before_any_work(finished, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(trackers.NEEDED, "wandb-offline", "no_such_wandb")
    (tmp_path / "file").write_text("")
    for argv, said in (
        ([f"--log-dir={tmp_path}", "--log=board"], "log: got 'board', expected one or several of: tensorboard"),
        ([f"--log-dir={tmp_path}", "--log=wandb-offline"], "wandb-offline needs no_such_wandb"),
        ([f"--log-dir={tmp_path}", "--log=,"], "log: nothing is named"),
    ):
        for command in (["log", str(finished)], ["train", "--dataset=glyphs", f"--outdir={tmp_path / 'run'}"]):
            assert program.main([*command, *argv]) == 2
            err = capsys.readouterr().err
            assert said in err
            assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()
    with pytest.raises(ValueError, match=r"cannot be made .*give another --log-dir"):
        trackers.prepared(tmp_path / "file" / "logs")
    with pytest.raises(ValueError, match="holds no run that can be read"):
        trackers.write(tmp_path, [], tmp_path)


def test_a_card_has_the_hubs_header_and_its_folder_loads(finished, tmp_path):
    model_card.write(ie_model.load(finished), tmp_path / "hub")
    text = (tmp_path / "hub" / "README.md").read_text(encoding="utf-8")
    header = yaml.safe_load(text.split("---\n")[1])
    assert header["library_name"] == "ie-repr"
    assert header["datasets"] == ["glyphs"]
    [result] = header["model-index"][0]["results"]
    assert {one["type"]: one["value"] for one in result["metrics"]} == {"classification.error": 12.5, "elbo": -101.25}
    assert "| `elbo` | bound, nats | -101.25 |" in text
    again = ie_model.load(tmp_path / "hub")
    assert torch.equal(again.r, ie_model.load(finished).r)
    assert again.metrics == {"classification.error": 12.5, "elbo": -101.25}


def test_a_card_of_what_is_not_evaluated_claims_nothing(finished):
    loaded = ie_model.load(finished)
    text = model_card.card(loaded.__class__(finished, loaded.config, loaded.model, loaded.r, {}), {"model_sha256": "0"})
    assert "model-index" not in text
    assert "Not evaluated yet" in text


@pytest.mark.parametrize("name", croissant.WORDS)
def test_croissant_names_every_file_with_the_hash_that_is_checked(name):
    made = croissant.metadata(name)
    assert made == json.loads((ROOT / "docs" / "croissant" / f"{name}.json").read_text(encoding="utf-8"))
    assert made["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    hashed = {one["name"]: one.get("sha256") or one.get("md5") for one in made["distribution"]}
    assert all(hashed.values())
    assert fetch.FILES.get(name, {}).items() <= hashed.items()
    held = {one["@id"] for one in made["distribution"]}
    assert all(one["containedIn"]["@id"] in held for one in made["distribution"] if "containedIn" in one)


def test_every_data_set_is_described_and_packed_files_have_torchvisions_hashes():
    from torchvision.datasets import MNIST, FashionMNIST

    from ie_model.facts.datasets import DATASETS

    assert set(croissant.WORDS) == set(DATASETS) - {"own-data"}
    for name, kind in (("mnist", MNIST), ("fashion-mnist", FashionMNIST)):
        assert {f"{file}.gz": md5 for file, md5 in croissant.PACKED_MD5[name].items()} == dict(kind.resources)
    with pytest.raises(ValueError, match="expected one of: mnist"):
        croissant.metadata("emnist")
