"""Sign and verify with ssh-keygen, in a child with a time limit; nothing that somebody sent is an argument of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from ie_crowd.formats.ssh.keys import PublicKey
from ie_crowd.formats.ssh.signatures import Signature

SIGN_SECONDS, VERIFY_SECONDS = 120, 10
WHO = "submitter"  # the one name in the list of signers


class NoProgramError(ValueError):
    """There is no ssh-keygen on this machine."""


def sign_file(path: Path, key: Path, namespace: str, what: str) -> Path:
    """Sign a file with an SSH key (a private one, or a public one whose private key an agent holds).

    ``what`` is signed, for messages. Returns the file of the signature, PATH.sig. Raises ValueError, one line.
    """
    program = shutil.which("ssh-keygen")
    if program is None:
        raise NoProgramError(f"ssh-keygen is not installed here, and signs {what}: install OpenSSH")
    key = key.expanduser()  # a shell leaves --sign=~/KEY as it is
    if not key.is_file():
        raise ValueError(f"--sign={key}: no such key, expected a file like ~/.ssh/id_ed25519")
    signature = path.with_name(f"{path.name}.sig")
    signature.unlink(missing_ok=True)  # ssh-keygen would ask
    argv = [program, "-Y", "sign", "-f", str(key), "-n", namespace, str(path)]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=SIGN_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise ValueError(f"--sign={key}: ssh-keygen waits; use a key without a passphrase, or an agent") from None
    if done.returncode or not signature.is_file():
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        why = "".join(one for one in (said[-1] if said else "no reason given") if one.isprintable())[:200]
        raise ValueError(f"--sign={key}: {what} could not be signed ({why})")
    return signature


def sign(content: bytes, key: Path, namespace: str, what: str) -> str:
    """The signature of bytes, as text. Raises ValueError as ``sign_file`` does."""
    with tempfile.TemporaryDirectory(prefix="ie-crowd-sign-") as scratch:
        path = Path(scratch) / "content"
        path.write_bytes(content)
        return sign_file(path, key, namespace, what).read_text(encoding="ascii")


def verify(content: bytes, signature: Signature, key: PublicKey, namespace: str) -> None:
    """Raise ValueError, one line, unless it is a signature of these bytes by that key for that namespace.

    The list of signers is made from the parsed key, so that nothing else can get into it. Raises NoProgramError where
    there is no ssh-keygen.
    """
    if signature.namespace != namespace:
        raise ValueError(
            f"the signature is for {signature.namespace[:80]!r}; expected ssh-keygen -Y sign -n {namespace}"
        )
    if signature.key != key:
        raise ValueError(f"the signature is by {signature.key.fingerprint}; expected {key.fingerprint}")
    program = shutil.which("ssh-keygen")
    if program is None:
        raise NoProgramError("there is no ssh-keygen here, so no signature is verified nor kept")
    with tempfile.TemporaryDirectory(prefix="ie-crowd-verify-") as scratch:
        signers, sig = Path(scratch) / "signers", Path(scratch) / "sig"
        signers.write_text(f'{WHO} namespaces="{namespace}" {key.line}\n', encoding="ascii")
        sig.write_text(signature.text, encoding="ascii")
        argv = [program, "-Y", "verify", "-f", str(signers), "-I", WHO, "-n", namespace, "-s", str(sig)]
        env = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "HOME": scratch}
        try:
            done = subprocess.run(
                argv, input=content, cwd=scratch, env=env, capture_output=True, timeout=VERIFY_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise ValueError(f"the signature could not be verified within {VERIFY_SECONDS} s") from None
    if done.returncode:
        raise ValueError("the signature is not one of this content by this key")
