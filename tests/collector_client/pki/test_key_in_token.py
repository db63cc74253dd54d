"""A key in a PKCS#11 token (a real SoftHSM2): it signs, cannot be read out, and each way to fail has its name."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from collector_client.errors import OperatorError
from collector_client.pki import Authority, KeyFault, KeyPlaces, rollover
from collector_client.pki.chains import load_chains
from collector_client.pki.files import new_key
from collector_client.pki.keys.remote import RemoteKey
from collector_client.pki.keys.token import TokenSigner, token_signer
from collector_client.pki.keys.uri import parse_token_place
from tests.fakes import softhsm

pytestmark = pytest.mark.softhsm
ALGORITHM = ec.ECDSA(hashes.SHA256())
NOW_NS = 1_800_000_000 * 10**9
_COUNT = itertools.count()


@pytest.fixture
def token() -> str:
    label = f"vedette-{os.getpid()}-{next(_COUNT)}"
    softhsm.make_token(label)
    return label


def signer(token: str, pin: str = softhsm.PIN, label: str = "ca") -> TokenSigner:
    return token_signer(parse_token_place(softhsm.uri(token)), label, {softhsm.PIN_VARIABLE: pin})


def test_a_key_made_in_the_token_signs_and_cannot_be_read_out(token: str) -> None:
    import pkcs11

    made = signer(token)
    public = made.make()
    assert made.make() == public, "a second time finds it"
    signature = RemoteKey(made, public).sign(b"data", ALGORITHM)
    public.verify(signature, b"data", ALGORITHM)
    made.close()
    made._open(writing=False)
    private = made._private()
    assert (private[pkcs11.Attribute.EXTRACTABLE], private[pkcs11.Attribute.SENSITIVE]) == (False, True)
    with pytest.raises(pkcs11.PKCS11Error):
        private[pkcs11.Attribute.VALUE]
    made.close()


def test_a_wrong_pin_is_named_and_tried_once_only(token: str) -> None:
    signer(token).make()
    wrong = signer(token, "00000000")
    with pytest.raises(KeyFault, match="the PIN is wrong"):
        wrong.sign_digest(bytes(32))
    with pytest.raises(KeyFault, match="not tried again") as fault:
        wrong.sign_digest(bytes(32))
    assert "00000000" not in f"{fault.value}{fault.value.advice}{wrong!r}"


def test_a_token_that_goes_mid_way_is_named_and_is_used_again_when_it_is_back(token: str) -> None:
    made = signer(token)
    public = made.make()
    RemoteKey(made, public).sign(b"before", ALGORITHM)
    softhsm.remove_token(token)
    with pytest.raises(KeyFault, match="no token of this label"):
        made.sign_digest(bytes(32))
    softhsm.make_token(token)
    with pytest.raises(KeyFault, match="no key of this label"):
        made.sign_digest(bytes(32))
    again = made.make()
    RemoteKey(made, again).sign(b"after", ALGORITHM)
    with pytest.raises(KeyFault, match="not of the certificate's key"):
        RemoteKey(made, public).sign(b"after", ALGORITHM)


def test_the_key_of_another_certificate_signs_nothing(token: str) -> None:
    made = signer(token)
    made.make()
    with pytest.raises(KeyFault, match="not of the certificate's key"):
        RemoteKey(made, new_key().public_key()).sign(b"x", ALGORITHM)


def test_an_absent_token_module_or_pin_is_named(token: str, tmp_path: Path) -> None:
    with pytest.raises(KeyFault, match="no token of this label"):
        signer("another").sign_digest(bytes(32))
    with pytest.raises(KeyFault, match=softhsm.PIN_VARIABLE):
        signer(token, "").sign_digest(bytes(32))
    place = parse_token_place(f"pkcs11:token=x?module-path={tmp_path}/none.so&pin-source=env:{softhsm.PIN_VARIABLE}")
    with pytest.raises(KeyFault):
        token_signer(place, "ca", {softhsm.PIN_VARIABLE: "1"}).sign_digest(bytes(32))


def test_a_pin_file_that_others_can_read_is_refused(token: str, tmp_path: Path) -> None:
    path = tmp_path / "pin"
    path.write_text(softhsm.PIN + "\n")
    path.chmod(0o600)
    made = token_signer(parse_token_place(softhsm.uri(token, f"file:{path}")), "ca", {})
    made.make()
    path.chmod(0o644)
    with pytest.raises(KeyFault, match="0600 was allowed"):
        made.sign_digest(bytes(32))


def test_an_issuing_ca_moves_into_a_token_and_issues_from_there(token: str, tmp_path: Path) -> None:
    Authority.create(tmp_path / "pki", ["localhost"], NOW_NS)
    places = KeyPlaces(pkcs11_uri=softhsm.uri(token), environment={softhsm.PIN_VARIABLE: softhsm.PIN})
    authority = Authority.open(tmp_path / "pki", places)
    entry, request = rollover.request(tmp_path / "pki", "pkcs11", "", places)
    assert (entry.name, entry.key, entry.key_id) == ("issuing-2", "pkcs11", "vedette-issuing-2")
    made = rollover.sign(tmp_path / "pki", request, NOW_NS)
    rollover.install(tmp_path / "pki", [made], NOW_NS)
    assert authority.local
    assert authority.refresh()
    assert not authority.local
    sensor = x509.load_der_x509_certificate(authority.issue_sensor(new_key().public_key(), NOW_NS, 30).der)
    sensor.verify_directly_issued_by(made)
    assert authority.renew_server([], NOW_NS)
    assert not (tmp_path / "pki" / "issuing-2.key").exists()
    with pytest.raises(OperatorError, match="pkcs11_uri is empty"):
        Authority.open(tmp_path / "pki")
    # Without the token everything that needs no signature goes on.
    softhsm.remove_token(token)
    opened = Authority.open(tmp_path / "pki", places)
    assert opened.chains == load_chains(tmp_path / "pki")
    with pytest.raises(KeyFault):
        opened.issue_sensor(new_key().public_key(), NOW_NS, 30)
