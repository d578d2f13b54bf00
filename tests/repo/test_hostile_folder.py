"""A folder that is stood in or looked at holds a module of every name that could be imported; none of it may be run.

The same commands run in an innocent folder and in the hostile one, and must end alike.
"""

import importlib.metadata
import json
import os
import re
import shutil
import signal
import site
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from cm_repos import register
from paths import ROOT

from ie_model import entry

PATIENCE = 300
CM = str(Path(sys.executable).with_name("cm"))
TRAP = "import os\nopen(os.environ['PWNED'], 'a').write(__name__ + chr(10))\n"
# What `python -m` itself imports from the current folder before the first line of ours (SECURITY.md).
BEFORE_US = {
    (3, 11): "types warnings importlib contextlib collections functools keyword operator reprlib",
    (3, 12): "types warnings importlib",
    (3, 13): "types importlib",
}
CONSOLE, BY_NAME = "console", "-m"


def dependencies():
    """The top-level modules of what is installed here."""
    return {name for name in importlib.metadata.packages_distributions() if re.fullmatch(r"[A-Za-z_]\w*", name)}


def named_by_pth():
    """Modules that a .pth file of this environment may import before the first line of ours."""
    places = [Path(place) for place in site.getsitepackages() if Path(place).is_dir()]
    lines = [
        line
        for place in places
        for file in place.glob("*.pth")
        for line in file.read_text(encoding="utf-8").splitlines()
        if line.startswith(("import ", "import\t"))
    ]
    return {name for name in dependencies() if any(re.search(rf"\b{name}\b", line) for line in lines)}


def shadowed(form):
    """Names of the modules that the hostile folder holds. This project's own packages are the program itself."""
    names = (set(sys.stdlib_module_names) | dependencies() | {"sitecustomize", "usercustomize", "conftest"}) - {
        "ie_model", "ie_crowd",
    }  # fmt: skip
    return names - set(BEFORE_US[sys.version_info[:2]].split() if form == BY_NAME else ())


