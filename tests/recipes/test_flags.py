"""What a user may type: every mistake is one line that names it, before anything starts."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from ie_recipes import flags, references
from paths import RECIPES, ROOT

HOSTILE = ["with a space", 'a "quote"', "it's", "$(touch hacked)", "`touch hacked`", "a;b|c&d", "ünï", "-dash", "a=b"]


def ask(tmp_path, raw=None, **env):
    """Give `flags.check` what CM's predeps gets; returns its answer and the env."""
    raw = dict(raw or {})
    mapped = {key: raw[flag] for flag, (key, _) in flags.FLAGS.items() if flag in raw}
    env = {
        "CM_IE_DATASET": "mnist",
        "CM_IE_SUPERVISION": "semi-supervised",
        "CM_TMP_CURRENT_PATH": str(tmp_path),
        **mapped,
        **env,
    }
    const = dict(mapped)
    common = {"action": "run", "automation": "script", "tags": "reproduce,ie-repr,mnist", "cmd": [], "out": "con"}
    answer = flags.check({"input": {**common, **raw}, "env": env, "run_script_input": {"const": const}})
    return answer, env, const


def refused(tmp_path, raw=None, **env):
    answer, _, _ = ask(tmp_path, raw, **env)
    assert answer["return"] == 2
    assert "\n" not in answer["error"]
    return answer["error"]


def test_nothing_given_is_fine(tmp_path):
    answer, env, _ = ask(tmp_path)
    assert answer == {"return": 0}
    assert flags.from_env(env) == flags.Request("mnist", "semi-supervised", recipe="both")


def test_mnist_without_a_recipe_is_both_a_core_each(tmp_path):
    answer, env, _ = ask(tmp_path, {"epochs": "3"})
    assert answer == {"return": 0}
    request = flags.from_env(env)
    assert request.several
    assert {name: part.recipe for name, part in request.parts().items()} == {"paper": "paper", "closed": "closed"}
    assert [part.config()["threads"] for part in request.parts().values()] == [1, 1]
    assert [part.config()["epochs"] for part in request.parts().values()] == [3, 3]
    assert request.task() == "mnist-semi-supervised-100-both"
    assert request.command()[3:] == ["reproduce ie-repr mnist _semi-supervised", "--epochs=3"]
    commands = [part.command()[3:] for part in request.parts().values()]
    assert commands == [
        [f"reproduce ie-repr mnist _semi-supervised _{recipe}", "--epochs=3", "--threads=1"]
        for recipe in ("paper", "closed")
    ]
    assert flags.from_text(request.text()) == request


@pytest.mark.parametrize(
    ("env", "recipe", "command"),
    [
        ({"CM_IE_RECIPE": "paper"}, "paper", "mnist _semi-supervised _paper"),
        ({"CM_IE_RECIPE": "closed"}, "closed", "mnist _semi-supervised _closed"),
        ({"CM_IE_SMOKE": "yes"}, "closed", "mnist _semi-supervised _smoke"),
        ({"CM_IE_SMOKE": "yes", "CM_IE_RECIPE": "paper"}, "paper", "mnist _semi-supervised _paper _smoke"),
        ({"CM_IE_METHOD": "q-only"}, "closed", "mnist _semi-supervised _q-only"),
        ({"CM_IE_DATASET": "glyphs"}, "closed", "glyphs _semi-supervised"),
        ({"CM_IE_SUPERVISION": "supervised"}, "closed", "mnist _supervised"),
    ],
)
def test_what_names_a_recipe_a_size_or_another_task_is_one_folder(tmp_path, env, recipe, command):
    answer, env, _ = ask(tmp_path, **env)
    assert answer == {"return": 0}
    request = flags.from_env(env)
    assert (request.recipe, request.several) == (recipe, False)
    assert request.config()["recipe"] == recipe
    assert request.command()[3:] == [f"reproduce ie-repr {command}"]


