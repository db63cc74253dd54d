"""A sensor as the collector meets it: a key, a TLS client, batches of real SNML, and the freedom to misbehave.

It speaks the real interface over real TLS; what it says is whatever a test tells it to say.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import http.client
import json
import ssl
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import zstandard
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs7,
)

from appliance.wire import session, snml
from appliance.wire.enrollment import (
    CACERTS_PATH,
    RECOVER_PATH,
    SIMPLEENROLL_PATH,
    SIMPLEREENROLL_PATH,
    EnrollmentToken,
    RecoveryRequest,
    ca_pin,
    encode_base64,
    sensor_id,
)
from appliance.wire.session import BatchHeader, Loss, Receipt, Refusal

NOON_NS = 1_700_000_000 * 10**9
SENSOR = snml.Sensor(snml.Encoding.BASE64, snml.Detail.FULL, "box", "192.0.2.9", 4, "eth1")


@dataclass(frozen=True)
class Answer:
    """What the collector answered."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def receipt(self) -> Receipt:
        """The answer as a receipt; fails when it is none."""
        assert self.status == 200, self.body
        return Receipt.from_json(self.body)

    @property
    def refusal(self) -> Refusal:
        """The answer as a refusal; fails when it is none."""
        return Refusal.from_answer(self.status, dict(self.headers.items()), self.body)

    @property
    def code(self) -> str:
        """The refusal's code without its number."""
        return self.refusal.code.split(" ")[1]


def event(seq: int, *, epoch: int = 7, text: str = "probe", at_ns: int = NOON_NS) -> snml.Event:
    """A small event with that number."""
    header = snml.IpHeader("192.0.2.1", "198.51.100.2", 17, l4=snml.UdpHeader(53, 4000 + seq % 1000), data=b"\x00\x01")
    return snml.Event(
        snml.Signature(text, 1000, 1, "trojan-activity", 1),
        (),
        at_ns + seq * 1000,
        header,
        (snml.Sequence(epoch, seq), snml.Rule(1, 1000, 1)),
    )


def document(events: list[snml.Event]) -> bytes:
    """Events as one SNML message."""
    return snml.encode_message(snml.Message(SENSOR, tuple(events)))


def pack(body: bytes, encoding: session.ContentEncoding) -> bytes:
    """A document as it travels."""
    if encoding == "gzip":
        return gzip.compress(body)
    return zstandard.compress(body) if encoding == "zstd" else body


