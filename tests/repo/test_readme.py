"""What the README says exists: recipes with their tags and variations, flags, metrics, files and links."""

import re
import sys
from pathlib import Path

import pytest
import yaml
from paths import RECIPES, ROOT

sys.path.insert(0, str(RECIPES))
import flags

README = (ROOT / "README.md").read_text(encoding="utf-8")
META = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in (ROOT / "script").glob("*/_cm.yaml")]
COMMANDS = sorted(set(re.findall(r'cm run script "([^"]+)"', README)))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_recipe_answers_to_every_command(command):
    words = command.split()
    tags = {word for word in words if not word.startswith("_")}
    matching = [meta for meta in META if tags <= set(meta["tags"])]
    assert matching, command
    for variation in (word[1:] for word in words if word.startswith("_")):
        assert all(variation in meta["variations"] for meta in matching), variation


def test_there_are_commands_to_look_at():
    assert "reproduce ie-repr mnist" in COMMANDS


def test_the_table_of_flags_is_the_recipes_own():
    assert set(re.findall(r"^\| `--([a-z-]+)", README, re.MULTILINE)) == set(flags.FLAGS)


def test_the_table_of_metrics_names_what_a_task_must_have():
    rules = yaml.safe_load((ROOT / "cm-repo/challenge/ie-repr/rules.yaml").read_text(encoding="utf-8"))
    required = {name for task in rules["tasks"] for name in task["metrics"]}
    assert set(re.findall(r"^\| `([a-z_]+(?:\.[a-z0-9_]+)?)` \| (?:%|nats|–)", README, re.MULTILINE)) == required


@pytest.mark.parametrize("target", re.findall(r"\]\((?!https?://)([^)#]+)\)", README))
def test_a_link_into_the_repository_leads_somewhere(target):
    assert (ROOT / Path(target)).exists()
