"""The recipe verify-ie-repr: its flags, and the command that they become."""

import pytest
import yaml
from ie_recipes import crowd_commands
from paths import ROOT

META = yaml.safe_load((ROOT / "script" / "verify-ie-repr" / "_cm.yaml").read_text(encoding="utf-8"))


def test_its_flags_are_those_of_the_command():
    mapping = {flag: f"CM_IE_VERIFY_{flag.upper()}" for flag in crowd_commands.VERIFY.names}
    assert META["input_mapping"] == mapping


def test_flags_become_arguments():
    env = {
        "CM_TMP_CURRENT_PATH": "/a folder",
        "CM_IE_VERIFY_STORE": "s.sqlite3",
        "CM_IE_VERIFY_DATA": "mnist=data $(x)",
    }
    env |= {"CM_IE_VERIFY_DATA": "mnist=data $(x)"}
    env |= {"CM_IE_VERIFY_FROM": "results", "CM_IE_VERIFY_LIST": "yes", "CM_IE_VERIFY_JSON": "False"}
    assert crowd_commands.verify(env) == [
        "verify",
        "--from=/a folder/results",
        "--store=/a folder/s.sqlite3",
        "--data=mnist=/a folder/data $(x)",
        "--list",
    ]
    assert "--store=postgresql://a@b/c" in crowd_commands.verify({**env, "CM_IE_VERIFY_STORE": "postgresql://a@b/c"})


def test_a_flag_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="unknown"):
        crowd_commands.check_names({"jobs": "3"}, crowd_commands.VERIFY)