def key_id(key: ec.EllipticCurvePrivateKey) -> str:
    """The name that a key gives."""
    return sensor_id(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


class FakeSensor:
    """One box: its name is its first key's, its certificate and its connection may change."""

    def __init__(self, address: str, key: ec.EllipticCurvePrivateKey | None = None) -> None:
        self.host, _, port = address.rpartition(":")
        self.port = int(port)
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.sensor_id = key_id(self.key)
        self.certificate: bytes | None = None
        self.ca_pem = b""
        self.run = ""
        self.source = ""
        self._connection: http.client.HTTPSConnection | None = None

    def csr(self, key: Any = None) -> bytes:
        """A certificate request, base64."""
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "whatever the box likes")])
        request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key or self.key, hashes.SHA256())
        return encode_base64(request.public_bytes(Encoding.DER))

    def learn_ca(self) -> str:
        """Fetch the CA without trust; returns its pin."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        answer = self.request("GET", CACERTS_PATH, context=context)
        assert answer.status == 200
        certificates = pkcs7.load_der_pkcs7_certificates(_unbase64(answer.body))
        self.ca_pem = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)
        root = next(certificate for certificate in certificates if certificate.subject == certificate.issuer)
        return ca_pin(root.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    def enroll(self, token: str, csr: bytes | None = None) -> Answer:
        """Ask for a certificate with a token, and keep it."""
        self.learn_ca()
        headers = {"Authorization": EnrollmentToken.parse(token).authorization(), "Content-Type": "application/pkcs10"}
        self.certificate = None
        return self._keep(self.request("POST", SIMPLEENROLL_PATH, csr or self.csr(), headers))

    def renew(self, csr: bytes | None = None) -> Answer:
        """Ask for a later certificate with the one at hand, and keep it."""
        headers = {"Content-Type": "application/pkcs10"}
        return self._keep(self.request("POST", SIMPLEREENROLL_PATH, csr or self.csr(), headers))

    def renew_key(self) -> Answer:
        """Ask for a certificate for a new key, and use both when they come."""
        fresh = ec.generate_private_key(ec.SECP256R1())
        answer = self.renew(self.csr(fresh))
        if answer.status == 200:
            self.key = fresh
        return answer

    def recovery(self, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey | None = None) -> bytes:
        """A recovery request for `key`, signed by the present key or by another."""
        asked = RecoveryRequest(self.sensor_id, key_id(self.key), base64.b64decode(self.csr(key)))
        proof = (signer or self.key).sign(asked.statement(), ec.ECDSA(hashes.SHA256()))
        return replace(asked, proof_der=proof).to_json()

    def recover(self, body: bytes | None = None) -> Answer:
        """Ask for a certificate for a new key over TLS without a client certificate, and use both when they come."""
        fresh = ec.generate_private_key(ec.SECP256R1())
        self.disconnect()
        self.certificate = None
        answer = self._keep(self.request("POST", RECOVER_PATH, body or self.recovery(fresh)))
        if answer.status == 200 and body is None:
            self.key = fresh
        return answer

    def _keep(self, answer: Answer) -> Answer:
        if answer.status == 200:
            (certificate,) = pkcs7.load_der_pkcs7_certificates(_unbase64(answer.body))
            self.certificate = certificate.public_bytes(Encoding.DER)
            self.disconnect()
        return answer

    def context(self) -> ssl.SSLContext:
        """TLS 1.3 that trusts the learnt CA and shows the certificate, if there is one."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_verify_locations(cadata=self.ca_pem.decode())
        if self.certificate is not None:
            key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            certificate = x509.load_der_x509_certificate(self.certificate).public_bytes(Encoding.PEM)
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "chain.pem"
                path.write_bytes(key + certificate)
                context.load_cert_chain(path)
        return context

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        context: ssl.SSLContext | None = None,
    ) -> Answer:
        """One request on the kept connection, or on one of its own with another TLS context.

        A kept connection that turns out to have been closed is opened anew, once, as a box does.
        """
        connection = self._connection
        if context is not None or connection is None:
            connection = http.client.HTTPSConnection(
                self.host,
                self.port,
                timeout=30,
                context=context or self.context(),
                source_address=(self.source, 0) if self.source else None,
            )
        try:
            said = {session.RUN_HEADER: self.run} if self.run else {}
            connection.request(method, path, body, said | (headers or {}))
            answer = connection.getresponse()
            got = Answer(answer.status, answer.headers, answer.read())
        except BaseException as error:
            connection.close()
            kept, self._connection = connection is self._connection, None
            if kept and isinstance(error, ConnectionError | ssl.SSLEOFError):
                return self.request(method, path, body, headers)
            raise
        if context is None and not answer.will_close:
            self._connection = connection
        else:
            connection.close()
            self._connection = None if context is None else self._connection
        return got

    def wait_until_closed(self) -> bytes:
        """What still comes on the kept connection until the other side closes it; a reset counts as an end."""
        assert self._connection is not None
        said = b""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while piece := self._connection.sock.recv(65_536):
                said += piece
        self.disconnect()
        return said

    def disconnect(self) -> None:
        """Close the kept connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def send(
        self,
        events: list[snml.Event],
        *,
        epoch: int = 7,
        span: tuple[int, int] | None = None,
        encoding: session.ContentEncoding = "zstd",
        losses: tuple[Loss, ...] = (),
    ) -> Answer:
        """Send events as an honest sensor does; `span` overrides the range of numbers."""
        numbers = [found.sequence.seq for found in events if found.sequence]
        first, last = span or (min(numbers), max(numbers))
        return self.send_document(document(events), BatchHeader(epoch, first, last, "0" * 64, encoding, losses))

    def send_document(self, body: bytes, header: BatchHeader, **changed: str) -> Answer:
        """Send any document under a header; the digest is made right unless `changed` says otherwise."""
        headers = header.to_headers() | {session.SHA256_HEADER: hashlib.sha256(body).hexdigest()}
        headers |= {name.replace("_", "-"): value for name, value in changed.items()}
        return self.post_batch(pack(body, header.encoding), headers)

    def post_batch(self, packed: bytes, headers: dict[str, str]) -> Answer:
        """Post a body as it stands."""
        return self.request("POST", session.BATCHES_PATH, packed, headers)

    def heartbeat(self, body: dict[str, Any] | bytes) -> Answer:
        """Post a heartbeat."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.request("POST", session.HEARTBEAT_PATH, data, {"Content-Type": "application/json"})


def _unbase64(body: bytes) -> bytes:
    return base64.b64decode(body)
