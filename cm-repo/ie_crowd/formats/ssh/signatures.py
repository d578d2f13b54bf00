"""Read a signature of ``ssh-keygen -Y sign``: which key it names and what it is for. It proves nothing until verified.

The format is OpenSSH's PROTOCOL.sshsig. It is looked at before any program sees it.
"""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple

from ie_crowd.formats.ssh import keys
from ie_crowd.formats.ssh.keys import PublicKey, Reader

LONGEST = 10_000  # characters; one of RSA with 16,384 bits has 5,700
BEGIN, END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
MAGIC = b"SSHSIG"
HASHES = ("sha256", "sha512")


class Signature(NamedTuple):
    """``text``: as ssh-keygen writes it."""

    key: PublicKey
    namespace: str
    text: str


def parse(text: str) -> Signature:
    """Read a signature. Raises ValueError, one line that repeats nothing of it."""
    if "PRIVATE KEY" in text.upper():
        raise ValueError(keys.PRIVATE)
    if len(text) > LONGEST:
        raise ValueError(f"this is no signature: {len(text):,} characters; at most {LONGEST:,} are read")
    lines = text.strip().replace("\r\n", "\n").split("\n")
    if lines[0] != BEGIN:
        raise ValueError(f"this is no signature; expected what ssh-keygen -Y sign writes, from {BEGIN} on")
    if len(lines) < 3 or lines[-1] != END:
        raise ValueError(f"the signature is cut off; expected it to end with {END}")
    try:
        content = base64.b64decode("".join(lines[1:-1]), validate=True)
    except (ValueError, binascii.Error):
        raise ValueError("the signature is not base64 between its first and last line") from None
    if not content.startswith(MAGIC):
        raise ValueError("this is no signature of ssh-keygen -Y sign")
    reader = Reader(content, "the signature")
    reader.take(len(MAGIC))
    if reader.number() != 1:
        raise ValueError("the signature is of a version that is not known; expected 1")
    key = keys.of_blob(reader.string())
    namespace, reserved, algorithm = reader.text(), reader.string(), reader.text()
    if algorithm not in HASHES or reserved:
        raise ValueError(f"the signature is of a hash that is not taken; expected {' or '.join(HASHES)}")
    reader.string()
    reader.end()
    body = base64.b64encode(content).decode()
    wrapped = "\n".join(body[start : start + 70] for start in range(0, len(body), 70))
    return Signature(key, namespace, f"{BEGIN}\n{wrapped}\n{END}\n")
