"""SSH keys made once, and what ssh-keygen signs with them."""

import base64
import shutil
import subprocess

import pytest

needs_ssh = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="there is no ssh-keygen here")


def make(folder, name="ada", kind="ed25519", bits=None):
    """The path of a new private key; its public half lies beside it."""
    path = folder / name
    argv = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "ada@laptop", "-f", str(path)]
    subprocess.run([*argv, *(["-b", str(bits)] if bits else [])], check=True)
    return path


def public(path):
    return path.with_name(f"{path.name}.pub").read_text()


def sign(path, content, namespace):
    argv = ["ssh-keygen", "-Y", "sign", "-q", "-f", str(path), "-n", namespace]
    return subprocess.run(argv, input=content, capture_output=True, check=True).stdout.decode()


def wire(*parts):
    """Bytes with their lengths, as SSH writes them."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def line(kind, *parts):
    return f"{kind} {base64.b64encode(wire(kind.encode(), *parts)).decode()}"