def test_q_only_needs_unlabelled_images(tmp_path):
    assert "q-only" in refused(tmp_path, CM_IE_METHOD="q-only", CM_IE_SUPERVISION="supervised")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("epoch", "epochs"),
        ("label", "labels"),
        ("seed", "seeds"),
        ("out_dir", "outdir"),
        ("outdirname", "outdir"),
        ("dat", "data"),
    ],
)
def test_unknown_flag_names_the_nearest(tmp_path, typed, meant):
    error = refused(tmp_path, {typed: "3"})
    assert f"--{typed.replace('_', '-')}:" in error
    assert f"did you mean --{meant}?" in error


@pytest.mark.parametrize("typed", ["xyzzy", "version", "path", "input", "name", "docker"])
def test_unknown_flag_lists_the_valid_ones(tmp_path, typed):
    error = refused(tmp_path, {typed: "9.9"})
    assert f"unknown flag --{typed}" in error
    assert all(f"--{flag.replace('_', '-')}" in error for flag in flags.FLAGS)


@pytest.mark.parametrize("flag", sorted(set(flags.FLAGS) - set(flags.SWITCHES)))
def test_value_after_a_space_says_how_to_write_it(tmp_path, flag):
    assert f"write --{flag}=5" in refused(tmp_path, {flag: True, "artifacts": ["5"]})
    assert f"write --{flag}=VALUE" in refused(tmp_path, {flag: True})


def test_stray_words_are_refused(tmp_path):
    assert "'_smoke'" in refused(tmp_path, {"artifacts": ["_smoke"]})
    assert "'more'" in refused(tmp_path, {"unparsed_cmd": ["more"]})


@pytest.mark.parametrize(
    ("flag", "value", "expected"),
    [
        ("labels", "7", "multiple of the 10 classes"),
        ("labels", "10", "complementary"),
        ("labels", "70000", "49210"),
        ("labels", "-100", "labels"),
        ("labels", "1e2", "whole number"),
        ("labels", "200", "100 or 600 or 1000 or 3000"),
        ("labels", "all", "100 or 600 or 1000 or 3000"),
        ("labels", "many", "whole number or all"),
        ("labels", "", "whole number"),
        ("labels", ["100", "600"], "whole number"),
        ("labels", {"x": "1"}, "whole number"),
        ("labels", False, "whole number"),
        ("labels", 1.5, "whole number"),
        ("epochs", "abc", "whole number"),
        ("epochs", "-1", "1 to"),
        ("epochs", "0", "1 to"),
        ("epochs", "5.0", "whole number"),
        ("epochs", "٣", "whole number"),
        ("epochs", "9" * 5000, "whole number"),
        ("seeds", "0", "1 to"),
        ("seeds", "101", "1 to"),
        ("threads", "0", "1 to"),
        ("device", "tpu", "one of auto, cpu, cuda"),
        ("device", "", "one of auto"),
        ("data", "not there", "no such folder"),
        ("outdir", "", "a folder"),
        ("outdir", "a\0b", "a folder"),
        ("quiet", "maybe", "no value"),
    ],
)
def test_wrong_value_is_named(tmp_path, flag, value, expected):
    error = refused(tmp_path, {flag: value})
    assert flag in error
    assert expected in error


def test_values_that_are_right(tmp_path):
    raw = {"labels": 600, "seeds": "5", "epochs": "3", "threads": 1, "device": "cpu", "quiet": True}
    answer, env, _ = ask(tmp_path, raw, CM_IE_SMOKE="yes")
    assert answer == {"return": 0}
    expected = flags.Request("mnist", "semi-supervised", "equivae", True, 600, 5, 3, 1, "cpu", quiet=True)
    assert flags.from_env(env) == expected
    assert flags.from_text(expected.text()) == expected


def test_every_label_count_of_a_supervised_task(tmp_path):
    _, env, _ = ask(tmp_path, {"labels": "all"}, CM_IE_SUPERVISION="supervised")
    assert flags.from_env(env).labels == "all"
    assert flags.from_env(env).task() == "mnist-supervised-all"


def test_device_flag_and_variation(tmp_path):
    assert flags.from_env(ask(tmp_path, CM_IE_DEVICE_VARIATION="cuda")[1]).device == "cuda"
    assert flags.from_env(ask(tmp_path, {"device": "cuda"}, CM_IE_DEVICE_VARIATION="cuda")[1]).device == "cuda"
    error = refused(tmp_path, {"device": "cuda"}, CM_IE_DEVICE_VARIATION="cpu")
    assert "--device=cuda" in error
    assert "_cpu" in error