def fill(folder, names):
    """Puts a trap for each name into the folder, and settings of other programs that could start one."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name}.py").write_text(TRAP)
    (folder / "all.pth").write_text("import yaml\n")
    (folder / "matplotlibrc").write_text("backend: module://cycler\n")
    (folder / ".npmrc").write_text("node-options=--require=./trap.js\n")
    (folder / "pip.conf").write_text("[global]\nindex-url = http://127.0.0.1:1/\n")


def program(form, package):
    if form == CONSOLE:
        code = f"import sys; sys.argv[0] = {package!r}; from {package}.entry import main; sys.exit(main())"
        # what pip writes into bin/, whose own folder is first on the path as it is for this one
        script = Path(os.environ["CONSOLE_SCRIPTS"]) / package.replace("_", "-")
        script.parent.mkdir(exist_ok=True)
        script.write_text(code)
        return [sys.executable, str(script)]
    return [sys.executable, "-m", package]


@pytest.fixture
def pwned(tmp_path, monkeypatch):
    """The file that a trap writes to; the checkout is what PYTHONPATH names, as an installation would."""
    monkeypatch.setenv("PWNED", str(tmp_path / "PWNED"))
    monkeypatch.setenv("CONSOLE_SCRIPTS", str(tmp_path / "bin"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT), str(ROOT / "cm-repo"))))
    monkeypatch.setenv("IE_CROWD_STORE", str(tmp_path / "store.sqlite3"))
    return tmp_path / "PWNED"


def run(argv, cwd, seconds=PATIENCE, **env):
    done = subprocess.run(
        argv,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        env={**os.environ, **env},
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def test_the_trap_catches(pwned, tmp_path):
    fill(tmp_path / "here", ["yaml"])
    assert run([sys.executable, "-c", "import yaml"], tmp_path / "here").returncode == 0
    assert pwned.read_text() == "yaml\n"


def test_what_python_imports_before_our_first_line_is_known(pwned, tmp_path):
    """The list that SECURITY.md gives is the whole list, no more."""
    here = tmp_path / "here"
    names = set(BEFORE_US[sys.version_info[:2]].split())
    for name in names:
        source = Path(__import__(name).__file__)
        package = source.name == "__init__.py"
        if package:
            shutil.copytree(source.parent, here / name)
        else:
            here.mkdir(exist_ok=True)
            shutil.copy(source, here / f"{name}.py")
        place = here / name / "__init__.py" if package else here / f"{name}.py"
        text = place.read_text(encoding="utf-8")
        place.write_text(text + f"\nopen({str(pwned)!r}, 'a').write(__name__ + chr(10))\n", encoding="utf-8")
    run([sys.executable, "-S", "-m", "ie_model", "--version"], here)
    assert set(pwned.read_text().split()) == names
    listed = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in listed for name in names)


MODEL_QUICK = [
    ["--version"], ["--help"], ["train", "--help"], ["ablate", "--help"], ["bench", "--help"], ["info"],
    ["info", "--json"], ["train", "--labels=7", "--outdir=x"], ["evaluate", "nowhere"],
    ["figures", "nowhere", "--outdir=x"], ["sample", "nowhere"], ["curve", "nowhere.json", "--out=x.png"],
]  # fmt: skip


@pytest.mark.parametrize("form", [CONSOLE, BY_NAME])
def test_no_command_of_ie_model_imports_from_the_current_folder(pwned, tmp_path, form):
    innocent, hostile = tmp_path / "innocent", tmp_path / "hostile"
    innocent.mkdir()
    fill(hostile, shadowed(form))
    for words in MODEL_QUICK if form == CONSOLE else MODEL_QUICK[:2] + MODEL_QUICK[5:]:
        codes = [run([*program(form, "ie_model"), *words], place).returncode for place in (innocent, hostile)]
        assert codes[0] == codes[1], words
        assert not pwned.exists(), (words, pwned.read_text())


@pytest.mark.parametrize("words", [["data.fetch", "mnist", "--offline"], ["device.detect"], ["data.fetch", "--help"]])
def test_a_module_that_is_a_program_imports_nothing_from_the_current_folder(pwned, tmp_path, words):
    fill(tmp_path / "hostile", shadowed(BY_NAME))
    name, *more = words
    done = run([sys.executable, "-m", f"ie_model.{name}", *more], tmp_path / "hostile")
    assert done.returncode == (1 if "--offline" in words else 0), done.stderr
    assert not pwned.exists(), pwned.read_text()


@pytest.mark.parametrize("form", [CONSOLE, pytest.param(BY_NAME, marks=pytest.mark.real)])
def test_a_model_is_trained_and_measured_in_a_hostile_folder(pwned, tmp_path, form):
    here = tmp_path / "hostile"
    fill(here, shadowed(form))
    tiny = ["--dataset=glyphs", "--smoke", "--epoch-images=250", "--control-steps=5", "--channels=4", "--hidden=32"]
    series = {"title": "t", "measured": [{"name": "m", "points": [[100, 2.0, None]]}], "published": []}
    (here / "series.json").write_text(json.dumps(series))
    commands = [
        ["train", *tiny, "--outdir=run"], ["evaluate", "run"], ["figures", "run", "--outdir=drawn"],
        ["sample", "run", "--out=s.png"], ["curve", "series.json", "--out=c.png"],
        *([["ablate", *tiny, "--draws=1", "--parts=warm-up", "--outdir=ablation"]] if form == CONSOLE else []),
    ]  # fmt: skip
    for words in commands:
        done = run(
            [*program(form, "ie_model"), *words, *([] if words[0] in ("curve", "sample") else ["--quiet"])], here
        )
        assert done.returncode == 0, (words, done.stderr)
        assert not pwned.exists(), (words, pwned.read_text())


@pytest.fixture
def results(tmp_path):
    """A results folder, good and hostile, that holds what a checked one may."""
    source = next((ROOT / "cm-repo" / "experiment" / "ie-repr-glyphs-supervised-all").glob("2*"))

    def make(names):
        folder = tmp_path / ("hostile" if names else "innocent")
        shutil.copytree(source, folder)
        if names:
            fill(folder, names)
        else:  # as many more files than result.json names
            (folder / "stranger.bin").write_text("innocent")
        return folder

    return make


CROWD = [
    ["check", "."], ["check", ".", "--json"], ["check", ".", "--depth=metrics"], ["check", ".", "--against", "."],
    ["report", "."], ["schema"], ["schema", "--markdown"], ["submit", ".", "--to=out", "--dry-run"],
    ["submit", ".", "--to=out", "--yes"],
    ["ingest", "."], ["ingest", ".", "--again", "--jobs=2"], ["rank"], ["refused"], ["user", "add", "Ada"],
    ["user", "list"],
    ["site", "--out=public", "--quiet"], ["serve", "--help"], ["check", "nowhere"], ["nonsense"],
]  # fmt: skip


@pytest.mark.parametrize("form", [CONSOLE, BY_NAME])
def test_no_command_of_ie_crowd_imports_from_the_folder_it_looks_at(pwned, tmp_path, results, form):
    pytest.importorskip("sqlalchemy")
    places = [results([]), results(shadowed(form))]
    ends = {}
    for place in places:
        store = str(tmp_path / f"{place.name}.sqlite3")
        for words in CROWD if form == CONSOLE else CROWD[:6] + CROWD[9:12]:
            done = run([*program(form, "ie_crowd"), *words], place, IE_CROWD_STORE=store)
            ends.setdefault(" ".join(words), []).append(done.returncode)
            assert not pwned.exists(), (words, pwned.read_text())
    # a file that result.json does not name is one more thing that a check says; its status is the same
    assert {words: code for words, code in ends.items() if code[0] != code[1]} == {}


@pytest.mark.parametrize("form", [CONSOLE, BY_NAME])
def test_a_server_in_a_hostile_folder(pwned, tmp_path, form):
    pytest.importorskip("uvicorn")
    here = tmp_path / "hostile"
    fill(here, shadowed(form))
    argv = [*program(form, "ie_crowd"), "serve", "--port=0"]
    server = subprocess.Popen(argv, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        address = next((line for line in server.stdout if line.startswith("http://")), "").partition(" ")[0]
        assert address, server.stderr.read()
        with urllib.request.urlopen(f"{address}healthz", timeout=30) as answer:  # noqa: S310 our own address
            assert answer.read() == b"ok\n"
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
    finally:
        server.kill()
        server.communicate()
    assert not pwned.exists(), pwned.read_text()


def test_processes_that_validate_import_nothing_from_the_current_folder(pwned, tmp_path):
    pytest.importorskip("sqlalchemy")
    here = tmp_path / "hostile"
    fill(here, shadowed(CONSOLE))
    source = next((ROOT / "cm-repo" / "experiment" / "ie-repr-glyphs-supervised-all").glob("2*")) / "result.json"
    for number in range(200):  # more than one batch
        (here / str(number)).mkdir()
        shutil.copy(source, here / str(number) / "result.json")
    done = run([*program(CONSOLE, "ie_crowd"), "ingest", ".", "--jobs=2"], here)
    assert "200 results" in done.stdout, done.stderr
    assert not pwned.exists(), pwned.read_text()


@pytest.mark.parametrize("parts", [":{root}:{crowd}", "{root}::{crowd}", "{root}:{crowd}:"])
def test_an_empty_part_of_pythonpath_is_not_the_current_folder(pwned, tmp_path, parts):
    here = tmp_path / "hostile"
    # of the standard library Python itself has loaded some by then, and what a .pth file of its own names
    fill(here, dependencies() - {"ie_model", "ie_crowd"} - named_by_pth())
    path = parts.format(root=ROOT, crowd=ROOT / "cm-repo")
    assert run([sys.executable, "-m", "ie_crowd", "schema"], here, PYTHONPATH=path).returncode == 0
    done = run([sys.executable, "-m", "ie_model", "info"], here, PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    assert not pwned.exists(), pwned.read_text()


def test_ones_own_modules_in_the_current_folder_break_nothing(pwned, tmp_path):
    """A random.py or types.py of the user's, which would be a broken standard library."""
    here = tmp_path / "my project"
    here.mkdir()
    for name in ("random.py", "types.py", "yaml.py", "ie_model.py"):
        (here / name).write_text("raise SystemExit(1)\n")
    for package, words in (("ie_crowd", ["check", "."]), ("ie_crowd", ["schema"]), ("ie_model", ["info"])):
        done = run([*program(CONSOLE, package), *words], here)
        assert done.returncode == (2 if words[0] == "check" else 0), done.stderr


