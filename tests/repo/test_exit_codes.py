"""How every command ends: 1 is a verdict or a failed run, never a crash or a stream that could not be written."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from cm_repos import register
from ie_recipes import crowd_commands
from paths import ROOT

RESULT = next((ROOT / "cm-repo" / "experiment" / "ie-repr-glyphs-supervised-all").glob("2*"))
FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")


def shell(line, cwd, **env):
    """What a shell makes of ``ie-model``, ``ie-crowd`` and redirections; returns (code, stdout, stderr)."""
    for package in ("ie_model", "ie_crowd"):
        program = f"{shlex.quote(sys.executable)} -P -m {package}"
        line = line.replace(package.replace("_", "-") + " ", program + " ")
    path = os.pathsep.join((str(ROOT), str(ROOT / "cm-repo")))
    env = {**os.environ, "PYTHONPATH": path, "RESULT": str(RESULT), **env}
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"], cwd=cwd, env=env, capture_output=True, text=True, timeout=300
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert "Exception ignored" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


PRINTING = [
    'ie-crowd check "$RESULT"', 'ie-crowd check "$RESULT" --json', "ie-crowd schema", "ie-crowd --help",
    "ie-model info", "ie-model info --json", "ie-model --help", "ie-model --version",
    "ie-crowd user list --store=s.sqlite3",
]  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("codes")
    assert shell("ie-crowd user add Ada --store=s.sqlite3", folder)[0] == 0
    return folder


@pytest.mark.parametrize("line", PRINTING)
def test_standard_output_that_cannot_be_written_has_a_code_of_its_own(place, line):
    for ending in (">&-", *([">/dev/full"] if Path("/dev/full").exists() else [])):
        code, _, said = shell(f"{line} {ending}", place)
        assert code == 74, (ending, said)
        (last,) = said.splitlines()
        assert "error: standard output cannot be written (" in last
    assert shell(f"{line} | true", place)[::2] == (141, "")
    # both: the code still says it
    assert shell(f"{line} >&- 2>&-", place)[0] == 74


@pytest.mark.parametrize("line", PRINTING)
@pytest.mark.parametrize("ending", ["2>&-", "<&-", pytest.param("2>/dev/full", marks=FULL)])
def test_what_a_command_does_not_need_may_be_closed(place, line, ending):
    code, out, _ = shell(line, place)
    assert shell(f"{line} {ending}", place)[:2] == (code, out)


@pytest.mark.parametrize(
    "line", ["ie-crowd check nowhere", "ie-crowd nonsense", "ie-model evaluate nowhere", "ie-model train"]
)
@pytest.mark.parametrize("ending", ["2>&-", ">&-", "2>&1 | true", pytest.param("2>/dev/full", marks=FULL)])
def test_an_error_keeps_its_code_whoever_hears_of_it(place, line, ending):
    assert shell(f"{line} {ending}", place)[0] == 2


@FULL
def test_work_that_prints_nothing_needs_no_output(place):
    tiny = "--dataset=glyphs --smoke --epoch-images=250 --control-steps=5 --channels=4 --hidden=32 --quiet"
    assert shell(f"ie-model train {tiny} --outdir=run >&- 2>&- <&-", place)[0] == 0
    assert shell("ie-model evaluate run --quiet >/dev/full 2>/dev/full", place)[0] == 0
    # no file of ours got the number of a stream that was closed
    assert (place / "run" / "run.json").read_text(encoding="utf-8").startswith("{")


@pytest.mark.parametrize("ending", [">&-", pytest.param(">/dev/full", marks=FULL)])
def test_no_account_is_made_whose_token_nobody_saw(place, ending):
    code, _, said = shell(f"ie-crowd user add Grace --store=s.sqlite3 {ending}", place)
    assert code == 2
    assert "nothing was done" in said
    assert "Grace" not in shell("ie-crowd user list --store=s.sqlite3", place)[1]
    code, _, said = shell(f"ie-crowd user token Ada --store=s.sqlite3 {ending}", place)
    assert (code, "nothing was done" in said) == (2, True)
    assert "1 tokens" in shell("ie-crowd user list --store=s.sqlite3", place)[1]


CRASH = """
import sys
from {package} import entry
class Broken:
    def __getattr__(self, name):
        raise {error}
