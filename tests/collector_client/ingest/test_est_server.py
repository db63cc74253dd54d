"""The EST server by the letter of RFC 7030 and of its clarification, RFC 8951: forms, types, statuses."""

from __future__ import annotations

import base64
import http.client
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from appliance.wire.enrollment import CACERTS_PATH, CSRATTRS_PATH, SIMPLEENROLL_PATH, EnrollmentToken
from tests.collector_client.harness import Collector
from tests.fakes.sensor import Answer, FakeSensor


@pytest.fixture
def box(collector: Collector) -> FakeSensor:
    made = collector.box()
    made.learn_ca()
    return made


def certificates(answer: Answer) -> list[x509.Certificate]:
    """Of an answer of EST in base64."""
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Transfer-Encoding"] == "base64"
    return pkcs7.load_der_pkcs7_certificates(base64.b64decode(answer.body))


def post(box: FakeSensor, token: str, body: bytes, **headers: str) -> Answer:
    """simpleenroll with these headers besides the token's."""
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    authorization = {"Authorization": EnrollmentToken.parse(token).authorization()}
    return box.request("POST", SIMPLEENROLL_PATH, body, authorization | said)


def test_cacerts_is_a_certs_only_message_with_the_root_in_it(collector: Collector, box: FakeSensor) -> None:
    """RFC 7030 section 4.1.3."""
    answer = box.request("GET", CACERTS_PATH)
    assert answer.headers["Content-Type"] == "application/pkcs7-mime"
    found = certificates(answer)
    assert found == x509.load_pem_x509_certificates(collector.authority.ca_pem())
    assert any(ca.subject == ca.issuer for ca in found)


def test_csrattrs_asks_for_a_p256_key_and_sha256(box: FakeSensor) -> None:
    """RFC 7030 section 4.5.2: CsrAttrs ::= SEQUENCE OF AttrOrOID, read here by hand."""
    answer = box.request("GET", CSRATTRS_PATH)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/csrattrs")
    der = base64.b64decode(answer.body)
    ec_public_key, p256, ecdsa_sha256 = (
        bytes.fromhex(oid) for oid in ("06072a8648ce3d0201", "06082a8648ce3d030107", "06082a8648ce3d040302")
    )
    attribute = ec_public_key + b"\x31" + bytes([len(p256)]) + p256
    content = b"\x30" + bytes([len(attribute)]) + attribute + ecdsa_sha256
    assert der == b"\x30" + bytes([len(content)]) + content


def test_an_answer_to_simpleenroll_holds_the_certificate_alone(collector: Collector, box: FakeSensor) -> None:
    """RFC 7030 section 4.2.3."""
    answer = post(box, collector.token(), box.csr(), Content_Type="application/pkcs10")
    assert answer.headers["Content-Type"] == "application/pkcs7-mime; smime-type=certs-only"
    (certificate,) = certificates(answer)
    assert certificate.public_key() == box.key.public_key()


def one_line(csr: bytes) -> bytes:
    return csr.replace(b"\n", b"")


def mime_lines(csr: bytes) -> bytes:
    return csr.replace(b"\n", b"\r\n")


def white_space_of_every_kind(csr: bytes) -> bytes:
    return b" \t\r\n" + b"\t \r\n".join(csr[at : at + 7] for at in range(0, len(csr), 7)) + b"\r\n\r\n"


@pytest.mark.parametrize("written", [one_line, mime_lines, white_space_of_every_kind])
def test_base64_is_taken_however_its_lines_are_broken(
    collector: Collector, box: FakeSensor, written: Callable[[bytes], bytes]
) -> None:
    """RFC 8951 section 3.2: receivers tolerate white space, senders need not make any."""
    certificates(post(box, collector.token(), written(box.csr()), Content_Type="application/pkcs10"))


