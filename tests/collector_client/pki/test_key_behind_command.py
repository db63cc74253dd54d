"""A key behind a command: its answer is believed only when the signature fits; it can neither hang nor flood us."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from collector_client.pki import KeyFault
from collector_client.pki.files import key_pem, new_key
from collector_client.pki.keys.command import EXIT_CODES, CommandSigner
from collector_client.pki.keys.remote import RemoteKey

HOOK = Path(__file__).with_name("signing_hook.py")
ALGORITHM = ec.ECDSA(hashes.SHA256())


@pytest.fixture
def key(tmp_path: Path) -> ec.EllipticCurvePrivateKey:
    made = new_key()
    (tmp_path / "ca.pem").write_bytes(key_pem(made))
    return made


def signer(folder: Path, *faults: str, timeout_ms: int = 20_000) -> CommandSigner:
    return CommandSigner((sys.executable, str(HOOK), str(folder), *faults), "ca", timeout_ms)


def test_it_signs_and_is_handed_a_digest_and_a_name_only(tmp_path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    remote = RemoteKey(signer(tmp_path), key.public_key())
    key.public_key().verify(remote.sign(b"to be signed", ALGORITHM), b"to be signed", ALGORITHM)
    (asked,) = (tmp_path / "asked").read_text().splitlines()
    assert set(json.loads(asked)) == {"version", "operation", "key", "algorithm", "digest"}
    assert signer(tmp_path).public_key() == key.public_key()


@pytest.mark.parametrize("name", ["private_bytes", "private_numbers", "exchange"])
def test_the_private_key_cannot_be_had(tmp_path: Path, key: ec.EllipticCurvePrivateKey, name: str) -> None:
    remote = RemoteKey(signer(tmp_path), key.public_key())
    with pytest.raises(UnsupportedAlgorithm, match=r"only signs|stays"):
        getattr(remote, name)(*[None] * {"private_bytes": 3, "private_numbers": 0, "exchange": 2}[name])


def test_a_signature_over_something_else_never_leaves(tmp_path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    with pytest.raises(KeyFault, match="not of the certificate's key"):
        RemoteKey(signer(tmp_path, "lies"), key.public_key()).sign(b"x", ALGORITHM)


def test_a_signature_by_another_key_never_leaves(tmp_path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    with pytest.raises(KeyFault, match="not of the certificate's key"):
        RemoteKey(signer(tmp_path), new_key().public_key()).sign(b"x", ALGORITHM)


def test_a_command_that_hangs_is_ended_with_its_children(tmp_path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    with pytest.raises(KeyFault, match="no answer within 1500 ms"):
        signer(tmp_path, "hangs", timeout_ms=1500).sign_digest(bytes(32))


def test_a_command_that_floods_is_ended(tmp_path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    with pytest.raises(KeyFault, match="more than 16384 bytes"):
        signer(tmp_path, "talks").sign_digest(bytes(32))


@pytest.mark.parametrize("code", [*(code for code in EXIT_CODES if code < 126), 1])
def test_an_exit_code_is_named_and_its_words_are_shown_harmless(
    tmp_path: Path, key: ec.EllipticCurvePrivateKey, code: int
) -> None:
    with pytest.raises(KeyFault) as fault:
        signer(tmp_path, str(code)).sign_digest(bytes(32))
    assert f"exit code {code}" in str(fault.value)
    assert EXIT_CODES.get(code, "it failed") in str(fault.value)
    assert "no way" in str(fault.value)
    assert "\x1b" not in str(fault.value)


def test_what_is_no_answer_is_refused(tmp_path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    with pytest.raises(KeyFault, match='JSON with "signature"'):
        signer(tmp_path, "garbage").sign_digest(bytes(32))
    with pytest.raises(KeyFault, match="cannot be run"):
        CommandSigner(("/nonexistent/hook",), "ca", 1000).sign_digest(bytes(32))
