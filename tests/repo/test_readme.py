"""What README.md and docs/ say exists: recipes, variations, flags, commands, metrics, files and links."""

import contextlib
import io
import posixpath
import re

import pytest
import yaml
from ie_crowd import __main__ as ie_crowd
from ie_recipes import flags
from ie_recipes.comparison import recipes
from paths import ROOT

from ie_model import __main__ as ie_model

PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
}
RULES = yaml.safe_load((ROOT / "cm-repo/challenge/ie-repr/rules.yaml").read_text(encoding="utf-8"))
META = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in (ROOT / "script").glob("*/_cm.yaml")]
COMMANDS = sorted({found for page in PAGES.values() for found in re.findall(r'cm run script "([^"]+)"', page)})
# what a metavariable or an ellipsis in a command stands for is not looked up
PLACEHOLDERS = {"TAGS"}


@pytest.mark.parametrize("command", [one for one in COMMANDS if not PLACEHOLDERS & set(one.split())])
def test_a_recipe_answers_to_every_command(command):
    words = command.split()
    tags = {word for word in words if not word.startswith("_")}
    matching = [meta for meta in META if tags <= set(meta["tags"])]
    assert matching, command
    for variation in (word[1:] for word in words if word.startswith("_")):
        assert all(variation in meta["variations"] for meta in matching), variation


def test_there_are_commands_to_look_at():
    assert {"reproduce ie-repr mnist", "evaluate ie-repr", "submit ie-repr", "serve ie-repr"} <= set(COMMANDS)
    assert 'cm run script "reproduce ie-repr mnist"' in PAGES["README.md"]
    assert 'cm run script "reproduce ie-repr mnist _smoke"' in PAGES["README.md"]


def test_the_table_of_recipes_names_each_one():
    table = PAGES["docs/recipes.md"].partition("## Recipes\n")[2].partition("\n## ")[0]
    commands = [set(one.split()) for one in re.findall(r'cm run script "([^"]+)"', table)]
    commands += [{"get", "dataset", name, "ie-repr"} for name in re.findall(r"`([a-z-]+)`", table)]
    for meta in META:
        if "run" not in meta["tags"]:  # what the reproduce recipes call is no door of its own
            assert any(command <= set(meta["tags"]) for command in commands), meta["alias"]


def test_the_table_of_variations_names_each_one():
    table = PAGES["docs/recipes.md"].partition("## Variations\n")[2].partition("\n### ")[0]
    named = {
        one for row in re.findall(r"^\| (`_.*?) \|", table, re.MULTILINE) for one in re.findall(r"`_([^`]+)`", row)
    }
    (mnist,) = [meta for meta in META if {"reproduce", "mnist"} <= set(meta["tags"])]
    assert named == set(mnist["variations"]) - {"equivae"}  # the default that a command does not name


def test_the_table_of_flags_is_the_recipes_own():
    table = PAGES["docs/recipes.md"].partition("## Flags\n")[2]
    assert set(re.findall(r"^\| `--([a-z_-]+)", table, re.MULTILINE)) == set(flags.FLAGS)


def required_metrics(tasks):
    return {name for task in tasks for name in task["metrics"]}


def test_the_table_of_metrics_names_what_a_task_must_have():
    found = re.findall(r"^\| `([a-z_]+(?:\.[a-z0-9_]+)?)` \| (?:%|nats|–)", PAGES["docs/metrics.md"], re.MULTILINE)
    assert set(found) == required_metrics(RULES["tasks"])
    assert len(found) == len(set(found))


def test_what_the_readme_says_of_the_first_command_is_what_its_table_has():
    section = PAGES["README.md"].partition("## What comes out\n")[2].partition("\n## ")[0]
    assert all(f"`{recipe}/`" in section for recipe in flags.AT_ONCE)
    for head in recipes.METRICS.values():
        assert re.search(rf"\b{head.partition(',')[0]}", section), head


def test_the_readme_stays_a_first_page():
    assert len(PAGES["README.md"].splitlines()) <= 150


def test_the_changelog_begins_with_the_rules_that_count():
    newest = re.search(r"^\| ([0-9]+) \|", PAGES["CHANGELOG.md"], re.MULTILINE)
    assert int(newest[1]) == RULES["rules_version"]


# Links and names of files


