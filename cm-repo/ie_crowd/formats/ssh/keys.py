"""Read the public half of an SSH key, as a ``.pub`` file holds it: one line of kind, base64, and perhaps a comment.

What is not exactly that is refused: options before the kind, which ssh-keygen would obey in its list of signers; a
second line; certificates; a private key pasted by mistake. No message repeats what was given, and the comment, which
often names a person and a machine, is not kept. The wire format is RFC 4253 §6.6, RFC 5656, RFC 8709 and OpenSSH's
PROTOCOL.u2f.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import NamedTuple

LONGEST = 6000  # characters of the line; RSA of 16,384 bits has 2,800
LEAST_RSA, MOST_RSA = 3072, 16384
CURVES = {"nistp256": 65, "nistp384": 97, "nistp521": 133}  # bytes of a point
KINDS = (
    "ssh-ed25519",
    *(f"ecdsa-sha2-{curve}" for curve in CURVES),
    "ssh-rsa",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
_PRIVATE = re.compile(r"PRIVATE[ -]KEY|PuTTY-User-Key|b3BlbnNzaC1rZXktdjE|AGE-SECRET", re.IGNORECASE)
PRIVATE = (
    "this is a private key, and was not kept; whoever may have seen it here can sign as you: make a new one, and give "
    "the public half, the file that ends in .pub"
)
_EXPECTED = "expected one line as in ~/.ssh/id_ed25519.pub: a kind and base64"


class PublicKey(NamedTuple):
    """``blob``: base64, as in the file. ``fingerprint``: SHA256:…, as ssh-keygen -l prints it."""

    kind: str
    blob: str
    fingerprint: str

    @property
    def line(self) -> str:
        """As in a .pub file, without a comment."""
        return f"{self.kind} {self.blob}"


def parse(text: str) -> PublicKey:
    """The key of a line. Raises ValueError, one line that repeats nothing of it."""
    if _PRIVATE.search(text):
        raise ValueError(PRIVATE)
    if len(text) > LONGEST:
        raise ValueError(f"this is no public key: {len(text):,} characters; at most {LONGEST:,} are read")
    line = text.strip()
    if any(not one.isprintable() for one in line):  # a line break is not
        raise ValueError(f"this is no public key, or more than one; {_EXPECTED}")
    kind, _, rest = line.partition(" ")
    if kind not in KINDS:
        raise ValueError(
            f"this does not begin with a kind of key; {_EXPECTED}, without options. Kinds: {', '.join(KINDS)}"
        )
    blob = rest.split(" ", 1)[0]
    try:
        content = base64.b64decode(blob, validate=True)
    except (ValueError, binascii.Error):
        raise ValueError(f"what stands behind the kind is not base64; {_EXPECTED}") from None
    found = of_blob(content)
    if found.kind != kind:
        raise ValueError(f"the line says {kind}, the key itself is another kind; {_EXPECTED}")
    return found


def of_blob(content: bytes) -> PublicKey:
    """The key of its bytes. Raises ValueError, one line."""
    reader = Reader(content, "the key")
    kind = reader.text()
    if kind not in KINDS:
        raise ValueError(f"the key is of a kind that is not taken; expected {', '.join(KINDS)}")
    if kind == "ssh-rsa":
        exponent, modulus = reader.integer(), reader.integer()
        if not LEAST_RSA <= modulus.bit_length() <= MOST_RSA:
            raise ValueError(
                f"an RSA key of {modulus.bit_length():,} bits; expected {LEAST_RSA:,} to {MOST_RSA:,}, or Ed25519"
            )
        if exponent < 3 or exponent % 2 == 0 or exponent.bit_length() > 64 or modulus % 2 == 0:
            raise ValueError("this is no RSA key that anybody uses: its numbers are out of range")
    elif "ecdsa" in kind:
        curve, point = reader.text(), reader.string()
        if not kind.removesuffix("@openssh.com").endswith(curve) or len(point) != CURVES.get(curve) or point[0] != 4:
            raise ValueError("the point of this key does not fit its curve")
    elif len(reader.string()) != 32:
        raise ValueError("an Ed25519 key has 32 bytes")
    if kind.startswith("sk-") and not 1 <= len(reader.text()) <= 200:
        raise ValueError("the key of a security token names its application")
    reader.end()
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    return PublicKey(kind, base64.b64encode(content).decode(), f"SHA256:{digest}")


class Reader:
    """Reads SSH's wire format; raises ValueError for what is cut off or goes on."""

    def __init__(self, content: bytes, what: str) -> None:
        self.content, self.at, self.what = content, 0, what

    def take(self, size: int) -> bytes:
        """So many bytes."""
        part = self.content[self.at : self.at + size]
        if len(part) != size:
            raise ValueError(f"{self.what} is cut off")
        self.at += size
        return part

    def number(self) -> int:
        """A 32-bit number."""
        return int.from_bytes(self.take(4), "big")

    def string(self) -> bytes:
        """Bytes with their length before them."""
        return self.take(self.number())

    def text(self) -> str:
        """The same, of printable ASCII."""
        found = self.string()
        if any(not 0x20 <= one < 0x7F for one in found):
            raise ValueError(f"{self.what} holds a name that is not text")
        return found.decode("ascii")

    def integer(self) -> int:
        """A number of any size, which is not negative."""
        found = self.string()
        if found[:1] > b"\x7f":
            raise ValueError(f"{self.what} holds a negative number")
        return int.from_bytes(found, "big")

    def end(self) -> None:
        """Nothing may follow."""
        if self.at != len(self.content):
            raise ValueError(f"{self.what} goes on behind its end")