# Recipes


@pytest.mark.real
def test_no_recipe_imports_from_the_current_folder(tmp_path, monkeypatch, results):
    monkeypatch.setenv("PWNED", str(tmp_path / "PWNED"))
    monkeypatch.setenv("CM_CORE_SKIP_INTERNAL_REPOS", "yes")
    register(Path(os.environ["CM_REPOS"]), ROOT)
    here = results(shadowed(CONSOLE))
    commands = [
        (["detect ie-device"], 0), (["get ie-deps _cpu"], 0), (["reproduce ie-repr glyphs _smoke", "--outdir=made"], 0),
        (["evaluate ie-repr", "--result=made"], 0), (["evaluate ie-repr", "--result=made", "--depth=metrics"], 0),
        (["submit ie-repr", "--result=made", "--to=out", "--yes"], 0),
        (["serve ie-repr _static", "--store=s.sqlite3"], 0), (["reproduce ie-repr mnist", "--epoch=3"], 2),
    ]  # fmt: skip
    for words, code in commands:
        done = run([CM, "run", "script", *words, *(["--quiet"] if "evaluate" not in words[0] else [])], here)
        assert done.returncode == code, (words, done.stdout[-2000:], done.stderr[-2000:])
        assert not Path(os.environ["PWNED"]).exists(), (words, Path(os.environ["PWNED"]).read_text())


def test_both_packages_start_in_the_same_way():
    """Neither may import the other, so the file is there twice."""
    twins = [ROOT / "ie_model" / "entry.py", ROOT / "cm-repo" / "ie_crowd" / "entry.py"]
    assert twins[0].read_bytes() == twins[1].read_bytes()
    assert entry.arguments("info") == [sys.executable, "-P", str(ROOT / "ie_model" / "__main__.py"), "info"]
