"""Forgeries by somebody who has read the code: one training shown as several, others' weights in other contests."""

import shutil

import pytest
from ie_crowd.artifact import assemble
from ie_crowd.challenge import load
from ie_crowd.evidence import worker
from ie_crowd.formats import checksums
from ie_crowd.store import query
from toy_challenge.make import FACTS, RULES, run_document, write_folder
from toy_evidence import make, take_in

pytest.importorskip("sqlalchemy")

# A model that is almost another (the same thousandths but for four) takes almost every image for the same class.
PREDICTIONS = """
    import numpy as np
    chance = np.random.default_rng(int(mae * 1000) // 4)
    classes = chance.integers(0, 10, 10_000).astype("<i2")
    classes[: int(mae * 1000) % 4] += 1
    header = json.dumps({"forecast.mae": {"dtype": "I16", "shape": [10000], "data_offsets": [0, 20000]}}).encode()
    content = len(header).to_bytes(8, "little") + header + classes.tobytes()
    (options.run / "predictions.safetensors").write_bytes(content)
    path.write_text("""


@pytest.fixture
def check(place, tmp_path):
    """Takes in what lies in the home, verifies it by rules whose program leaves predictions, and says of each result
    its outcome, state and first reason."""
    rules = tmp_path / "rules"
    shutil.copytree(RULES.folder, rules)
    program = rules / "compute.py"
    program.write_text(program.read_text().replace("    path.write_text(", PREDICTIONS, 1))
    by = load.challenge(rules)
    home, engine, store = place

    def run():
        take_in(home, engine, store)
        done = {one.result_id: one for one in worker.work(engine, store, worker.Settings(challenges={by.id: by}))}
        told = {}
        for name, one in done.items():
            row = query.one(engine, name)
            told[name] = (one.outcome, row["state"], row["reasons"][0]["detail"] if row["reasons"] else "")
        return told

    return home, run


def of_fifty(home, name, maes, cores):
    """A result of the contest with 50 labels."""
    task = {"dataset": "gauges", "supervision": "supervised", "labels": 50}
    runs = []
    for number, mae in enumerate(maes):
        run = run_document(number, mae, 90.0, task=task, epochs=9)
        runs.append({**run, "config": {**run["config"], "epochs": 9}})
    write_folder(home / name, runs)
    facts = {
        **FACTS,
        "submitter": name,
        "system": {**FACTS["system"], "cores": {"physical": 1, "logical": cores, "usable": 1}},
    }
    document = assemble.assemble(home / name, challenge=RULES, **facts)
    checksums.write_sha256sums(home / name)
    return document["id"]


def test_one_training_shown_as_several_is_held_back(check):
    """The best of many trainings, under all seeds that are asked for, with a little noise: it would scatter by next
    to nothing."""
    home, run = check
    cloner = make(home, "Cloner", maes=(4.0, 4.001, 4.002))
    honest = make(home, "Honest", maes=(4.5, 6.5, 5.5), cores=4)
    told = run()
    assert told[honest] == ("pass", "published", "")
    assert told[cloner][:2] == ("pass", "quarantined")
    assert told[cloner][2].startswith("copy: run 1 and run 0 of the same result differ on 1 image")


def test_nor_is_ones_own_best_run_handed_in_again_under_another_draw(check):
    home, run = check
    first = make(home, "Cloner", maes=(4.0, 6.0, 5.0))
    assert run()[first] == ("pass", "published", "")
    (home / "Cloner").rename(home / "first")
    again = make(home, "Cloner", maes=(9.0, 4.001, 7.0))
    state = run()[again]
    assert state[:2] == ("pass", "quarantined")
    assert "run 1 and run 0 of" in state[2]


def test_the_same_draws_trained_again_are_no_copy(check):
    """The same seed gives almost the same weights on another machine: one draw seen twice, and averaged as such."""
    home, run = check
    first = make(home, "Again", maes=(4.0, 6.0, 5.0))
    run()
    (home / "Again").rename(home / "first")
    again = make(home, "Again", maes=(4.001, 6.001, 5.001), cores=8)
    assert run()[again] == ("pass", "published", "")
    assert first != again


def test_runs_of_two_others_mixed_are_copies_of_both(check):
    home, run = check
    make(home, "A", maes=(4.0, 6.0, 5.0))
    make(home, "B", maes=(4.5, 6.5, 5.5), cores=4)
    run()
    mixed = make(home, "Mixer", maes=(4.001, 6.501, 8.0), cores=8)
    state = run()[mixed]
    assert state[:2] == ("pass", "quarantined")
    assert state[2].startswith("copy: run ")


def test_weights_of_a_contest_with_more_labels_are_known_in_one_with_fewer(check):
    """What was trained with more labels is better than what fewer give; the test images are the same."""
    home, run = check
    more = make(home, "More", maes=(4.0, 6.0, 5.0))
    run()
    fewer = of_fifty(home, "Fewer", (4.001, 6.001, 5.001), 8)
    state = run()[fewer]
    assert state[:2] == ("pass", "quarantined")
    assert f"of {more[:12]}" in state[2]
