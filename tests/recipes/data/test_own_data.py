"""The request of `reproduce ie-repr own-data`: what is counted, its task, the command that asks for it, and one run."""

import json

import numpy as np
import pytest
from ie_crowd.check import verdict
from ie_recipes import flags, workflow

ENV = {"CM_IE_DATASET": "own-data", "CM_IE_COLOUR": "no", "CM_IE_SIDE": "28", "CM_TMP_CURRENT_PATH": "/"}


@pytest.fixture
def data(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (60, 12, 12), dtype=np.uint8)
    np.savez(tmp_path / "own.npz", x=x, y=np.arange(60) % 3)
    return tmp_path / "own.npz"


def asked(data, **more):
    request = flags.from_env(ENV | {"CM_IE_DATA": str(data)} | more)
    flags.check_data(request)
    flags.check_task(request)
    return request


def test_labels_say_the_supervision(data):
    request = asked(data)
    assert (request.supervision, request.recipe, request.challenge) == ("semi-supervised", "closed", "own-data")
    assert request.task() == "own-data-semi-supervised-30"
    assert request.config()["own_classes"] == 3
    assert asked(data, CM_IE_LABELS="all").supervision == "supervised"
    assert asked(data, CM_IE_LABELS="12").config()["labels"] == 12


def test_the_command_asks_for_the_same(data):
    request = asked(data, CM_IE_COLOUR="yes", CM_IE_SIDE="32", CM_IE_METHOD="m2")
    assert request.command()[3:] == ["reproduce ie-repr own-data _colour _32px _m2", f"--data={data}"]
    assert flags.from_text(request.text()) == request
    words = workflow.training(request, 0)
    assert {"--dataset=own-data", "--own-channels=3", "--own-side=32", "--seed=100"} <= set(words)
    assert not [word for word in words if word.startswith("--own-classes")]


def test_no_data_is_refused_before_anything_runs():
    with pytest.raises(ValueError, match="own-data needs --data"):
        flags.from_env(ENV)


def test_a_run_leaves_the_same_artifact_and_no_claim(data, tmp_path, monkeypatch):
    monkeypatch.setenv("IE_REPR_CACHE", str(tmp_path / "cache"))
    small = {"CM_IE_SMOKE": "yes", "CM_IE_EPOCHS": "1", "CM_IE_THREADS": "1"}
    tiny = {"control_steps": 5, "warm_up_steps": 5, "epoch_images": 100, "likelihood_samples": 10}
    request = flags.replace(asked(data, **small), more=tiny, draws=[0])
    out = tmp_path / "a result"
    workflow.Flow(request, out, device="cpu", reason="", data=str(data), downloaded=0).run()
    result = json.loads((out / "result.json").read_text())
    assert result["challenge"]["id"] == "own-data"
    assert [file["name"] for file in result["datasets"][0]["files"]] == ["given", "prepared"]
    found = verdict.judge(out)
    states = {group.id: group.counts for group in found.groups}
    assert states["integrity"].keys() | states["validity"].keys() <= {"pass", "not evidenced", "not applicable"}
    assert "claims" not in states
