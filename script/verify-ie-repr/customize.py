"""Checks the flags, then runs `ie-crowd verify` as one child process; its exit code is the recipe's."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def predeps(i):
    from ie_recipes import crowd_commands, front_end

    return front_end.predeps(i, lambda i: crowd_commands.check(i, crowd_commands.VERIFY, crowd_commands.verify))


def preprocess(i):
    from ie_recipes import crowd_commands, front_end

    return front_end.preprocess(
        i, lambda i: crowd_commands.run(i, crowd_commands.VERIFY, crowd_commands.verify(i["env"]))
    )
