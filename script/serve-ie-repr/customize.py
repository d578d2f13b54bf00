"""Checks the flags, then runs `ie-crowd serve` or `site` as one child process; its exit code is the recipe's."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def predeps(i):
    from ie_recipes import crowd_commands, own_code

    return own_code.refuse_another() or crowd_commands.check(i, crowd_commands.SERVE, crowd_commands.serve)


def preprocess(i):
    from ie_recipes import crowd_commands

    return crowd_commands.run(i, crowd_commands.SERVE, crowd_commands.serve(i["env"]))
