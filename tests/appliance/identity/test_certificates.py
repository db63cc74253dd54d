"""Certificates: how much life is left, whose they are, and that no bytes break the parsers otherwise than by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from appliance.identity import (
    CertificateExpiredError,
    CertificateInvalidError,
    IdentityFolder,
    Life,
    NotEnrolledError,
    SoftKey,
)
from appliance.identity.certificates import (
    chain_to,
    parse_certs_only,
    parse_pem,
    pinned_root,
    sensor_certificate,
)
from tests.fakes.pki import Authority, pem

DAY_NS = 86_400_000_000_000


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def test_a_new_certificate_is_due_after_two_thirds_of_its_life() -> None:
    life = Life(0, 30 * DAY_NS)
    assert [life.state(day * DAY_NS) for day in (-1, 0, 19, 20, 30, 31)] == [
        "not yet valid",
        "valid",
        "valid",
        "renew",
        "renew",
        "expired",
    ]


def test_an_expired_certificate_is_named_with_both_dates() -> None:
    life = Life(0, 30 * DAY_NS)
    life.check(30 * DAY_NS)
    with pytest.raises(CertificateExpiredError, match=r"expired on 1970-01-31.*now is 1970-02-01") as late:
        life.check(31 * DAY_NS)
    assert "new token" in late.value.advice
    with pytest.raises(CertificateExpiredError, match="valid from 1970-01-01") as early:
        life.check(-DAY_NS)
    assert "set the clock" in early.value.advice


def test_a_certificate_names_one_sensor(authority: Authority) -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    found = sensor_certificate(authority.sensor(key))
    assert found.sensor_id.startswith("s-")
    assert found.assurance == "software"
    first = "s-aaaaaaaaaaaaaaaaaaaa"
    assert sensor_certificate(authority.sensor(key, name=first)).sensor_id == first
    for name in ("s-1", first + "\n", "demo"):
        with pytest.raises(CertificateInvalidError, match="one sensor was allowed"):
            sensor_certificate(authority.sensor(key, name=name))
    with pytest.raises(CertificateInvalidError, match="names no sensor"):
        sensor_certificate(authority.issuing)


def test_a_chain_leads_to_the_pinned_root_or_nowhere(authority: Authority) -> None:
    other = Authority("Other")
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    leaf = authority.sensor(key)
    assert pinned_root([other.root, authority.issuing, authority.root], authority.pin) == authority.root
    assert pinned_root([other.root, authority.issuing], authority.pin) is None
    assert chain_to(authority.root, leaf, [other.issuing, authority.issuing]) == [leaf, authority.issuing]
    assert chain_to(authority.root, leaf, [other.issuing]) is None
    assert chain_to(authority.root, other.sensor(key), [other.issuing, authority.issuing]) is None
    assert chain_to(authority.root, other.root, [other.root]) is None


def test_a_sensors_certificate_cannot_act_as_a_ca(authority: Authority) -> None:
    """The attack: an enrolled sensor issues certificates with its own key."""
    rogue = Authority("Rogue")
    rogue.issuing = authority.sensor(rogue.issuing_key.public_key())
    forged = rogue.sensor(ec.generate_private_key(ec.SECP256R1()).public_key())
    assert chain_to(authority.root, forged, [rogue.issuing, authority.issuing]) is None


@given(st.binary(max_size=200))
def test_no_bytes_break_the_parsers(data: bytes) -> None:
    with pytest.raises(CertificateInvalidError):
        parse_certs_only("answer", data)
    with pytest.raises(CertificateInvalidError):
        parse_pem("file", b"-----BEGIN CERTIFICATE-----\n" + data)


def enrolled(folder: Path, authority: Authority) -> IdentityFolder:
    identity = IdentityFolder(folder / "identity")
    key = SoftKey.load_or_create(identity.key_path)
    identity.write(
        ca_pem=pem(authority.root, authority.issuing),
        certificate_pem=pem(authority.sensor(key.public_key), authority.issuing),
    )
    return identity


def test_an_identity_is_what_key_certificate_and_ca_say_together(tmp_path: Path, authority: Authority) -> None:
    identity = enrolled(tmp_path, authority)
    assert identity.load().certificate.assurance == "software"
    identity.load().context()


def test_a_certificate_of_another_key_is_refused(tmp_path: Path, authority: Authority) -> None:
    identity = enrolled(tmp_path, authority)
    identity.key_path.unlink()
    SoftKey.load_or_create(identity.key_path)
    with pytest.raises(CertificateInvalidError, match="belongs to another key"):
        identity.load()


def test_without_a_certificate_the_sensor_is_not_enrolled(tmp_path: Path, authority: Authority) -> None:
    identity = enrolled(tmp_path, authority)
    identity.certificate_path.unlink()
    with pytest.raises(NotEnrolledError) as refused:
        identity.load()
    assert refused.value.advice == "enroll first: vedette enroll"


@pytest.mark.parametrize("name", ["ca_path", "certificate_path"])
@pytest.mark.parametrize("content", [b"", b"junk", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_spoiled_file_is_refused_by_name(tmp_path: Path, authority: Authority, name: str, content: bytes) -> None:
    identity = enrolled(tmp_path, authority)
    path = getattr(identity, name)
    path.write_bytes(content)
    with pytest.raises(CertificateInvalidError, match=path.name):
        identity.load()
