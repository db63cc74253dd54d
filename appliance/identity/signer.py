"""What a key of ours can do, wherever it lives.

Rules of this file: the private key never comes out of a signer; whoever needs it used asks the signer to use it.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from appliance.wire.residency import ResidencyChallenge, ResidencyProof, ResidencyRequest

Assurance = Literal["software", "secure-element", "tpm"]


class Signer(Protocol):
    """A P-256 key."""

    @property
    def assurance(self) -> Assurance:
        """Where the key lives; shown wherever the sensor is shown."""

    @property
    def public_key(self) -> EllipticCurvePublicKey:
        """The public half."""

    def spki_der(self) -> bytes:
        """SubjectPublicKeyInfo in DER: what the sensor's id is made of."""

    def sign_digest(self, digest: bytes) -> bytes:
        """ECDSA over a SHA-256 digest, as a DER `Ecdsa-Sig-Value` (RFC 3279 section 2.2.3)."""

    def sign_request(self, request: x509.CertificateSigningRequestBuilder) -> bytes:
        """A PKCS#10 request (RFC 2986) in DER, signed with SHA-256."""

    def load_into(self, context: ssl.SSLContext, certificate_path: Path) -> None:
        """Make a TLS context speak for this key, with the certificate and its chain from a PEM file.

        Raises:
            CertificateInvalidError: the file is missing, or its first certificate is not this key's.
        """


@runtime_checkable
class ResidentSigner(Signer, Protocol):
    """A key whose hardware can prove that it lives there (`wire/residency.py`)."""

    def check(self) -> None:
        """See that the hardware is there and knows the key.

        Raises:
            TpmKeyLostError: it does not know it.
            TpmError: it is missing or refuses.
        """

    def residency_request(self, csr_der: bytes) -> ResidencyRequest:
        """Who we are, with the request for the certificate."""

    def residency_proof(self, challenge: ResidencyChallenge) -> ResidencyProof:
        """The answer to the collector's challenge."""


@runtime_checkable
class VouchedSigner(Signer, Protocol):
    """A key that lives for a day, because another one, which cannot do TLS, signs for it (`wire/element.py`)."""

    @property
    def voucher(self) -> Signer:
        """The key that signs for it, and that the sensor is named by."""

    def check_voucher(self) -> None:
        """See that the voucher can be had.

        Raises:
            ElementKeyLostError: it is another key by now.
            ElementError: it is missing or refuses.
        """