def test_dependencies_get_one_device_and_absolute_folders(tmp_path):
    (tmp_path / "files").mkdir()
    raw = {"data": "files", "outdir": "out $(x)"}
    _, env, const = ask(tmp_path, raw, CM_IE_DEVICE_VARIATION="cpu")
    for seen in (env, const):  # CM puts const over env again
        assert seen["CM_IE_DATA"] == str(tmp_path / "files")
        assert seen["CM_IE_OUTDIR"] == str(tmp_path / "out $(x)")
        assert seen["CM_IE_DEVICE_REQUEST"] == "cpu"


def test_glyphs_take_no_data(tmp_path):
    assert "leave --data out" in refused(tmp_path, {"data": str(tmp_path)}, CM_IE_DATASET="glyphs")


def test_a_dependency_sees_only_cms_keys_and_is_checked_by_value(tmp_path):
    raw = {"recursion": True, "recursion_spaces": "  ", "remembered_selections": [], "anything": 1}
    assert ask(tmp_path, raw)[0] == {"return": 0}
    assert "labels" in refused(tmp_path, raw, CM_IE_LABELS="7")


def test_outdir_with_something_else_in_it_is_refused_and_untouched(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    assert "thesis.tex" in refused(tmp_path, {"outdir": "mine"})
    assert [entry.name for entry in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("outdir", ["file", "file/below", "file/far/below"])
def test_outdir_where_a_file_is(tmp_path, outdir):
    (tmp_path / "file").write_text("")
    assert "choose another --outdir" in refused(tmp_path, {"outdir": outdir})


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_values_arrive_intact(tmp_path, name):
    (tmp_path / name).mkdir()
    answer, env, _ = ask(tmp_path, {"data": name, "outdir": name})
    assert answer == {"return": 0}
    request = flags.from_env(env)
    assert request.data == request.outdir == str(tmp_path / name)
    assert flags.from_text(request.text()) == request
    assert f"--outdir={tmp_path / name}" in shlex.split(shlex.join(request.command()))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted([name, "home of the test"])


def test_command_asks_for_the_same_again(tmp_path):
    request = flags.Request("mnist", "supervised", smoke=True, labels=600, seeds=2, device="cpu", outdir="/a b")
    assert request.command() == [
        *["cm", "run", "script", "reproduce ie-repr mnist _supervised _smoke"],
        *["--labels=600", "--seeds=2", "--device=cpu", "--outdir=/a b"],
    ]


def test_what_must_be_the_same_to_go_on():
    one = flags.Request("mnist", "semi-supervised", outdir="/a", data="/b", quiet=True, device="cuda")
    assert one.identity() == flags.Request("mnist", "semi-supervised").identity()
    for other in (
        {"method": "m2"},
        {"seeds": 2},
        {"epochs": 3},
        {"labels": 600},
        {"smoke": True},
        {"recipe": "paper"},
        {"recipe": "open"},
        {"threads": 1},
    ):
        assert flags.Request("mnist", "semi-supervised", **other).identity() != one.identity()
    json.dumps(one.identity())


def test_the_check_needs_nothing_heavy():
    code = (
        f"import sys; sys.path.insert(0, {str(RECIPES)!r}); from ie_recipes import flags; "
        "flags.check_task(flags.Request('mnist', 'supervised')); "
        "print(sorted({'torch', 'numpy', 'rich', 'scipy'} & set(sys.modules)), sys.path.count(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(ROOT)], capture_output=True, text=True, check=True, cwd=Path(ROOT.anchor)
    )
    assert done.stdout.strip() == "[] 0"


def test_m2_is_another_task_by_name_and_command(tmp_path):
    _, env, _ = ask(tmp_path, CM_IE_METHOD="m2")
    request = flags.from_env(env)
    assert request.config()["method"] == "m2"
    assert request.task() == "m2-mnist-semi-supervised-100"
    assert request.command()[3:] == ["reproduce ie-repr mnist _semi-supervised _m2"]


def test_open_is_the_recipe_of_the_open_division_by_name_config_and_command(tmp_path):
    _, env, _ = ask(tmp_path, CM_IE_RECIPE="open")
    request = flags.from_env(env)
    assert request.config()["moved_weight"] > 0
    assert request.task() == "mnist-semi-supervised-100-open"
    assert request.command()[3:] == ["reproduce ie-repr mnist _semi-supervised _open"]
    assert "_open" in refused(tmp_path, CM_IE_RECIPE="open", CM_IE_SUPERVISION="supervised")


def test_several_runs_have_a_core_each_whatever_the_machine():
    threads = {
        (seeds, given): flags.Request("mnist", "semi-supervised", seeds=seeds, threads=given).config()["threads"]
        for seeds, given in ((1, None), (5, None), (1, 3), (5, 3))
    }
    assert threads == {(1, None): 2, (5, None): 1, (1, 3): 3, (5, 3): 3}


def test_full_is_every_label_count_five_times(tmp_path):
    answer, env, _ = ask(tmp_path, CM_IE_FULL="yes")
    assert answer == {"return": 0}
    request = flags.from_env(env)
    assert (request.full, request.seeds) == (True, 5)
    assert list(request.parts()) == [f"mnist-semi-supervised-{n}" for n in (100, 600, 1000, 3000)]
    assert all(part.seeds == 5 and not part.full for part in request.parts().values())
    assert request.task() == "mnist-semi-supervised-full"
    assert request.command()[3:] == ["reproduce ie-repr mnist _semi-supervised _full"]
    assert flags.from_text(request.text()) == request


def test_full_of_a_supervised_task_is_one_task(tmp_path):
    _, env, _ = ask(tmp_path, {"seeds": "2"}, CM_IE_FULL="yes", CM_IE_SUPERVISION="supervised")
    request = flags.from_env(env)
    assert list(request.parts()) == ["mnist-supervised-all"]
    assert "--seeds=2" in request.command()


def test_references_are_the_planned_tasks_of_the_data_set(tmp_path):
    answer, env, _ = ask(tmp_path, CM_IE_REFERENCES="yes")
    assert answer == {"return": 0}
    request = flags.from_env(env)
    names = list(request.parts())
    assert names[:4] == [
        "mnist-semi-supervised-100",
        "mnist-semi-supervised-100-paper",
        "mnist-semi-supervised-100-open",
        "m2-mnist-semi-supervised-100",
    ]
    assert "mnist-supervised-all-paper" in names
    assert len(set(names)) == len(names), "each has a folder of its own"
    assert [part.seeds for part in request.parts().values()] == [10] * 9 + [5] * 8
    assert request.task() == "mnist-references"
    assert request.command()[3:] == ["reproduce ie-repr mnist _references"]
    assert flags.from_text(request.text()) == request


@pytest.mark.parametrize("dataset", sorted(references.REFERENCES))
def test_every_reference_has_a_task_in_the_challenge_and_an_estimate(dataset):
    for part in flags.Request(dataset, "semi-supervised", references=True).parts().values():
        flags.check_task(part)
        few, many = (
            references.seconds(part.method, part.dataset, part.supervision, part.recipe, epochs) or 0
            for epochs in (1, 9)
        )
        assert 0 < few < many


@pytest.mark.parametrize(
    ("given", "env", "named"),
    [
        ({"labels": "600"}, {}, "--labels=600"),
        ({"seeds": "2"}, {}, "--seeds=2"),
        ({}, {"CM_IE_METHOD": "m2"}, "_m2"),
        ({}, {"CM_IE_RECIPE": "open"}, "_open"),
        ({}, {"CM_IE_SUPERVISION": "supervised"}, "_supervised"),
        ({}, {"CM_IE_DATASET": "svhn"}, "svhn has none, expected one of mnist"),
    ],
)
def test_references_leave_no_choice_of_task(tmp_path, given, env, named):
    line = refused(tmp_path, given, CM_IE_REFERENCES="yes", **env)
    assert named in line
    assert "_references" in line


def test_full_and_a_label_count_contradict_each_other(tmp_path):
    assert "--labels=600 contradicts the variation _full" in refused(tmp_path, {"labels": "600"}, CM_IE_FULL="yes")
