"""A P-256 key that is somewhere else, as `cryptography` takes it: whatever signs digests signs certificates.

Rules of this file: nothing leaves before its signature was verified with the public key it is said to be of, so that a
wrong key, a broken token or a lying hook never makes a certificate that nobody takes. The private key itself can never
be had here. Failures of the place are `KeyFault`, whoever's library raised them.
"""

from __future__ import annotations

from typing import Any, NoReturn, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from collector_client.errors import EnvironmentFault

_SIGNS_ONLY = "a key that lies elsewhere only signs"
_STAYS = "a key that lies elsewhere stays there"


class KeyFault(EnvironmentFault):
    """A key's place does not answer, refuses, or answers wrongly; it may be there again later."""


class RemoteSigner(Protocol):
    """What a place must be able to do; safe to call from one thread at a time."""

    where: str
    """The place in errors; says no secret."""

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The key's public half.

        Raises:
            KeyFault: the place does not answer.
        """
        ...

    def make(self) -> ec.EllipticCurvePublicKey:
        """Make the key where the place can do that and has none of this name; its public half.

        Raises:
            KeyFault: the place does not answer, or cannot.
        """
        ...

    def sign_digest(self, digest: bytes) -> bytes:
        """An Ecdsa-Sig-Value (DER, RFC 3279 section 2.2.3) over a SHA-256.

        Raises:
            KeyFault: the place does not answer, refuses, or is too slow.
        """
        ...


class RemoteKey(ec.EllipticCurvePrivateKey):
    """The key of a certificate, signing through a `RemoteSigner`."""

    def __init__(self, signer: RemoteSigner, public_key: ec.EllipticCurvePublicKey) -> None:
        """`public_key` is the certificate's, never what the place says."""
        self._signer = signer
        self._public_key = public_key

    def sign(self, data: bytes, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:  # type: ignore[override]  # any buffer
        """Sign with ECDSA and SHA-256, and verify.

        Raises:
            KeyFault: the place failed, or its signature is not of this key.
        """
        algorithm = signature_algorithm.algorithm
        if not isinstance(signature_algorithm, ec.ECDSA) or not isinstance(algorithm, hashes.SHA256):
            raise TypeError("ECDSA with SHA-256 was allowed")
        hasher = hashes.Hash(algorithm)
        hasher.update(data)
        digest = hasher.finalize()
        signature = self._signer.sign_digest(digest)
        try:
            self._public_key.verify(signature, digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
        except (InvalidSignature, ValueError) as error:
            raise KeyFault(
                f"{self._signer.where}: a signature came that is not of the certificate's key",
                advice="is this the key that `vedette-collector ca request` was made with?",
            ) from error
        return signature

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The certificate's."""
        return self._public_key

    @property
    def curve(self) -> ec.EllipticCurve:
        """P-256."""
        return self._public_key.curve

    @property
    def key_size(self) -> int:
        """In bits."""
        return self._public_key.key_size

    def exchange(self, *_: Any) -> NoReturn:
        """Not with a key that only signs.

        Raises:
            UnsupportedAlgorithm: always.
        """
        raise UnsupportedAlgorithm(_SIGNS_ONLY)

    def private_numbers(self) -> NoReturn:
        """Never here.

        Raises:
            UnsupportedAlgorithm: always.
        """
        raise UnsupportedAlgorithm(_STAYS)

    def private_bytes(self, *_: Any, **__: Any) -> NoReturn:
        """Never here.

        Raises:
            UnsupportedAlgorithm: always.
        """
        raise UnsupportedAlgorithm(_STAYS)

    def __copy__(self) -> RemoteKey:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> RemoteKey:
        return self


def p256(where: str, key: object) -> ec.EllipticCurvePublicKey:
    """The key, when it is on P-256.

    Raises:
        KeyFault: it is another.
    """
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        kind = getattr(getattr(key, "curve", None), "name", type(key).__name__)
        raise KeyFault(f"{where}: a key of kind {kind} came, an elliptic-curve key on P-256 was allowed")
    return key
