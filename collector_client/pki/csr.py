"""A certificate request (PKCS#10, RFC 2986) as the enrollment takes it: proof that the sender holds a P-256 key.

Rules of this file: bytes in, a public key or `CsrError` out. Subject, extensions and attributes of the request are
never read: what a sensor may be called is not the sensor's to say.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from appliance.wire.enrollment import MAX_CSR_BYTES, decode_base64
from appliance.wire.session import SessionError
from collector_client.errors import CollectorError

CSR_ATTRIBUTES = bytes.fromhex(
    "3021"  # CsrAttrs ::= SEQUENCE OF AttrOrOID
    "3015"  # Attribute: id-ecPublicKey (1.2.840.10045.2.1) with the curve as its value
    "06072a8648ce3d0201"
    "310a"
    "06082a8648ce3d030107"  # prime256v1
    "06082a8648ce3d040302"  # ecdsa-with-SHA256
)
"""What a request should be made with (RFC 7030 section 4.5.2, RFC 9908): a P-256 key, signed with SHA-256. DER."""

_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


class CsrError(CollectorError):
    """The request cannot be signed; says what came and what was allowed."""

    def __init__(self, came: str, allowed: str) -> None:
        super().__init__(f"certificate request: {came} came, {allowed} was allowed")
        self.came = came
        self.allowed = allowed


def read_csr(body: bytes) -> ec.EllipticCurvePublicKey:
    """The key that a request's body (base64 of DER, RFC 7030 section 4.2.1) proves possession of.

    Raises:
        CsrError: no base64, no request, another kind of key, or a signature that does not verify.
    """
    try:
        der = decode_base64("certificate request", body, MAX_CSR_BYTES)
    except SessionError as error:
        raise CsrError(error.came, error.allowed) from error
    return read_csr_der(der)


def read_csr_der(der: bytes) -> ec.EllipticCurvePublicKey:
    """As `read_csr`, of a request in DER.

    Raises:
        CsrError: no request, another kind of key, or a signature that does not verify.
    """
    try:
        request = x509.load_der_x509_csr(der)
        key = request.public_key()
        digest = request.signature_hash_algorithm
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise CsrError(_kind(key), "an elliptic-curve key on P-256")
        if not isinstance(digest, _HASHES):
            raise CsrError(f"a signature over {digest.name if digest else 'no digest'}", "SHA-256, SHA-384 or SHA-512")
        genuine = request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature, x509.InvalidVersion) as error:
        raise CsrError(f"no PKCS#10 request ({error})", "DER of a PKCS#10 request with a P-256 key") from error
    if not genuine:
        raise CsrError("a signature that does not verify", "one made with the request's own key")
    return key


def _kind(key: object) -> str:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"a key on {key.curve.name}"
    return f"a key of kind {type(key).__name__.strip('_')}"
