"""What is signed of a result: its id, which is the hash of all that it says.

Anybody checks such a signature: ``printf 'ID\\n' | ssh-keygen -Y verify -f allowed_signers -I ada -n ie-crowd-result -s
FILE``. The namespace is its own, so that a signature for something else (a statement, a commit, a key) is none here.
"""

from __future__ import annotations

NAMESPACE = "ie-crowd-result"
KEY_NAMESPACE = "ie-crowd-key"  # a key signed by an older one of the same account


def message(result_id: str) -> bytes:
    """The bytes that are signed."""
    return f"{result_id}\n".encode("ascii")
