"""The key file: made once, for its owner only, and refused when it may have been copied."""

from __future__ import annotations

import hashlib
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from appliance.enroll.csr import certificate_request
from appliance.identity import KeyExposedError, KeyFileError, SoftKey
from appliance.wire.enrollment import sensor_id


def test_the_key_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "identity" / "key.pem"
    old = os.umask(0)
    try:
        first = SoftKey.load_or_create(path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert SoftKey.load_or_create(path).spki_der() == first.spki_der()
    assert [p.name for p in path.parent.iterdir()] == ["key.pem"]


def test_two_at_once_get_the_same_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: SoftKey.load_or_create(tmp_path / "key.pem").spki_der(), range(8)))
    assert len(set(keys)) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666, 0o644, 0o610])
def test_a_key_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key.pem"
    SoftKey.load_or_create(path)
    path.chmod(mode)
    with pytest.raises(KeyExposedError, match=f"mode {mode:04o} came, 0600 was allowed") as refused:
        SoftKey.load_or_create(path)
    assert "enroll again" in refused.value.advice


@pytest.mark.root
def test_a_key_of_another_user_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    SoftKey.load_or_create(path)
    os.chown(path, 65534, -1)
    with pytest.raises(KeyExposedError, match="belongs to user 65534"):
        SoftKey.load(path)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    SoftKey.load_or_create(tmp_path / "elsewhere.pem")
    (tmp_path / "key.pem").symlink_to(tmp_path / "elsewhere.pem")
    with pytest.raises(KeyFileError, match="cannot read the key"):
        SoftKey.load_or_create(tmp_path / "key.pem")


def other_key(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a private key in PEM"),
        (b"\xff\x00" * 100, "not a private key in PEM"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "not a private key in PEM"),
        (other_key(ec.generate_private_key(ec.SECP384R1())), "not a P-256 key"),
        (other_key(ed25519.Ed25519PrivateKey.generate()), "not a P-256 key"),
    ],
)
def test_a_file_that_holds_no_p256_key_is_refused_and_left_alone(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match=said):
        SoftKey.load_or_create(path)
    assert path.read_bytes() == content


def test_what_the_key_signs_its_public_half_verifies(tmp_path: Path) -> None:
    signer = SoftKey.load_or_create(tmp_path / "key.pem")
    digest = hashlib.sha256(b"batch").digest()
    signer.public_key.verify(signer.sign_digest(digest), digest, ec.ECDSA(Prehashed(hashes.SHA256())))
    request = x509.load_der_x509_csr(certificate_request(signer))
    assert request.is_signature_valid
    assert request.subject.rfc4514_string() == f"CN={sensor_id(signer.spki_der())}"
    assert signer.assurance == "software"
