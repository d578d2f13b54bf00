"""The site as files: whole, without a server's parts, and never half of it."""

import html
import os
import re
from pathlib import Path

import pytest

pytest.importorskip("starlette")
from ie_crowd import __main__ as command_line
from ie_crowd.site import static_export
from ie_crowd.site.settings import Settings
from toy_challenge.make import RULES

SETTINGS = Settings(challenges=(RULES.folder,), page_size=2)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One export of the store of ``site_store``; (folder, what it says, ids)."""
    from sites import fill

    place = tmp_path_factory.mktemp("static") / "a site"
    engine = fill(place.parent / "store.sqlite3")
    written = static_export.export(engine, place, SETTINGS)
    engine.dispose()
    return place, written, engine.ids


def pages(folder):
    return sorted(folder.rglob("*.html"))


def test_every_link_of_every_file_leads_to_a_file(made):
    folder, written, _ = made
    assert written.failed == []
    assert written.files == sum(path.is_file() for path in folder.rglob("*")) - 1, "and the mark"
    for path in pages(folder):
        for target in re.findall(r'(?:href|src)="([^"]*)"', path.read_text(encoding="utf-8")):
            target = html.unescape(target).partition("#")[0]
            if target and not target.startswith("http"):
                assert not target.startswith("/"), (path, target)
                assert Path(os.path.normpath(path.parent / target)).is_file(), (path, target)


def test_what_needs_a_server_is_not_there_and_says_so(made):
    folder, _, ids = made
    for path in pages(folder):
        page = path.read_text(encoding="utf-8")
        assert "<form" not in page
        assert "Content-Security-Policy" in page
        assert "form-action &#39;none&#39;" in page or "form-action 'none'" in page
    assert "need a site that is served" in (folder / "results" / "index.html").read_text(encoding="utf-8")
    assert "a site that is served is needed" in (folder / "comments" / "index.html").read_text(encoding="utf-8")
    assert not (folder / "results" / ids["bad"]).exists(), "quarantined"


def test_the_pages_are_those_of_the_server(made):
    folder, _, ids = made
    task = "dataset-gauges.division-closed.labels-all.supervision-supervised"
    for name in (
        "index.html",
        "page-2.html",
        "page-3.html",
        "view-chart.html",
        f"{task}.html",
        f"{ids['ada']}/index.html",
    ):
        assert (folder / "results" / name).is_file(), name
    assert (folder / "results" / ids["ada"] / "result.json").is_file()
    pairs = list((folder / "compare").glob("*.html"))
    assert len(pairs) == 10, "each two of five, once"
    assert "Two results side by side" in pairs[0].read_text(encoding="utf-8")


def test_the_next_one_replaces_it_and_nothing_else(made, tmp_path, site_store):
    out = tmp_path / "out"
    static_export.export(site_store, out, SETTINGS)
    (out / "old.html").write_text("of an earlier site")
    static_export.export(site_store, out, SETTINGS)
    assert not (out / "old.html").exists()
    assert [path.name for path in tmp_path.glob(".out*")] == []
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("dear")
    with pytest.raises(ValueError, match="holds other files"):
        static_export.export(site_store, other, SETTINGS)
    assert (other / "thesis.tex").read_text() == "dear"
    with pytest.raises(ValueError, match="is not a folder"):
        static_export.export(site_store, other / "thesis.tex", SETTINGS)
    (tmp_path / "link").symlink_to(out)
    with pytest.raises(ValueError, match="is not a folder"):
        static_export.export(site_store, tmp_path / "link", SETTINGS)


def test_one_that_fails_leaves_the_old_one(tmp_path, site_store, monkeypatch):
    out = tmp_path / "out"
    static_export.export(site_store, out, SETTINGS)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}

    def stop(done, total):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        static_export.export(site_store, out, SETTINGS, stop)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".out")] == []


def test_the_command(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    argv = ["site", "--out=public", "--store=s.sqlite3", f"--challenge={RULES.folder}"]
    assert command_line.main(argv) == 0
    assert "files" in capsys.readouterr().out
    assert "Forecasting river levels" in (tmp_path / "public" / "index.html").read_text(encoding="utf-8")
    assert command_line.main([*argv, "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    assert command_line.main(["site", "--out=full", "--store=s.sqlite3"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert command_line.main(["site", "--out=new", "--store=s.sqlite3", "--ingest=missing"]) == 2
