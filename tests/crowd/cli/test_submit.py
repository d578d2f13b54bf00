"""`ie-crowd submit --to`: what becomes public is shown and asked for, and lands as an experiment of CM."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from cm_repos import register
from ie_crowd import __main__ as command_line
from ie_crowd.check import integrity, recompute
from ie_crowd.formats import canonical_json, checksums
from ie_crowd.store import user_data
from ie_crowd.submit import cm_experiment, outbox, publication
from ie_recipes import crowd_commands
from paths import ROOT
from toy_challenge.make import RULES, WEIGHTS, failed_run, run_document, write_folder

RECIPE = ROOT / "script" / "submit-ie-repr"
BELOW = "experiment/river-levels-gauges-supervised-all"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A results folder of the toy challenge; the current folder is an empty one, with a space and a quote."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data of the user"))
    here = tmp_path / "it's here"
    here.mkdir()
    monkeypatch.chdir(here)
    write_folder(here / "a result")
    return here / "a result"


def submit(*arguments, answer=None, monkeypatch=None):
    if answer is not None:
        monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    return command_line.main(["submit", *map(str, arguments), f"--challenge={RULES.folder}"])


def files(folder):
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def own_repository(folder, name="cmr.yaml", text='alias: mine\nuid: "00112233445566aa"\n'):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder


# What is shown


def test_everything_that_becomes_public_is_named(run, capsys):
    before = files(run)
    assert submit("a result", "--to=out", "--dry-run", "--submitter=Ada L.") == 0
    said = capsys.readouterr().out
    result = json.loads((run / "result.json").read_text())
    for key in result:
        assert f"\n  {key.replace('_', ' ')}" in said, key
    for fact in result["system"].values():
        if isinstance(fact, str):
            assert " ".join(fact.split()) in " ".join(said.split())
    said_in_line = " ".join(said.split())
    for words in ("Ada L.", "river-models 13.0.96.1", "damping=0.25", "NVIDIA H100 80GB HBM3", "forecast.mae 5 "):
        assert words in said_in_line
    assert "figures/levels.png" in said
    assert "model.safetensors" not in said
    assert not Path("out").exists()
    assert files(run) == before
    assert all(len(line) <= 80 for line in said.splitlines() if "out" not in line and "experiment/" not in line)


def test_the_whole_document_is_shown_when_asked_for(run, capsys):
    assert submit("a result", "--to=out", "--dry-run", "--show") == 0
    out = capsys.readouterr().out
    shown = json.loads(out[out.index("\n{") : out.rindex("}\n\nGoes into") + 1])
    assert shown == json.loads((run / "result.json").read_text())


def test_a_part_that_nobody_wrote_words_for_is_shown_all_the_same(run):
    made = publication.prepare(run, challenge=RULES)
    strange = made._replace(result={**made.result, "hobbies": {"of": ["the submitter"]}})
    assert '{"of": ["the submitter"]}' in publication.describe(strange)


# Asking


@pytest.mark.parametrize(("answer", "written"), [("y\n", True), ("yes\n", True), ("n\n", False), ("\n", False)])
def test_it_asks(run, monkeypatch, answer, written):
    assert submit("a result", "--to=out", answer=answer, monkeypatch=monkeypatch) == (0 if written else 1)
    assert Path("out").exists() == written


@pytest.mark.parametrize("stdin", ["", None])
def test_nobody_to_ask(run, monkeypatch, capsys, stdin):
    monkeypatch.setattr(sys, "stdin", None if stdin is None else io.StringIO(stdin))
    assert submit("a result", "--to=out") == 2
    assert capsys.readouterr().err == (
        "ie_crowd: error: nobody answers here (standard input is closed): pass --yes to publish without being asked\n"
    )
    assert not Path("out").exists()


# What is written


def test_an_experiment_of_cm(run, capsys):
    assert submit("a result", "--to=out", "--yes", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["outcome"] == "written"
    folder = Path("out", said["path"])
    result = json.loads((folder / "result.json").read_text())
    assert result == json.loads((run / "result.json").read_text())
    assert said["id"] == result["id"]
    assert folder.parent == Path("out/cm-repo", BELOW)
    assert folder.name == f"2026-01-02.03-04-05.{result['id'][:12]}"
    meta = json.loads((folder.parent / "_cm.json").read_text())
    assert (meta["alias"], meta["automation_uid"]) == ("river-levels-gauges-supervised-all", "a0a2d123ef064bcb")
    assert set(meta["tags"]) == {"river-levels", "crowd-benchmark", "gauges", "supervised", "all-labels"}
    assert len(meta["uid"]) == 16
    assert int(meta["uid"], 16)
    (row,) = json.loads((folder / "cm-result.json").read_text())
    assert (row["forecast.mae"], row["result"], len(row["uid"])) == (5.0, result["id"], 16)
    assert sorted(path.name for path in folder.iterdir()) == ["SHA256SUMS", "cm-result.json", "figures", "result.json"]
    assert (folder / "figures/levels.png").read_bytes() == (run / "figures/levels.png").read_bytes()
    assert set(checksums.read_sha256sums(folder)) == {"cm-result.json", "figures/levels.png", "result.json"}
    states = {item.name: item.state for item in integrity.check(folder, RULES)}
    assert (states["files"], states["checksums"], states["id"]) == ("not evidenced", "pass", "pass")


def test_a_folder_without_its_runs_still_answers_for_the_rest(run):
    assert submit("a result", "--to=out", "--yes") == 0
    (folder,) = Path("out/cm-repo", BELOW).glob("2026*")
    (folder / "figures/levels.png").write_bytes(b"another one")
    item = next(one for one in integrity.check(folder, RULES) if one.name == "files")
    assert (item.state, "levels.png" in item.detail) == ("fail", True)


def test_the_same_twice_is_one(run, capsys):
    assert submit("a result", "--to=out", "--yes") == 0
    before = files("out")
    capsys.readouterr()
    assert submit("a result", "--to=out", "--yes") == 0
    assert "This very result is there already" in capsys.readouterr().out
    assert files("out") == before


def test_what_a_killed_submit_left_is_swept_and_what_a_live_one_writes_is_not(run, monkeypatch):
    assert submit(run, "--to=out", "--yes") == 0
    (artifact,) = Path("out/cm-repo/experiment").iterdir()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for number in (gone.pid, os.getpid()):
        (artifact / f".2026-01-01.{number}.tmp").mkdir()
        (artifact / f".2026-01-01.{number}.tmp" / "x").touch()
    [shutil.rmtree(folder) for folder in artifact.iterdir() if not folder.name.startswith(".") and folder.is_dir()]
    assert submit(run, "--to=out", "--yes") == 0
    assert [path.name for path in artifact.glob(".*.tmp")] == [f".2026-01-01.{os.getpid()}.tmp"]


def test_two_of_one_task_share_an_artifact(run, tmp_path):
    write_folder(Path("another"), [run_document(0, 3.0, 91.0), run_document(1, 3.5, 92.0)])
    assert submit("a result", "--to=out", "--yes") == 0
    assert submit("another", "--to=out", "--yes") == 0
    assert len(list(Path("out/cm-repo", BELOW).glob("2026*/result.json"))) == 2


def test_two_people_write_the_same_bytes(run):
    for name in ("one", "two"):
        own_repository(Path(name, "cm-repo"))
        assert submit("a result", f"--to={name}", "--yes") == 0
    one, two = ({str(path.relative_to(name)): text for path, text in files(name).items()} for name in ("one", "two"))
    assert one == two


def test_weights_when_asked_for(run, monkeypatch):
    assert submit("a result", "--to=out", "--yes", "--weights") == 0
    (folder,) = Path("out/cm-repo", BELOW).glob("2026*")
    assert (folder / "runs/0/model.safetensors").read_bytes() in WEIGHTS.values()
    assert {item.name: item.state for item in integrity.check(folder, RULES)}["files"] == "pass"


def test_weights_of_the_first_runs_only(run):
    """So that a result of many draws can be tried by anybody without the bytes of all of them."""
    write_folder(Path("three"), [run_document(number, 4.0 + number, 90.0) for number in range(3)])
    assert submit("three", "--to=out", "--yes", "--weights-of=1") == 0
    (folder,) = (path for path in Path("out/cm-repo", BELOW).glob("2026*") if (path / "runs").is_dir())
    assert [path.name for path in (folder / "runs").iterdir()] == ["0"]
    items = integrity.check(folder, RULES)
    told = {item.name: (item.state, item.detail) for item in items}
    assert told["files"][0] == told["run files"][0] == "not evidenced"
    assert told["files"][1].startswith("of 3 runs the first 1 are here; ")
    assert [name for name, (state, _) in told.items() if state == "fail"] == []
    result = integrity.read(folder)
    request = recompute.Request("metrics", runs=1)
    found = recompute.check(folder, result, RULES, items, request)
    assert {item.state for item in found} == {"pass"}
    (missed,) = recompute.check(folder, result, RULES, items, recompute.Request("metrics"))
    assert missed.detail == "the weights of runs/1 are not here to compute with; --runs=1 computes with those that are"
    weights = folder / "runs" / "0" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + b"?")
    assert {item.name: item.state for item in integrity.check(folder, RULES)}["files"] == "fail"
    weights.write_bytes(whole)
    (folder / "runs" / "2").mkdir()  # one is missed, and not left out
    assert {item.name: item.state for item in integrity.check(folder, RULES)}["files"] == "fail"
    run = json.loads((folder / "runs" / "0" / "run.json").read_text())
    (folder / "runs" / "2").rmdir()
    (folder / "runs" / "0" / "run.json").write_text(json.dumps({**run, "epochs": 8}))
    assert {item.name: item.state for item in integrity.check(folder, RULES)}["run files"] == "fail"


def test_a_path_in_a_run_goes_nowhere(capsys, run):
    write_folder(Path("failed"), [run_document(0, 4.0, 90.0), failed_run(1, "no file /home/ada/secret.csv")])
    assert submit("failed", "--to=out", "--yes", "--weights") == 2
    assert "runs/1/run.json holds what looks like a path" in capsys.readouterr().err
    assert submit("failed", "--to=out", "--yes") == 0
    assert b"/home/ada" not in b"".join(files("out").values())


def test_a_name_makes_another_result(run):
    assert submit("a result", "--to=out", "--yes", "--submitter=Ada L.") == 0
    assert submit("a result", "--to=out", "--yes", "--submitter=") == 0
    found = [json.loads(path.read_text()) for path in Path("out/cm-repo", BELOW).glob("*/result.json")]
    assert {one["submitter"]["name"] for one in found} == {"Ada L.", None}
    for one in found:
        assert one["id"] == canonical_json.identity(one)


@pytest.mark.parametrize("name", ["<b>", " x", "x\u202ey", "Аda", "a" * 81])
def test_a_name_that_cannot_be_chosen(run, capsys, name):
    assert submit("a result", "--to=out", "--yes", f"--submitter={name}") == 2
    error = capsys.readouterr().err
    assert "--submitter=" in error
    assert error.count("\n") == 1
    assert not Path("out").exists()


# Where it goes


def test_a_repository_of_ones_own(run, capsys):
    own_repository(Path("mine"))
    assert submit("a result", "--to=mine", "--yes") == 0
    assert Path("mine", BELOW, "_cm.json").is_file()
    assert "the folder is a CM repository, by its cmr.yaml" in capsys.readouterr().out


def test_a_checkout_of_this_project_keeps_them_with_what_the_crowd_shares(run, capsys):
    own_repository(Path("checkout"))
    own_repository(Path("checkout/cm-repo"))
    assert submit("a result", "--to=checkout", "--yes") == 0
    assert Path("checkout/cm-repo", BELOW, "_cm.json").is_file()
    assert "cm-repo/ is a CM repository" in capsys.readouterr().out


def test_a_prefix_counts_and_cannot_lead_out(run, capsys):
    own_repository(Path("mine"), text='alias: mine\nuid: "00112233445566aa"\nprefix: cm\n')
    assert submit("a result", "--to=mine", "--yes") == 0
    assert Path("mine/cm", BELOW, "_cm.json").is_file()
    own_repository(Path("odd"), text='alias: mine\nuid: "00112233445566aa"\nprefix: ../../away\n')
    assert submit("a result", "--to=odd", "--yes") == 2
    assert "prefix" in capsys.readouterr().err


def test_no_link_is_followed(run, capsys, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    Path("out/cm-repo").mkdir(parents=True)
    Path("out/cm-repo/experiment").symlink_to(tmp_path / "elsewhere")
    assert submit("a result", "--to=out", "--yes") == 2
    assert "symbolic link" in capsys.readouterr().err
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("what", ["a file", "other meta", "other result"])
def test_what_is_there_stays(run, capsys, what):
    assert submit("a result", "--to=out", "--yes") == 0
    (folder,) = Path("out/cm-repo", BELOW).glob("2026*")
    if what == "a file":
        Path("file").write_text("")
        assert submit("a result", "--to=file", "--yes") == 2
        return
    if what == "other meta":
        (folder.parent / "_cm.json").write_text('{"alias": "x", "automation_uid": "0000000000000000"}')
        write_folder(Path("another"), [run_document(0, 3.0, 91.0), run_document(1, 3.5, 92.0)])
        before = files("out")
        assert submit("another", "--to=out", "--yes") == 2
    else:
        found = json.loads((folder / "result.json").read_text())
        (folder / "result.json").write_text(json.dumps({**found, "id": "0" * 64}))
        before = files("out")
        assert submit("a result", "--to=out", "--yes") == 2
    assert "move it away first" in capsys.readouterr().err
    assert files("out") == before


def test_a_file_that_changes_meanwhile_leaves_nothing(run):
    made = publication.prepare(run, challenge=RULES)
    (run / "figures/levels.png").write_bytes(b"another one")
    with pytest.raises(ValueError, match="has changed since it was checked"):
        cm_experiment.write(made, cm_experiment.place(Path("out")))
    assert sorted(path.name for path in Path("out/cm-repo", BELOW).iterdir()) == [".gitattributes", "_cm.json"]


# What cannot be published


@pytest.mark.parametrize("damage", ["aggregates", "id", "figure", "unfinished", "schema", "none"])
def test_what_does_not_hold_together_is_refused(run, capsys, damage):
    found = json.loads((run / "result.json").read_text())
    if damage == "aggregates":
        found["metrics"]["forecast.mae"]["value"] = 0.1
        found["id"] = canonical_json.identity(found)
    elif damage == "id":
        found["id"] = "0" * 64
    elif damage == "schema":
        found["hobby"] = "x"
    (run / "result.json").write_text(json.dumps(found))
    if damage == "figure":
        (run / "figures/levels.png").write_bytes(b"")
    elif damage == "unfinished":
        (run / "incomplete.json").write_text("{}")
    elif damage == "none":
        (run / "result.json").unlink()
    assert submit("a result", "--to=out", "--yes") == 2
    error = capsys.readouterr().err
    assert error.startswith("ie_crowd: error: ")
    assert error.count("\n") == 1
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "which result?"),
        (["a result"], "expected one of --to=PATH and --server=URL"),
        (["a result", "--to=x", "--server=https://example.org"], "expected one of --to=PATH and --server=URL"),
        (["a result", "--to=x", "--weights", "--no-weights"], "--weights, --weights-of=N and --no-weights"),
        (["a result", "--server=http://localhost", "--weights-of=1"], "goes with --to=PATH"),
        (["a result", "--resume=x"], "--resume sends a file as it is"),
        (["--resume=nowhere"], "cannot be read"),
    ],
)
def test_what_cannot_be_asked(run, capsys, arguments, message):
    assert submit(*arguments) == 2
    assert message in capsys.readouterr().err


# Files to send later


def test_a_file_to_send_later(run):
    result = json.loads((run / "result.json").read_text())
    kept = outbox.keep("https://example.org", result)
    assert kept.is_relative_to(user_data.data())
    assert outbox.read(kept) == ("https://example.org", result)
    changed = json.loads(kept.read_text())
    changed["result"]["cost"]["wall_seconds"] = 1.0
    kept.write_text(json.dumps(changed))
    with pytest.raises(ValueError, match="the result was changed"):
        outbox.read(kept)
    kept.write_text(json.dumps({"format": 2}))
    with pytest.raises(ValueError, match="is no file that submit left"):
        outbox.read(kept)


# Through CM

META = yaml.safe_load((RECIPE / "_cm.yaml").read_text(encoding="utf-8"))


def test_the_flags_of_the_recipe_are_those_that_are_checked():
    assert set(META["input_mapping"]) == set(crowd_commands.SUBMIT.names)
    assert all(key == f"CM_IE_SUBMIT_{flag.upper()}" for flag, key in META["input_mapping"].items())


def test_the_arguments():
    env = {"CM_TMP_CURRENT_PATH": "/a folder", "CM_IE_SUBMIT_RESULT": "-r $(x)", "CM_IE_SUBMIT_TO": "/b"}
    env |= {"CM_IE_SUBMIT_SUBMITTER": "", "CM_IE_SUBMIT_DRY_RUN": True, "CM_IE_SUBMIT_TOKEN_FILE": "t"}
    assert crowd_commands.submit(env) == [
        "submit", "--to=/b", "--token-file=/a folder/t", "--submitter=", "--dry-run", "--", "/a folder/-r $(x)",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="--result=FOLDER is missing"):
        crowd_commands.submit({})


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"token": "iecrowd_secret"}, "--token: a token on the command line"),
        ({"results": "x"}, "unknown flag --results: did you mean --result?"),
        ({"to": True}, "--to: the value is missing, write --to=VALUE"),
        ({"server": ""}, "--server: the value is missing"),
        ({"yes": "x"}, "--yes='x': takes no value"),
        ({"artifacts": ["x"]}, "'x' is one word too many"),
    ],
)
def test_flags_that_cannot_be(raw, message):
    with pytest.raises(ValueError, match=r"^(--|unknown|.x.)") as caught:
        crowd_commands.check_names(raw, crowd_commands.SUBMIT)
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


def cm(*arguments, cwd, stdin="", env=None):
    code = "import sys, cmind.cli; sys.argv[0] = 'cm'; cmind.cli.run()"
    argv = [sys.executable, "-c", code, *arguments]
    return subprocess.run(argv, cwd=cwd, input=stdin, capture_output=True, text=True, timeout=120, env=env)


def test_cm_writes_one_and_finds_it(run, monkeypatch):
    import shutil

    root = Path("checkout").absolute()
    shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*cache", "ie-repr-*"))
    shutil.copytree(RULES.folder, root / "cm-repo/challenge/river-levels", ignore=shutil.ignore_patterns("*.py", "__*"))
    register(Path(os.environ["CM_REPOS"]), root, root / "cm-repo")
    monkeypatch.setenv("CM_CORE_SKIP_INTERNAL_REPOS", "yes")
    asked = ("run", "script", "submit ie-repr", "--result=a result", f"--to={root}")
    closed = cm(*asked, cwd=run.parent)
    assert closed.returncode == 2, closed.stderr
    assert "nobody answers here" in closed.stderr
    done = cm(*asked, "--submitter=", cwd=run.parent, stdin="y\n")
    assert done.returncode == 0, done.stderr
    assert "Written: cm-repo/experiment/river-levels" in done.stdout
    (result,) = (root / "cm-repo").glob("experiment/river-levels-*/*/result.json")
    assert json.loads(result.read_text())["submitter"]["name"] is None
    found = cm("find", "experiment", "--tags=river-levels", cwd=run.parent)
    assert found.stdout.strip().endswith(f"cm-repo/{BELOW}"), found.stdout
    secret = cm(*asked, "--token=iecrowd_secret", cwd=run.parent)
    assert secret.returncode == 2
    assert "IE_CROWD_TOKEN" in secret.stderr
    assert "iecrowd_secret" not in secret.stdout + secret.stderr


def test_the_command_line_refuses_a_token_and_does_not_repeat_it(run, capsys):
    for words in (["--token=iecrowd_secret"], ["--token", "iecrowd_secret"], ["--token"]):
        with pytest.raises(SystemExit) as stopped:
            submit("a result", "--server=https://example.org", *words)
        assert stopped.value.code == 2
        error = capsys.readouterr().err
        assert "IE_CROWD_TOKEN" in error
        assert "secret" not in error


def test_uids_follow_from_the_names():
    assert cm_experiment._uid("a", "b") == hashlib.sha256(b'["a", "b"]').hexdigest()[:16]
