"""The words of enrollment (EST, RFC 7030), both roles, without I/O: paths, names, the token, the CA pin.

    sensor                                            collector
      GET  /.well-known/est/cacerts (unverified)  ->
                                  <- certs-only       sensor checks the pin, from here on trusts this CA only
      POST /.well-known/est/simpleenroll  CSR,
           HTTP Basic token id : token secret     ->
                                  <- certs-only       or a Refusal naming what is wrong with token or CSR
      POST /.well-known/est/simplereenroll CSR of
           the same or a new key, over mutual TLS ->
                                  <- certs-only       the same name, a later end
      POST /.well-known/vedette/recover
           RecoveryRequest                        ->
                                  <- certs-only       as above, for a certificate that is out of date

Renewal with a new key: the certificate's name stays the id of the sensor's first key. The collector takes the new key
from its first use on, and the old one for a short while after that.

Recovery: a TLS server that verifies client certificates refuses one that is out of date before any HTTP is spoken, so
over server-authenticated TLS the sensor signs with its old key that it wants the request's key to be its next one. The
statement covers the request's bytes and the names, so it is good for nothing else; sent again by another it only makes
the collector issue the same key its certificate, and not even that once a later key has been used.

Rules of this file: a sensor is its first key, so its id is made from the public key and never from a name; every parser
gives its value or `SessionError`. Certificates themselves are the neighbours' business: here they are DER bytes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field

from appliance.wire.fields import Fields, SessionError, dump_object, load_object, parse_word

CACERTS_PATH = "/.well-known/est/cacerts"
CSRATTRS_PATH = "/.well-known/est/csrattrs"
SIMPLEENROLL_PATH = "/.well-known/est/simpleenroll"
SIMPLEREENROLL_PATH = "/.well-known/est/simplereenroll"
RECOVER_PATH = "/.well-known/vedette/recover"

CSR_MEDIA_TYPE = "application/pkcs10"
CACERTS_MEDIA_TYPE = "application/pkcs7-mime"
CSRATTRS_MEDIA_TYPE = "application/csrattrs"
CERTIFICATE_MEDIA_TYPE = "application/pkcs7-mime; smime-type=certs-only"

MAX_CSR_BYTES = 16 * 1024
"""Of the base64 body; a P-256 request is under 1 KiB, the rest is room for attestation."""
MAX_CERTS_BYTES = 64 * 1024
MAX_RECOVERED_BYTES = 44 * 1024
"""Of what a recovery asks for, in base64: a request, or a `ResidencyRequest` of 32 KiB at most."""
MAX_RECOVERY_BYTES = MAX_RECOVERED_BYTES + 4096
MAX_SIGNATURE_BYTES = 72
"""A P-256 Ecdsa-Sig-Value in DER (RFC 3279 section 2.2.3) has at most so many."""

SENSOR_URN = "urn:vedette:sensor:"
ASSURANCE_URN = "urn:vedette:assurance:"

_SENSOR_ID = re.compile(r"s-[a-z2-7]{20}", re.ASCII)
_PIN = re.compile(r"[0-9a-f]{64}", re.ASCII)
_TOKEN_ID = re.compile(r"t-[a-z2-7]{12}", re.ASCII)
_TOKEN_SECRET = re.compile(r"[A-Za-z0-9_-]{32,86}", re.ASCII)


def sensor_id(spki_der: bytes) -> str:
    """The sensor's name: `s-` and 20 characters (100 bits) of the SHA-256 of its SubjectPublicKeyInfo."""
    return "s-" + base64.b32encode(hashlib.sha256(spki_der).digest()).decode("ascii")[:20].lower()


def parse_sensor_id(text: str) -> str:
    """`text` when it has a sensor id's form.

    Raises:
        SessionError: it has not.
    """
    return parse_word("sensor id", text, _SENSOR_ID)


def ca_pin(root_spki_der: bytes) -> str:
    """SHA-256 in hex over the root certificate's SubjectPublicKeyInfo."""
    return hashlib.sha256(root_spki_der).hexdigest()


def parse_pin(text: str) -> str:
    """A CA pin as an operator typed it: upper case, blanks and colons are forgiven.

    Raises:
        SessionError: not 64 hex digits.
    """
    return parse_word("CA pin", re.sub(r"[\s:]", "", text[:256]).lower(), _PIN)


