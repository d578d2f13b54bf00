"""Figures do not depend on what a user's environment says to matplotlib: the real commands, compared by bytes."""

import json
import os
import subprocess
import sys

import model_cli
import pytest

HOSTILE_RC = "backend: module://nobody.has_this\nfigure.dpi: 40\nfont.size: 30\naxes.facecolor: red\nimage.cmap: jet\n"
SERIES = {
    "title": "Error by labels",
    "measured": [{"name": "ours", "points": [[100, 3.0, 0.5], [1000, 2.0, 0.25]]}],
    "published": [{"name": "theirs", "points": [[100, 4.0, None], [1000, 2.5, None]]}],
}
SAYS = {
    "notebook": {"MPLBACKEND": "module://matplotlib_inline.backend_inline"},
    "no such backend": {"MPLBACKEND": "nonsense"},
    "matplotlibrc": {"MATPLOTLIBRC": "{rc}"},
    "current folder": {},
    "configuration folder": {"MPLCONFIGDIR": "{folder}"},
    "no text": {"MATPLOTLIBRC": "{binary}"},
}


def draw(cwd, run, monkeypatch, says: dict[str, str]) -> dict[str, bytes]:
    """Every PNG and SVG of `figures`, `sample` and `curve`, started in ``cwd`` with variables that are set."""
    for name in ("MPLBACKEND", "MATPLOTLIBRC"):
        monkeypatch.delenv(name, raising=False)
    for name, value in says.items():
        monkeypatch.setenv(name, value)
    (cwd / "series.json").write_text(json.dumps(SERIES))
    commands = [["curve", "series.json", "--out=curve.png", "--out=curve.svg"]]
    if run is not None:
        commands += [["figures", str(run), "--outdir=drawn"], ["sample", str(run), "--out=sample.png"]]
    for words in commands:
        code, _, err = model_cli.run(*words, cwd=cwd)
        assert (code, err) == (0, "")
    return {path.name: path.read_bytes() for path in cwd.rglob("*") if path.suffix in (".png", ".svg")}


@pytest.fixture(scope="module")
def innocent(tmp_path_factory):
    """A trained run, and its pictures where nobody says anything."""
    place = tmp_path_factory.mktemp("innocent")
    code, _, err = model_cli.run("train", *model_cli.TINY, "--threads=1", "--outdir=run", cwd=place)
    assert code == 0, err
    with pytest.MonkeyPatch.context() as patch:
        return place / "run", draw(place, place / "run", patch, {})


@pytest.mark.parametrize("name", SAYS)
def test_pictures_are_the_same_files_whatever_the_environment_says(tmp_path, innocent, monkeypatch, name):
    run, expected = innocent
    folder = tmp_path / "settings"
    folder.mkdir()
    (folder / "matplotlibrc").write_text(HOSTILE_RC)
    (folder / "binary").write_bytes(b"\xff\xfe\x00\x01")
    if name == "current folder":
        (tmp_path / "matplotlibrc").write_text(HOSTILE_RC)
    places = {"rc": folder / "matplotlibrc", "folder": folder, "binary": folder / "binary"}
    says = {key: value.format(**places) for key, value in SAYS[name].items()}
    whole = name == "notebook"  # all commands once; one of them for every other case
    got = draw(tmp_path, run if whole else None, monkeypatch, says)
    assert len(got) > (10 if whole else 1)
    assert got == {key: expected[key] for key in got}
    assert whole is (got.keys() == expected.keys())


def test_variables_stay_for_others(monkeypatch, tmp_path):
    """A library does not take variables from the process that imports it."""
    code = "import os, ie_model.figures; print(os.environ['MPLBACKEND'], 'MATPLOTLIBRC' in os.environ, os.getcwd())"
    env = os.environ | {"MPLBACKEND": "nonsense", "PYTHONPATH": str(model_cli.ROOT)}
    env.pop("MATPLOTLIBRC", None)
    done = subprocess.run([sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.split() == ["nonsense", "False", str(tmp_path)], done.stderr