@pytest.mark.parametrize("encoding", ["base64", "binary", "quoted-printable"])
def test_a_content_transfer_encoding_is_not_looked_at(collector: Collector, box: FakeSensor, encoding: str) -> None:
    """RFC 8951 section 3.1: it says nothing in HTTP; the payload is always base64."""
    headers = {"Content_Type": "application/pkcs10", "Content_Transfer_Encoding": encoding}
    certificates(post(box, collector.token(), box.csr(), **headers))


def test_a_chunked_request_is_taken(collector: Collector, box: FakeSensor) -> None:
    csr, token = box.csr(), EnrollmentToken.parse(collector.token())
    connection = http.client.HTTPSConnection(box.host, box.port, timeout=30, context=box.context())
    try:
        pieces = (csr[at : at + 100] for at in range(0, len(csr), 100))
        headers = {"Authorization": token.authorization(), "Content-Type": "application/pkcs10"}
        connection.request("POST", SIMPLEENROLL_PATH, pieces, headers, encode_chunked=True)
        answer = connection.getresponse()
        certificates(Answer(answer.status, answer.headers, answer.read()))
    finally:
        connection.close()


def test_der_without_base64_is_refused_by_name(collector: Collector, box: FakeSensor) -> None:
    """RFC 8951 section 3: there is no binary form."""
    answer = post(box, collector.token(), base64.b64decode(box.csr()), Content_Type="application/pkcs10")
    assert (answer.status, answer.code) == (400, "REQUEST_INVALID")


def test_a_challenge_for_a_password_goes_with_every_401(box: FakeSensor) -> None:
    """RFC 7030 section 3.2.3, RFC 9110 section 15.5.2."""
    for headers in (
        {},
        {"Authorization": "Bearer x"},
        {"Authorization": EnrollmentToken("t-" + "a" * 12, "x" * 43).authorization()},
    ):
        answer = box.request("POST", SIMPLEENROLL_PATH, box.csr(), headers)
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == 'Basic realm="vedette"'


@pytest.mark.parametrize("operation", ["fullcmc", "serverkeygen", "label/simpleenroll", "simpleenroll/"])
def test_what_the_server_does_not_offer_is_not_found(box: FakeSensor, operation: str) -> None:
    """RFC 7030 sections 4.3 and 4.4 are optional, and so are labels (section 3.2.2)."""
    answer = box.request("POST", f"/.well-known/est/{operation}", b"")
    assert (answer.status, answer.code) == (404, "PATH")


@pytest.mark.parametrize(
    ("method", "path", "allowed"), [("GET", SIMPLEENROLL_PATH, "POST"), ("POST", CACERTS_PATH, "GET")]
)
def test_a_wrong_method_is_told_the_right_one(box: FakeSensor, method: str, path: str, allowed: str) -> None:
    """RFC 9110 section 15.5.6: 405 comes with Allow."""
    answer = box.request(method, path)
    assert (answer.status, answer.headers["Allow"]) == (405, allowed)


def test_a_refusal_is_something_that_a_person_can_read(collector: Collector, box: FakeSensor) -> None:
    """RFC 7030 section 4.2.3: an error carries why, in whatever type it names."""
    answer = post(box, collector.token(), b"rubbish", Content_Type="application/pkcs10")
    assert answer.headers.get_content_type() == "application/json"
    refusal = answer.refusal
    assert (refusal.came, refusal.allowed) == ("no base64", "base64 of DER")
    assert refusal.do


def test_the_issued_certificate_leads_to_the_root_of_cacerts(collector: Collector, box: FakeSensor) -> None:
    """RFC 7030 section 4.1.3: with what cacerts gives, a client can build the chain."""
    (leaf,) = certificates(post(box, collector.token(), box.csr()))
    root, issuing = certificates(box.request("GET", CACERTS_PATH))
    leaf.verify_directly_issued_by(issuing)
    issuing.verify_directly_issued_by(root)
    assert leaf.public_bytes(Encoding.DER) == collector.control("SELECT certificate FROM sensors")[0][0]
