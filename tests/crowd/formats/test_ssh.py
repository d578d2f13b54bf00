"""SSH keys and signatures are read strictly, and nothing that is refused is repeated."""

import base64
import re
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ie_crowd.formats.ssh import keys, program, signatures
from ssh_keys import line, make, needs_ssh, public, sign, wire

ED = line("ssh-ed25519", b"k" * 32)
NIST = b"nistp256"
EXPONENT = b"\x01\x00\x01"


def rsa(bits, exponent=EXPONENT):
    return line("ssh-rsa", exponent, b"\0" + ((1 << (bits - 1)) | 1).to_bytes(bits // 8, "big"))


@needs_ssh
@pytest.mark.parametrize(("kind", "bits"), [("ed25519", None), ("ecdsa", 256), ("ecdsa", 521), ("rsa", 3072)])
def test_what_openssh_makes_is_read_and_verified(tmp_path, kind, bits):
    path = make(tmp_path, kind=kind, bits=bits)
    key = keys.parse(public(path))
    printed = subprocess.run(
        ["ssh-keygen", "-l", "-f", f"{path}.pub"], capture_output=True, text=True, check=True
    ).stdout
    assert key.fingerprint == printed.split()[1]
    assert "laptop" not in repr(key)
    text = sign(path, b"content\n", "ours")
    found = signatures.parse(text.replace("\n", "\r\n"))
    assert (found.key, found.namespace) == (key, "ours")
    assert "".join(found.text.split()) == "".join(text.split())
    program.verify(b"content\n", found, key, "ours")
    for content, namespace, why in (
        (b"other\n", "ours", "not one of this content"),
        (b"content\n", "theirs", "is for 'ours'"),
    ):
        with pytest.raises(ValueError, match=why):
            program.verify(content, found, key, namespace)
    with pytest.raises(ValueError, match="the signature is by SHA256:"):
        program.verify(b"content\n", found, keys.parse(ED), "ours")


@pytest.mark.parametrize(
    "text",
    [
        ED,
        f"{ED} ada@laptop\n",
        rsa(3072),
        line("ecdsa-sha2-nistp256", NIST, b"\x04" + b"p" * 64),
        line("sk-ssh-ed25519@openssh.com", b"k" * 32, b"ssh:"),
        line("sk-ecdsa-sha2-nistp256@openssh.com", NIST, b"\x04" + b"p" * 64, b"ssh:"),
    ],
)
def test_the_kinds_that_are_taken(text):
    key = keys.parse(text)
    assert key.line == " ".join(text.split()[:2])
    assert key.fingerprint.startswith("SHA256:")


SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQ="
BAD = {
    "nothing": ("", "does not begin with a kind"),
    "options": (f'command="rm -rf /",namespaces="file" {ED}', "without options"),
    "a principal": (f"* {ED}", "does not begin with a kind"),
    "two lines": (f"{ED}\n* {ED}", "more than one"),
    "a carriage return": (f"{ED}\r* {ED}", "more than one"),
    "a line separator": (f"{ED} a\u2028* {ED}", "more than one"),
    "a private key": (
        f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}\n-----END OPENSSH PRIVATE KEY-----",
        "was not kept",
    ),
    "one of PEM": (f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}", "was not kept"),
    "one of PuTTY": (f"PuTTY-User-Key-File-3: ssh-ed25519\n{SECRET}", "was not kept"),
    "the inside of a private key": (f"b3BlbnNzaC1rZXktdjEAAAAA{SECRET}", "was not kept"),
    "one megabyte": ("ssh-ed25519 " + "A" * 2**20, "at most 6,000"),
    "no base64": (f"ssh-ed25519 {SECRET}!", "not base64"),
    "cut off": (ED[:-8], "cut off"),
    "going on": ("ssh-ed25519 " + base64.b64encode(wire(b"ssh-ed25519", b"k" * 32) + b"more").decode(), "goes on"),
    "another kind inside": (ED.replace("ssh-ed25519", "ssh-rsa", 1), "another kind"),
    "a short Ed25519": (line("ssh-ed25519", b"k" * 31), "32 bytes"),
    "a weak RSA": (rsa(2048), "2,048 bits"),
    "a huge RSA": (rsa(32768), "32,768 bits"),
    "an exponent of one": (rsa(3072, b"\x01"), "out of range"),
    "a negative modulus": (line("ssh-rsa", EXPONENT, b"\xff" * 384), "negative"),
    "a point of another curve": (line("ecdsa-sha2-nistp256", b"nistp384", b"\x04" + b"p" * 96), "does not fit"),
    "DSA": (line("ssh-dss", b"p"), "does not begin with a kind"),
    "a certificate": (line("ssh-ed25519-cert-v01@openssh.com", b"n" * 32, b"k" * 32), "does not begin with a kind"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_public_key_is_one_line_that_repeats_nothing(name):
    text, why = BAD[name]
    with pytest.raises(ValueError, match=re.escape(why)) as error:
        keys.parse(text)
    assert "\n" not in str(error.value)
    assert SECRET not in str(error.value)
    assert "rm -rf" not in str(error.value)
    assert len(str(error.value)) < 400


@needs_ssh
def test_what_is_no_signature_is_one_line(tmp_path):
    text = sign(make(tmp_path), b"content\n", "ours")
    lines = text.splitlines()
    body = base64.b64decode("".join(lines[1:-1]))

    def armoured(content):
        return f"{signatures.BEGIN}\n{base64.b64encode(content).decode()}\n{signatures.END}"

    for bad, why in (
        ("", "no signature"),
        ("x" * 10_001, "at most 10,000"),
        (text.replace("SIGNATURE", "MESSAGE"), "no signature"),
        ("\n".join(lines[:-1]), "cut off"),
        (text[: len(text) // 2], "cut off"),
        (armoured(body[:-1]), "cut off"),
        (armoured(body + b"x"), "goes on"),
        (armoured(b"SSHSIG\0\0\0\2" + body[10:]), "version"),
        (armoured(body.replace(b"sha512", b"md5512")), "hash"),
        (armoured(b"other" + body), "no signature of ssh-keygen"),
        (f"{signatures.BEGIN}\n{SECRET}!\n{signatures.END}", "not base64"),
        (f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}", "was not kept"),
    ):
        with pytest.raises(ValueError, match=why) as error:
            signatures.parse(bad)
        assert "\n" not in str(error.value)
        assert SECRET not in str(error.value)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200) | st.binary(max_size=120).map(lambda raw: f"ssh-ed25519 {base64.b64encode(raw).decode()}"))
def test_anything_else_is_refused_or_a_key_of_one_line(text):
    try:
        key = keys.parse(text)
    except ValueError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert len(key.line.split()) == 2


def test_without_ssh_keygen_nothing_is_believed(monkeypatch):
    monkeypatch.setattr(program.shutil, "which", lambda name: None)
    key = keys.parse(ED)
    with pytest.raises(program.NoProgramError, match="no signature is verified nor kept"):
        program.verify(b"x", signatures.Signature(key, "ours", "text"), key, "ours")
