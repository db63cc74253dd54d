"""Answers as EST servers that are not ours give them: each is understood, or refused by one name."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from appliance.enroll import EnrollmentPendingError, EnrollmentRefusedError, IssuedWrongError, TokenUnknownError
from appliance.enroll.csr import certificate_request, renewal_request
from appliance.enroll.exchange import Exchange
from appliance.enroll.refused import refused
from appliance.enroll.schedule import RETRY_MOST_S, Schedule
from appliance.enroll.steps import Issued, Step
from appliance.errors import ApplianceError
from appliance.identity import Answer, Life, SoftKey
from appliance.wire.codes import SessionCode
from appliance.wire.enrollment import EnrollmentToken
from appliance.wire.session import Refusal
from tests.fakes.pki import NOW, Authority

NOW_NS = int(NOW.timestamp()) * 10**9
AUTHORITY = Authority()


def soft() -> SoftKey:
    """A key that is on no disk."""
    return SoftKey(Path("nowhere"), ec.generate_private_key(ec.SECP256R1()))


KEY = soft()


def exchange() -> Exchange:
    token = EnrollmentToken("t-" + "a" * 12, "x" * 43)
    csr = certificate_request(KEY)
    return Exchange("est", pin=AUTHORITY.pin, token=token, spki=KEY.spki_der(), csr_der=csr)


def certs_only(*certificates: x509.Certificate) -> bytes:
    return pkcs7.serialize_certificates(list(certificates), Encoding.DER)


def answer(body: bytes, status: int = 200, **headers: str) -> Answer:
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def at_certificate() -> Exchange:
    """The CA came and has the pin."""
    made = exchange()
    made.answered(answer(base64.encodebytes(certs_only(AUTHORITY.root, AUTHORITY.issuing))), NOW_NS)
    assert made.step is Step.CERTIFICATE
    return made


LEAF = AUTHORITY.sensor(KEY.public_key)
OTHER = AUTHORITY.sensor(ec.generate_private_key(ec.SECP256R1()).public_key())


@pytest.mark.parametrize(
    "coded", [base64.b64encode, base64.encodebytes, lambda der: base64.encodebytes(der).replace(b"\n", b"\r\n\t ")]
)
@pytest.mark.parametrize(
    "certificates",
    [(LEAF,), (LEAF, AUTHORITY.issuing), (AUTHORITY.root, AUTHORITY.issuing, LEAF), (OTHER, LEAF)],
    ids=["alone", "with its issuer", "last of the chain", "behind a stranger's"],
)
def test_a_certificate_is_found_however_it_is_wrapped(coded: object, certificates: tuple[x509.Certificate]) -> None:
    made = at_certificate()
    made.answered(answer(coded(certs_only(*certificates))), NOW_NS)  # type: ignore[operator]
    needs = made.needs()
    assert isinstance(needs, Issued)
    assert x509.load_pem_x509_certificates(needs.certificate_pem)[0] == LEAF


@pytest.mark.parametrize(
    "body", [certs_only(LEAF), b"", b"-----BEGIN PKCS7-----", base64.b64encode(b"\x30\x00"), b"<html>"]
)
def test_an_answer_of_another_form_is_refused(body: bytes) -> None:
    with pytest.raises(IssuedWrongError):
        at_certificate().answered(answer(body), NOW_NS)


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"retry_after": "120"}, 120),
        ({}, None),
        ({"retry_after": "Fri, 31 Dec 1999 23:59:59 GMT"}, None),
        ({"retry_after": "-1"}, None),
        ({"retry_after": "9" * 40}, None),
    ],
)
def test_202_means_later_and_the_same_request_again(headers: dict[str, str], wait_s: int | None) -> None:
    made = at_certificate()
    with pytest.raises(EnrollmentPendingError) as pending:
        made.answered(answer(b"", 202, **headers), NOW_NS)
    assert pending.value.retry_after_s == wait_s
    assert (f"in {wait_s} s" if wait_s else "later") in pending.value.advice
    assert made.step is Step.CERTIFICATE
    made.answered(answer(base64.b64encode(certs_only(LEAF))), NOW_NS)
    assert made.step is Step.ISSUED


@pytest.mark.parametrize(
    ("status", "named", "says"),
    [
        (401, TokenUnknownError, "takes neither the token"),
        (404, EnrollmentRefusedError, "HTTP status 404 came"),
        (500, EnrollmentRefusedError, "HTTP status 500 came"),
        (301, EnrollmentRefusedError, "HTTP status 301 came"),
    ],
)
def test_a_refusal_in_plain_text_is_named_by_its_status(status: int, named: type[ApplianceError], says: str) -> None:
    error = refused("est", answer(b"Error: no\n", status))
    assert type(error) is named
    assert says in str(error)
    assert error.advice


def test_the_time_of_a_refusal_with_a_code_is_kept() -> None:
    code = SessionCode.ENROLLMENT_RATE
    said = Refusal(code.status, str(code), "came", "allowed", "do", 17)
    error = refused("est", answer(said.to_json(), code.status, **{"retry-after": "17"}))
    assert isinstance(error, EnrollmentRefusedError)
    assert (error.code, error.retry_after_s) == (code, 17)


@pytest.mark.parametrize(("told_s", "wait_s"), [(0.0, 60.0), (900.0, 900.0), (1e9, RETRY_MOST_S)])
def test_a_renewal_waits_as_long_as_it_was_told_within_reason(told_s: float, wait_s: float) -> None:
    schedule = Schedule(Life(0, 10**18), now_s=0.0, chance=0.0, unfinished=True)
    assert schedule.next(1, 0.0) == 0
    schedule.begin()
    schedule.failed("told", "", now_s=0.0, chance=1.0, least_s=told_s)
    assert schedule.next(1, wait_s - 0.5) > 0
    assert schedule.next(1, wait_s) == 0


def test_a_renewal_asks_in_the_name_of_the_certificate_in_force() -> None:
    """RFC 7030 section 4.2.2: subject and SubjectAltName are the certificate's own, whatever the key."""
    fresh = soft()
    request = x509.load_der_x509_csr(renewal_request(fresh, LEAF))
    names = [found.extensions.get_extension_for_class(x509.SubjectAlternativeName) for found in (request, LEAF)]
    assert names[0] == names[1]
    assert request.subject == LEAF.subject
    assert request.is_signature_valid
    assert request.public_key() == fresh.public_key


def test_a_certificate_without_alternative_names_is_asked_for_without() -> None:
    request = x509.load_der_x509_csr(renewal_request(KEY, AUTHORITY.issuing))
    assert request.subject == AUTHORITY.issuing.subject
    assert len(request.extensions) == 0