sys.modules["{module}"] = Broken()
sys.argv[1:] = {words!r}
sys.exit(entry.main())
"""
UNFORESEEN = [
    ("ie_crowd", "ie_crowd.check.verdict", ["check", str(RESULT)]),
    ("ie_crowd", "ie_crowd.store.database", ["rank"]),
    ("ie_model", "ie_model.run.run_folder", ["evaluate", "run"]),
    ("ie_model", "ie_model.__main__", ["info"]),
]


@pytest.mark.parametrize(("package", "module", "words"), UNFORESEEN)
@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        ("TypeError('odd\\n\\x1b[2Jthing')", 70, "internal error: TypeError: odd"),
        ("AssertionError()", 70, "internal error: AssertionError"),
        ("RecursionError()", 70, "internal error: RecursionError"),
        ("KeyboardInterrupt()", 130, "interrupted"),
    ],
)
def test_what_nobody_foresaw_is_one_line_and_a_code_of_its_own(tmp_path, package, module, words, error, code, says):
    if error.startswith("Recursion") and package == "ie_model" and module != "ie_model.__main__":
        code, says = 1, "error"  # a RuntimeError, which a training that fails ends with
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "cm-repo")))}
    argv = [sys.executable, "-P", "-c", CRASH.format(package=package, module=module, words=words, error=error)]
    done = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{package}: ")
    assert says in line
    assert line.isprintable()
    if code == 70:
        assert "please report it" in line
        more = subprocess.run(argv, cwd=tmp_path, env={**env, "IE_REPR_DEBUG": "1"}, capture_output=True, text=True)
        assert (more.returncode, "Traceback" in more.stderr) == (70, True)


def test_an_installation_that_cannot_be_imported_is_no_verdict(tmp_path):
    (tmp_path / "yaml.py").write_text("raise SyntaxError('broken')")
    path = os.pathsep.join((str(tmp_path), str(ROOT / "cm-repo")))
    code, _, said = shell('ie-crowd check "$RESULT"', tmp_path, PYTHONPATH=path)
    assert (code, len(said.splitlines())) == (70, 1)


def test_a_damaged_disk_is_no_verdict(tmp_path):
    """An OSError that no command foresaw."""
    code = (
        "import sys; from ie_crowd import entry, __main__ as m\n"
        "def read(*a, **k): raise OSError(5, 'Input/output error', 'result.json')\n"
        "from ie_crowd.check import verdict\nverdict.judge = read\n"
        f"sys.argv[1:] = ['check', {str(RESULT)!r}]\nsys.exit(entry.main())"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT / "cm-repo")}
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (74, "ie_crowd: error: result.json: Input/output error\n")


@pytest.mark.parametrize("name", ["evaluate-ie-repr", "submit-ie-repr", "serve-ie-repr", "verify-ie-repr"])
def test_a_recipe_does_not_take_a_crash_for_a_verdict(name, monkeypatch):
    import importlib.util

    spec = importlib.util.spec_from_file_location("customize_of_it", ROOT / "script" / name / "customize.py")
    customize = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(customize)
    monkeypatch.setattr(crowd_commands, "missing", lambda env: "")
    env = {"CM_TMP_CURRENT_PATH": ".", "CM_IE_EVALUATE_RESULT": "x", "CM_IE_SUBMIT_RESULT": "x", "CM_IE_SUBMIT_TO": "y"}
    for code in (70, 74, 137, 139):
        monkeypatch.setattr(crowd_commands.processes, "run", lambda argv, code=code, **more: code)
        answer = customize.preprocess({"env": env})
        assert answer["return"] == code
        assert "could not be done" in answer["error"]
        assert "found" not in answer["error"]


@FULL
@pytest.mark.real
def test_recipes_whose_output_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.setenv("CM_CORE_SKIP_INTERNAL_REPOS", "yes")
    register(Path(os.environ["CM_REPOS"]), ROOT)
    cm = shlex.quote(str(Path(sys.executable).with_name("cm")))
    whole = f"{cm} run script 'evaluate ie-repr' --result={shlex.quote(str(RESULT))}"
    normal = shell(whole, tmp_path)[0]
    assert normal in (0, 1)
    assert shell(f"{whole} 2>/dev/full", tmp_path)[0] in (normal, 120)  # 120: Python's own, for cm's last line
    for line, ending, code in (
        ("detect ie-device", ">/dev/full", 74), ("detect ie-device", "| true", 141),
        ("evaluate ie-repr' '--result=$RESULT", ">/dev/full", 74), ("evaluate ie-repr' '--result=$RESULT", ">&-", 74),
    ):  # fmt: skip
        words = line.replace("'--result=$RESULT", f"--result={shlex.quote(str(RESULT))}")
        command = f"{cm} run script '{words}" + ("" if "--result" in words else "'")
        assert shell(f"{command} {ending}", tmp_path)[0] == code, (line, ending)
    made = f"{cm} run script 'reproduce ie-repr glyphs _smoke' --epochs=1 --outdir=made"
    code, _, said = shell(f"{made} >/dev/full", tmp_path)
    assert (code, "the run is complete" in said) == (74, True), said
    assert (tmp_path / "made" / "result.json").is_file()
