"""A P-256 key in a file, for boxes without a TPM and for trials; the collector shows such a sensor as `software`.

Rules of this file: the file is made once, whole, readable by its owner only, and never overwritten. A file that others
may read, or that belongs to somebody else, is refused: a key that may have been copied identifies nobody.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from appliance.identity.errors import CertificateInvalidError, KeyFileError, KeyStoreDiffersError
from appliance.identity.keyfile import ELEMENT_PEM, NEW_KEY, TSS2_PEM, read_private, write_once
from appliance.identity.signer import Assurance


class SoftKey:
    """A `Signer`; made by `load` or `load_or_create`."""

    def __init__(self, path: Path, key: ec.EllipticCurvePrivateKey) -> None:
        self._path = path
        self._key = key

    @classmethod
    def load(cls, path: Path) -> SoftKey:
        """Read the key.

        Raises:
            KeyExposedError: others may read the file, or it is not ours.
            KeyStoreDiffersError: the key lives in a TPM, or a secure element signs for it.
            KeyFileError: it is missing, a link, no PEM, or no P-256 key.
        """
        data = read_private(path)
        if TSS2_PEM in data:
            raise KeyStoreDiffersError(
                f"{path}: a key in a TPM came, a software key was allowed",
                advice=f'set [identity] key_store = "tpm"; or {NEW_KEY}',
            )
        if ELEMENT_PEM in data:
            raise KeyStoreDiffersError(
                f"{path}: a key that a secure element signs for came, a software key was allowed",
                advice=f'set [identity] key_store = "secure-element"; or {NEW_KEY}',
            )
        return cls(path, parse_key(path, data))

    @classmethod
    def load_or_create(cls, path: Path) -> SoftKey:
        """Read the key, or make it if there is none: whole, durable, and only once even when two processes try.

        Raises:
            KeyFileError: as `load`, or the file cannot be written.
        """
        if not path.is_symlink() and not path.exists():
            write_once(path, new_key_pem())
        return cls.load(path)

    @property
    def assurance(self) -> Assurance:
        """A file can be copied."""
        return "software"

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public half."""
        return self._key.public_key()

    def spki_der(self) -> bytes:
        """SubjectPublicKeyInfo in DER."""
        return self.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def sign_digest(self, digest: bytes) -> bytes:
        """ECDSA over a SHA-256 digest, DER.

        Raises:
            ValueError: the digest is not 32 bytes long.
        """
        return self._key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256())))

    def sign_request(self, request: x509.CertificateSigningRequestBuilder) -> bytes:
        """A PKCS#10 request in DER."""
        return request.sign(self._key, hashes.SHA256()).public_bytes(Encoding.DER)

    def load_into(self, context: ssl.SSLContext, certificate_path: Path) -> None:
        """See `Signer.load_into`."""
        try:
            context.load_cert_chain(certificate_path, self._path)
        except ssl.SSLError as exc:
            raise CertificateInvalidError(
                f"{certificate_path}: not a certificate of the key {self._path}", advice="enroll again with a new token"
            ) from exc
        except OSError as exc:
            raise CertificateInvalidError(
                f"{certificate_path}: cannot read: {exc.strerror}", advice="enroll first: vedette enroll"
            ) from exc


def parse_key(path: Path, data: bytes) -> ec.EllipticCurvePrivateKey:
    """The P-256 key of a PEM; `path` is its file in errors.

    Raises:
        KeyFileError: it is none.
    """
    try:
        key = load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise KeyFileError(f"{path}: not a private key in PEM", advice=NEW_KEY) from exc
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise KeyFileError(f"{path}: not a P-256 key", advice=NEW_KEY)
    return key


def new_key_pem() -> bytes:
    """A new P-256 key in PEM."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