def anchors(page):
    """The anchors of the headings of a page, as GitHub and MkDocs make them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"(?ms)^```.*?^```", "", page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def links():
    for name, page in PAGES.items():
        prose = re.sub(r"(?ms)^```.*?^```|`[^`\n]*`(?!\])", "", page)
        for target, anchor in re.findall(r"\]\((?!https?://)([^)#\s]*)(?:#([^)\s]+))?\)", prose):
            yield name, posixpath.normpath(posixpath.join(posixpath.dirname(name), target)) if target else name, anchor


@pytest.mark.parametrize(("page", "target", "anchor"), sorted(set(links())))
def test_a_link_leads_somewhere(page, target, anchor):
    assert (ROOT / target).exists(), f"{page}: {target} is not there"
    if anchor:
        assert anchor in anchors(PAGES[target]), f"{page}: {target} has no heading #{anchor}"


def test_every_page_is_reached_from_the_readme():
    seen, new = set(), {"README.md"}
    while new:
        seen |= new
        new = {target for page, target, _ in links() if page in new} & set(PAGES) - seen
    assert seen == set(PAGES)


# a name in backticks that looks like one of a file here; "<…>", "…" and "*" stand for others
NAMED = re.compile(r"`((?:ie_model|ie_crowd|script|tests|docs|cm-repo|benchmarks|\.ci)/[\w./-]*)`")


@pytest.mark.parametrize("page", PAGES)
def test_a_file_that_is_named_is_there(page):
    for name in NAMED.findall(PAGES[page]):
        here = ROOT / ("cm-repo" if name.startswith("ie_crowd/") else "") / name
        assert here.exists(), f"{page} names {name}"


def test_the_map_names_folders_that_are_there():
    (block,) = re.findall(r"## Map of the repository\n\n```\n(.*?)```", PAGES["README.md"], re.DOTALL)
    folders = [line.split()[0] for line in block.splitlines()]
    assert all((ROOT / folder).is_dir() for folder in folders), folders
    assert {"script/", "ie_model/", "cm-repo/ie_crowd/", "tests/", "docs/"} <= set(folders)


# Commands without CM


def help_of(program, command):
    """What `ie-model COMMAND --help` prints; None where there is no such command."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended:
        {"ie-model": ie_model, "ie-crowd": ie_crowd}[program].main([*command, "--help"])
    return out.getvalue() if ended.value.code in (0, None) else None


def console_commands():
    for name, page in PAGES.items():
        for program, words in re.findall(r"\b(ie-model|ie-crowd) +([a-z][^`\n#|]*)", page):
            yield name, program, words.strip()


@pytest.mark.parametrize(("program", "command"), sorted({(p, w.split()[0]) for _, p, w in console_commands()}))
def test_a_command_is_there_and_has_the_options_it_is_shown_with(program, command):
    assert help_of(program, [command]) is not None, f"there is no {program} {command}"
    for page, _, words in (
        one for one in console_commands() if one[1:2] == (program,) and one[2].split()[0] == command
    ):
        second = [word for word in words.split()[1:2] if not word.startswith("-")]
        listed = help_of(program, [command, *second])  # `bench step` has options of its own
        assert listed is not None, f"{page}: there is no {program} {command} {' '.join(second)}"
        for option in re.findall(r"(?<!\S)--[a-z][a-z0-9-]*", words):
            assert re.search(rf"{option}\b(?!-)", listed), f"{page}: {program} {command} has no {option}"


def test_no_text_names_a_package_of_an_index_that_is_not_ours():
    """``pip install ie-repr`` would install whatever somebody else puts there: texts name a checkout, as '.[extra]'."""
    texts = dict(PAGES)
    for top in ("ie_model", "cm-repo/ie_crowd", "script"):
        texts |= {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in (ROOT / top).rglob("*.py")}
        texts |= {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in (ROOT / top).rglob("*.j2")}
    assert [name for name, text in texts.items() if re.search(r"pip install [\"']?ie-repr\b", text)] == []


def test_the_front_page_leads_to_the_paper_as_pdf_and_by_doi():
    pages = yaml.safe_load((ROOT / "cm-repo/challenge/ie-repr/pages.yaml").read_text(encoding="utf-8"))
    urls = [one["url"] for one in pages["links"] if one["kind"] == "paper"]
    assert any("/pdf/" in url for url in urls)
    assert any(url.startswith("https://doi.org/10.") for url in urls)
