"""A P-256 key in a file, for boxes without a TPM and for trials; the collector shows such a sensor as `software`.

Rules of this file: the file is made once, whole, readable by its owner only, and never overwritten. A file that others
may read, or that belongs to somebody else, is refused: a key that may have been copied identifies nobody.
"""

from __future__ import annotations

import os
import secrets
import ssl
import stat
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

from appliance.identity.errors import CertificateInvalidError, KeyExposedError, KeyFileError
from appliance.identity.signer import Assurance

MAX_KEY_BYTES = 8192
_NEW_KEY = "delete the file and enroll again with a new token"


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
            KeyFileError: it is missing, a link, no PEM, or no P-256 key.
        """
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as exc:
            raise KeyFileError(f"{path}: cannot read the key: {exc.strerror}", advice="enroll first") from exc
        with os.fdopen(fd, "rb") as file:
            # Of the open file, so that nobody can swap it between the question and the answer.
            status = os.fstat(fd)
            if stat.S_IMODE(status.st_mode) & 0o077:
                mode = f"{stat.S_IMODE(status.st_mode):04o}"
                raise KeyExposedError(
                    f"{path}: mode {mode} came, 0600 was allowed: others may have read the key",
                    advice=f"{_NEW_KEY}; if surely nobody read it: chmod 600 {path}",
                )
            if status.st_uid not in (os.geteuid(), 0):
                raise KeyExposedError(
                    f"{path}: belongs to user {status.st_uid}, {os.geteuid()} was allowed", advice=_NEW_KEY
                )
            data = file.read(MAX_KEY_BYTES)
        try:
            key = load_pem_private_key(data, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
            raise KeyFileError(f"{path}: not a private key in PEM", advice=_NEW_KEY) from exc
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise KeyFileError(f"{path}: not a P-256 key", advice=_NEW_KEY)
        return cls(path, key)

    @classmethod
    def load_or_create(cls, path: Path) -> SoftKey:
        """Read the key, or make it if there is none: whole, durable, and only once even when two processes try.

        Raises:
            KeyFileError: as `load`, or the file cannot be written.
        """
        if not path.is_symlink() and not path.exists():
            _create(path)
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


def _create(path: Path) -> None:
    data = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )  # fmt: skip
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            os.fchmod(fd, 0o600)
            file.write(data)
            file.flush()
            os.fsync(fd)
        try:
            # Unlike a rename, a link never replaces: whoever came second uses the first one's key.
            os.link(temporary, path)
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as exc:
        raise KeyFileError(f"{path}: cannot make the key: {exc.strerror}", advice="check sensor.state_dir") from exc
