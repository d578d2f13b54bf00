"""Which CM repositories `cm` knows in a test."""

import json
from pathlib import Path


def register(cm_repos: Path, *repositories: Path) -> None:
    """Let cm know exactly these repositories, as `cm import repo` would, whatever is pip-installed here."""
    import cmx4mlops

    cm_repos.mkdir(parents=True, exist_ok=True)
    paths = [str(Path(cmx4mlops.__file__).parent), *map(str, repositories)]
    (cm_repos / "repos.json").write_text(json.dumps(paths), encoding="utf-8")
