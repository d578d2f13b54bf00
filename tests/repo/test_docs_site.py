"""The documentation site: links, a page for each package, nothing loaded from elsewhere, tools that are pinned."""

import importlib.util
import re
import tomllib
from pathlib import PurePosixPath
from types import SimpleNamespace

import pytest
import yaml
from mkdocs.exceptions import PluginError
from paths import ROOT

SPEC = importlib.util.spec_from_file_location("site_hooks", ROOT / "docs" / "site_hooks.py")
site_hooks = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(site_hooks)
TOP, DOCS = PurePosixPath(), PurePosixPath("docs")


@pytest.mark.parametrize(
    ("folder", "before", "after"),
    [
        (TOP, "[a](docs/results.md#commands)", "[a](results.md#commands)"),
        (TOP, "![a](docs/styles.png)", "![a](styles.png)"),
        (TOP, "[a](CHANGELOG.md)", "[a](changelog.md)"),
        (TOP, "[a](README.md#map-of-the-repository)", "[a](index.md#map-of-the-repository)"),
        (TOP, "[CITATION.cff](CITATION.cff)", "CITATION.cff"),
        (TOP, "[a](https://example.org/docs/x.md)", "[a](https://example.org/docs/x.md)"),
        (TOP, "`(a](?:[^<>&]*)`", "`(a](?:[^<>&]*)`"),
        (DOCS, "[a](../SECURITY.md)", "[a](security.md)"),
        (DOCS, "[a](../CITATION.cff)", "a"),
        (DOCS, "[a](store.md)", "[a](store.md)"),
        (DOCS, "[a](#above)", "[a](#above)"),
    ],
)
def test_links_lead_to_where_things_lie_in_the_site(folder, before, after):
    assert site_hooks.site_links(before, folder) == after


def test_each_page_says_of_which_version_it_is_and_where_others_are():
    config = site_hooks.on_config(SimpleNamespace(copyright=None))
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert config.copyright.startswith(f"ie-repr {version}. ")
    assert "git tag vVERSION" in config.copyright
    assert "`git tag vVERSION`" in (ROOT / "docs" / "release.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("html", "foreign"),
    [
        ('<script src="https://cdn.example/x.js"></script>', {"https://cdn.example/x.js"}),
        ('<link rel="stylesheet" href="//fonts.example/css">', {"//fonts.example/css"}),
        ('<img src="HTTP://x.example/a.png">', {"HTTP://x.example/a.png"}),
        ('<iframe src=" https://x.example/"></iframe>', {" https://x.example/"}),
        ('<a href="https://example.org">a link to follow</a>', set()),
        ('<link rel="icon" href="assets/i.png"><script src="assets/a.js"></script>', set()),
        ('<img src="data:image/png;base64,AAAA">', set()),
    ],
)
def test_what_a_page_loads_from_elsewhere_is_seen(html, foreign):
    assert site_hooks.loaded_from_elsewhere(html) == foreign


def test_a_page_that_loads_from_elsewhere_is_refused():
    page = SimpleNamespace(file=SimpleNamespace(src_uri="x.md"))
    with pytest.raises(PluginError, match=r"x\.md loads https://a\.example/"):
        site_hooks.on_post_page('<script src="https://a.example/"></script>', page, config=None)
    assert site_hooks.on_post_page("<p>", page, config=None) == "<p>"


def test_the_map_of_a_package_becomes_a_list_of_links():
    about = "What.\n\nalpha  the first,\n       in two lines\nbeta   a package\n=====  ===\ngamma  else\n\nMore."
    items = "- [`alpha`](#p.alpha): the first, in two lines\n- [`beta`](p.beta.md): a package\n- `gamma`: else\n"
    found = site_hooks.package_map(about, {"alpha": "#p.alpha", "beta": "p.beta.md"})
    assert found == f"What.\n\n{items}\nMore."


def test_the_reference_has_every_module():
    pages = dict(site_hooks.reference())
    named = {one for page in pages.values() for one in re.findall(r"^::: (\S+)$", page, re.MULTILINE)}
    named |= {page.removeprefix("api/").removesuffix(".md") for page in pages}
    for package, place in site_hooks.PACKAGES.items():
        for path in (place / package).rglob("*.py"):
            module = ".".join(path.relative_to(place).with_suffix("").parts).removesuffix(".__init__")
            if "migrations" not in module and not module.endswith("__main__"):
                assert module in named, module
    index = pages["api/index.md"]
    assert all(f"({page.removeprefix('api/')})" in index for page in pages if page != "api/index.md")


def test_the_tools_are_pinned_where_ci_installs_them():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    pinned = {line.split("==")[0] for line in extras["test"] if "==" in line}
    wanted = {re.match(r"[a-z-]+", line)[0] for line in extras["docs"]}
    assert wanted == {"mkdocs-material", "mkdocstrings"}
    assert wanted | {"mkdocs", "mkdocstrings-python", "griffelib"} <= pinned


def test_no_font_is_fetched_and_ci_builds_strictly():
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert config["theme"]["font"] is False
    assert "mkdocs build --strict" in (ROOT / ".ci" / "check").read_text(encoding="utf-8")
