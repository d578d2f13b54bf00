"""The toy challenge with more in its evidence policy."""

import shutil

from toy_challenge.make import RULES


def folder(home, key):
    """A folder with the toy challenge's rules and those lines at the end of ``evidence``."""
    made = home / "asking"
    shutil.copytree(RULES.folder, made, ignore=shutil.ignore_patterns("__pycache__"))
    with (made / "rules.yaml").open("a") as file:
        file.write(key)
    return made
