"""The authority's files are private and whole, and its certificates are what strict verifiers take."""

from __future__ import annotations

import ssl
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from collector_client.errors import OperatorError
from collector_client.pki import Authority

NOW_NS = 1_800_000_000 * 10**9
DAY_NS = 86_400 * 10**9
NAMES = ["collector.example.net", "192.0.2.1", "2001:db8::1"]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "pki", NAMES, NOW_NS)


def test_files_are_for_the_owner_alone(authority: Authority, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "pki").stat().st_mode) == 0o700
    files = sorted((tmp_path / "pki").iterdir())
    assert [path.name for path in files] == ["issuing.key", "issuing.pem", "root.key", "root.pem", "server.pem"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_an_existing_folder_is_never_overwritten(authority: Authority, tmp_path: Path) -> None:
    before = (tmp_path / "pki" / "root.pem").read_bytes()
    with pytest.raises(OperatorError, match="exists already"):
        Authority.create(tmp_path / "pki", NAMES, NOW_NS)
    assert (tmp_path / "pki" / "root.pem").read_bytes() == before


@pytest.mark.parametrize("name", ["issuing.key", "root.pem", "issuing.pem"])
def test_a_file_that_others_can_read_is_refused(authority: Authority, tmp_path: Path, name: str) -> None:
    (tmp_path / "pki" / name).chmod(0o640)
    with pytest.raises(OperatorError, match="0600 was allowed"):
        Authority.open(tmp_path / "pki")


@pytest.mark.parametrize("name", ["issuing.key", "root.pem", "issuing.pem"])
@pytest.mark.parametrize("data", [None, b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_missing_or_damaged_file_is_named(
    authority: Authority, tmp_path: Path, name: str, data: bytes | None
) -> None:
    path = tmp_path / "pki" / name
    path.unlink() if data is None else path.write_bytes(data)
    with pytest.raises(OperatorError, match=name):
        Authority.open(tmp_path / "pki")


def test_the_key_of_another_authority_is_refused(authority: Authority, tmp_path: Path) -> None:
    Authority.create(tmp_path / "other", NAMES, NOW_NS)
    (tmp_path / "pki" / "issuing.key").write_bytes((tmp_path / "other" / "issuing.key").read_bytes())
    with pytest.raises(OperatorError, match="not the key"):
        Authority.open(tmp_path / "pki")


def test_openssl_takes_both_chains_by_its_strict_rules(authority: Authority, tmp_path: Path) -> None:
    made = authority.issue_sensor(ec.generate_private_key(ec.SECP256R1()).public_key(), NOW_NS, 30)
    (tmp_path / "sensor.pem").write_bytes(x509.load_der_x509_certificate(made.der).public_bytes(Encoding.PEM))
    pki = tmp_path / "pki"
    for leaf, purpose in ((tmp_path / "sensor.pem", "sslclient"), (pki / "server.pem", "sslserver")):
        check = ["openssl", "verify", "-x509_strict", "-attime", str(NOW_NS // 10**9), "-purpose", purpose]
        done = subprocess.run(
            [*check, "-CAfile", pki / "root.pem", "-untrusted", pki / "issuing.pem", leaf],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_sensor_certificate_says_key_and_assurance_and_nothing_the_sensor_chose(authority: Authority) -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    made = authority.issue_sensor(key, NOW_NS, 30)
    certificate = x509.load_der_x509_certificate(made.der)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [
        f"urn:vedette:sensor:{made.sensor_id}",
        "urn:vedette:assurance:software",
    ]
    assert certificate.subject.rfc4514_string() == f"CN={made.sensor_id}"
    assert certificate.public_key() == key
    assert made.not_after_ns == NOW_NS + 30 * DAY_NS


def test_a_certificate_never_outlives_its_authority(authority: Authority) -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    made = authority.issue_sensor(key, NOW_NS + 3640 * DAY_NS, 30)
    assert made.not_after_ns == NOW_NS + 3650 * DAY_NS


def test_the_server_certificate_is_renewed_for_age_and_for_names_only(authority: Authority, tmp_path: Path) -> None:
    assert not authority.renew_server([name.upper() for name in NAMES], NOW_NS + 200 * DAY_NS)
    assert authority.renew_server(NAMES, NOW_NS + 300 * DAY_NS)
    assert not authority.renew_server(NAMES, NOW_NS + 300 * DAY_NS)
    assert authority.renew_server([*NAMES, "new.example.net"], NOW_NS + 300 * DAY_NS)
    authority.load_server(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))


@pytest.mark.parametrize("name", ["", "a..b", "-a", "a b", "a/b", "é.example", "x" * 64, "*.example.net"])
def test_what_is_no_host_name_is_refused_before_anything_is_made(tmp_path: Path, name: str) -> None:
    with pytest.raises(OperatorError, match="DNS name or an IP address"):
        Authority.create(tmp_path / "pki", [name], NOW_NS)
    assert not (tmp_path / "pki").exists()


def test_the_pin_is_what_openssl_says_of_the_root_key(authority: Authority, tmp_path: Path) -> None:
    root = tmp_path / "pki" / "root.pem"
    spki = subprocess.run(  # noqa: S602
        f"openssl x509 -in {root} -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )
    assert spki.stdout.split()[0] == authority.pin


def test_hashes_used_are_sha256(authority: Authority, tmp_path: Path) -> None:
    for name in ("root.pem", "issuing.pem", "server.pem"):
        certificate = x509.load_pem_x509_certificates((tmp_path / "pki" / name).read_bytes())[0]
        assert isinstance(certificate.signature_hash_algorithm, hashes.SHA256)
