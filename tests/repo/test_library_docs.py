"""What docs/library.md says: the names, the tour, completion in a shell."""

import json
import os
import subprocess
import sys
import time

import pytest
from paths import ROOT

import ie_model

PAGE = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")


def test_the_page_has_every_name_of_the_library():
    for name in ie_model.__all__:
        assert f"| `{name}" in PAGE


def test_the_tour_runs(tmp_path):
    source = ROOT / "docs" / "tutorial.py"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path), "MPLBACKEND": "agg"}
    before = time.monotonic()
    done = subprocess.run([sys.executable, source], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("*/styles.png")), f"after {time.monotonic() - before:.0f} s"


@pytest.mark.parametrize(
    ("lacks", "said"),
    [("torch", "ie_model.MissingPins: ie_model.load: torch is missing in this Python"), ("ie_model", "no ie_model in")],
)
def test_the_first_cell_in_another_kernel_says_in_one_line_what_to_do(tmp_path, lacks, said):
    cells = json.loads((ROOT / "docs" / "tutorial.ipynb").read_text(encoding="utf-8"))["cells"]
    [first, *_] = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    (tmp_path / "cell.py").write_text(first, encoding="utf-8")
    if lacks == "torch":
        (tmp_path / "ie_model").symlink_to(ROOT / "ie_model")
    # -S: no site-packages, as in a kernel of another environment
    done = subprocess.run([sys.executable, "-S", "cell.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(said), done.stderr
    assert "pip install" in done.stderr.splitlines()[-1]


def test_the_notebook_has_the_cells_of_its_source_and_no_output():
    cells = json.loads((ROOT / "docs" / "tutorial.ipynb").read_text(encoding="utf-8"))["cells"]
    source = (ROOT / "docs" / "tutorial.py").read_text(encoding="utf-8")
    assert len(cells) == source.count("# %%")
    assert all(cell["outputs"] == [] for cell in cells if cell["cell_type"] == "code")
    for cell in cells:
        if cell["cell_type"] == "code":
            assert "".join(cell["source"]) in source
            compile("".join(cell["source"]), cell["id"], "exec")


@pytest.mark.parametrize(("program", "word"), [("ie_model", "--label-seed"), ("ie_crowd", "ingest")])
def test_completion_knows_commands_and_flags(program, word):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "cm-repo")])}
    argv = [sys.executable, "-m", program, "--print-completion", "bash"]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert word in done.stdout
    assert subprocess.run(["bash", "-n"], input=done.stdout, text=True).returncode == 0


def test_without_shtab_completion_says_what_to_install(tmp_path):
    code = "import sys; sys.modules['shtab'] = None; from ie_model import __main__; __main__.main(sys.argv[1:])"
    argv = [sys.executable, "-c", code, "--print-completion", "bash"]
    done = subprocess.run(argv, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "pip install shtab" in done.stderr