@dataclass(frozen=True, slots=True)
class EnrollmentToken:
    """A one-time token as it travels on the stick: `<id>.<secret>`. The secret never shows in a repr."""

    token_id: str
    secret: str = field(repr=False)

    def __str__(self) -> str:
        return f"{self.token_id}.{self.secret}"

    def authorization(self) -> str:
        """The HTTP Basic header's value (RFC 7617): id as user, secret as password."""
        return "Basic " + base64.b64encode(f"{self.token_id}:{self.secret}".encode("ascii")).decode("ascii")

    @staticmethod
    def parse(text: str) -> EnrollmentToken:
        """Read a token as an operator pasted it.

        Raises:
            SessionError: not a token; the text is never repeated, it may be half a secret.
        """
        token_id, dot, secret = text.strip().partition(".")
        if not dot or not _TOKEN_ID.fullmatch(token_id) or not _TOKEN_SECRET.fullmatch(secret):
            raise SessionError(
                "enrollment token", came=f"{len(text)} characters of another form", allowed="t-<id>.<secret>"
            )
        return EnrollmentToken(token_id, secret)

    @staticmethod
    def from_authorization(value: str) -> EnrollmentToken:
        """Read the HTTP Basic header's value.

        Raises:
            SessionError: another scheme or form.
        """
        scheme, _, coded = value.partition(" ")
        try:
            text = base64.b64decode(coded.strip()[:512], validate=True).decode("ascii")
        except (binascii.Error, ValueError):
            text = ""
        token_id, _, secret = text.partition(":")
        if scheme.lower() != "basic" or not _TOKEN_ID.fullmatch(token_id) or not _TOKEN_SECRET.fullmatch(secret):
            raise SessionError("Authorization", came="another form", allowed="Basic with the token's id and secret")
        return EnrollmentToken(token_id, secret)


@dataclass(frozen=True, slots=True)
class RecoveryRequest:
    """A certificate request with the old key's word for it; `key_id` is the id of the key that signs.

    `request` is PKCS#10 in DER, or an encoded `ResidencyRequest` where the next key lives in a TPM; `proof_der` is an
    ECDSA signature with SHA-256 over `statement()`.
    """

    sensor_id: str
    key_id: str
    request: bytes
    proof_der: bytes = b""

    def statement(self) -> bytes:
        """What the old key signs: the purpose, who speaks, by which key, and the SHA-256 of the request."""
        digest = hashlib.sha256(self.request).hexdigest()
        return f"vedette recover 1\n{self.sensor_id}\n{self.key_id}\n{digest}\n".encode("ascii")

    def to_json(self) -> bytes:
        """The body of the request."""
        return dump_object(self.to_fields())

    def to_fields(self) -> dict[str, str]:
        """The same as an object of JSON."""
        return {
            "sensor": self.sensor_id,
            "key": self.key_id,
            "request": base64.b64encode(self.request).decode("ascii"),
            "proof": base64.b64encode(self.proof_der).decode("ascii"),
        }

    @staticmethod
    def from_json(data: bytes) -> RecoveryRequest:
        """Read a recovery request; neither request nor proof is looked into.

        Raises:
            SessionError: larger than allowed, not JSON, a field missing or of another form.
        """
        return RecoveryRequest.from_fields(load_object("recovery", data, MAX_RECOVERY_BYTES))

    @staticmethod
    def from_fields(fields: Fields) -> RecoveryRequest:
        """The same from an object of JSON.

        Raises:
            SessionError: a field missing or of another form.
        """
        request = fields.text("request", MAX_RECOVERED_BYTES).encode()
        proof = fields.text("proof", MAX_SIGNATURE_BYTES * 2).encode()
        return RecoveryRequest(
            sensor_id=fields.text("sensor", 32, _SENSOR_ID),
            key_id=fields.text("key", 32, _SENSOR_ID),
            request=decode_base64("recovery.request", request, MAX_RECOVERED_BYTES),
            proof_der=decode_base64("recovery.proof", proof, MAX_SIGNATURE_BYTES * 2),
        )


def encode_base64(der: bytes) -> bytes:
    """EST's transfer encoding (RFC 7030 section 4): base64 in lines of 76."""
    return base64.encodebytes(der)


def decode_base64(what: str, body: bytes, max_bytes: int) -> bytes:
    """The reverse of `encode_base64`; line breaks and blanks anywhere are taken (RFC 7030 leaves them open).

    Raises:
        SessionError: larger than `max_bytes` or not base64.
    """
    if len(body) > max_bytes:
        raise SessionError(what, came=f"{len(body)} bytes", allowed=f"at most {max_bytes} bytes")
    try:
        der = base64.b64decode(re.sub(rb"[ \t\r\n]", b"", body), validate=True)
    except (binascii.Error, ValueError):
        der = b""
    if not der:
        raise SessionError(what, came="no base64", allowed="base64 of DER")
    return der
