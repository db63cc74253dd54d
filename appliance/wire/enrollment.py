"""The words of enrollment (EST, RFC 7030), both roles, without I/O: paths, names, the token, the CA pin.

    sensor                                            collector
      GET  /.well-known/est/cacerts (unverified)  ->
                                  <- certs-only       sensor checks the pin, from here on trusts this CA only
      POST /.well-known/est/simpleenroll  CSR,
           HTTP Basic token id : token secret     ->
                                  <- certs-only       or a Refusal naming what is wrong with token or CSR
      POST /.well-known/est/simplereenroll CSR of
           the same key, over mutual TLS          ->
                                  <- certs-only       the same name, a later end

Rules of this file: a sensor is its key, so its id is made from the public key and never from a name; every parser
gives its value or `SessionError`. Certificates themselves are the neighbours' business: here they are DER bytes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field

from appliance.wire.fields import SessionError, parse_word

CACERTS_PATH = "/.well-known/est/cacerts"
CSRATTRS_PATH = "/.well-known/est/csrattrs"
SIMPLEENROLL_PATH = "/.well-known/est/simpleenroll"
SIMPLEREENROLL_PATH = "/.well-known/est/simplereenroll"

CSR_MEDIA_TYPE = "application/pkcs10"
CACERTS_MEDIA_TYPE = "application/pkcs7-mime"
CSRATTRS_MEDIA_TYPE = "application/csrattrs"
CERTIFICATE_MEDIA_TYPE = "application/pkcs7-mime; smime-type=certs-only"

MAX_CSR_BYTES = 16 * 1024
"""Of the base64 body; a P-256 request is under 1 KiB, the rest is room for attestation."""
MAX_CERTS_BYTES = 64 * 1024

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
