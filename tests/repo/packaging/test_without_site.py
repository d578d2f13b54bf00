"""What `pip install .` alone brings is enough for all but the site's commands: none of them imports a store."""

import subprocess
import sys

import pytest
from paths import ROOT

SITE = (
    "alembic", "confusable_homoglyphs", "jsonschema_rs", "obstore", "orjson", "resvg_py", "sqlalchemy",
    "starlette", "uvicorn",
)  # fmt: skip
HIDDEN = f"""
import sys
sys.modules.update(dict.fromkeys({SITE!r}))
sys.path[:0] = [{str(ROOT / "cm-repo")!r}]
from ie_crowd.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
RESULT = min((ROOT / "cm-repo" / "experiment").glob("*/*/result.json"))


@pytest.mark.parametrize(
    "words",
    [("check", str(RESULT)), ("submit", str(RESULT.parent), "--to=.", "--dry-run"), ("schema",), ("--help",)],
    ids=lambda words: words[0],
)
def test_a_command_needs_nothing_of_the_site(words, tmp_path):
    done = subprocess.run(
        [sys.executable, "-P", "-c", HIDDEN, *words], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
