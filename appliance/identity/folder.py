"""The identity folder: `ca.pem` with the pin that it goes back to (`ca.pin`), the pair of `key.pem` and `cert.pem` in
force, and what they say together.

Rules of this file: files are put in place whole (temporary file, fsync, rename). `cert.pem` is written last: once it is
there, the sensor is enrolled. Which pair is in force is `pairs.py`'s.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from appliance.files import replace_file
from appliance.identity.certificates import SensorCertificate, parse_pem, pinned_root, sensor_certificate, spki_der
from appliance.identity.errors import CertificateInvalidError, KeyFileError, NotEnrolledError
from appliance.identity.keystore import KeyStore, SoftKeyStore
from appliance.identity.pairs import Pairs
from appliance.identity.signer import Signer
from appliance.identity.tls import client_context
from appliance.wire.enrollment import ca_pin

MAX_PEM_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Identity:
    """An enrolled sensor: its key, and what its certificate says."""

    signer: Signer
    certificate: SensorCertificate
    certificate_path: Path
    ca_path: Path

    def context(self) -> ssl.SSLContext:
        """A TLS context that speaks for this sensor and trusts its CA only.

        Raises:
            CertificateInvalidError: a file does not fit or is gone.
        """
        return client_context(self.ca_path, self.signer, self.certificate_path)


class IdentityFolder:
    """Where an identity is kept; `keys` is the store that its key is of."""

    def __init__(self, path: Path, keys: KeyStore | None = None, *, pair: Path | None = None) -> None:
        """With `pair`, that pair; without, the one in force at each moment."""
        self.keys = keys or SoftKeyStore()
        self.pairs = Pairs(path)
        self.ca_path = path / "ca.pem"
        self._pin_path = path / "ca.pin"
        self._path = path
        self._pair = pair

    @property
    def key_path(self) -> Path:
        """The pair's key."""
        return (self._pair or self.pairs.current()) / "key.pem"

    @property
    def certificate_path(self) -> Path:
        """The pair's certificate."""
        return (self._pair or self.pairs.current()) / "cert.pem"

    def at(self, pair: Path) -> IdentityFolder:
        """The same identity by another pair, or by the present one and no later."""
        return IdentityFolder(self._path, self.keys, pair=pair)

    def load(self) -> Identity:
        """The identity of an enrolled sensor.

        Raises:
            NotEnrolledError: there is no certificate yet.
            KeyFileError: the key cannot be used.
            CertificateInvalidError: the certificate is not this key's, or does not name it.
        """
        if self._pair is None:
            return self.at(self.pairs.current()).load()
        if not self.certificate_path.exists():
            raise NotEnrolledError(
                f"{self.certificate_path}: no certificate yet", advice="enroll first: vedette enroll"
            )
        signer = self.keys.load(self.key_path)
        leaf = parse_pem(str(self.certificate_path), read_small(self.certificate_path))[0]
        parse_pem(str(self.ca_path), read_small(self.ca_path))
        if spki_der(leaf) != signer.spki_der():
            raise CertificateInvalidError(
                f"{self.certificate_path}: belongs to another key than {self.key_path}",
                advice="enroll again with a new token: vedette enroll",
            )
        return Identity(signer, sensor_certificate(leaf), self.certificate_path, self.ca_path)

    def write(self, *, ca_pem: bytes, certificate_pem: bytes, pin: str = "") -> None:
        """Become enrolled; `pin` is what the CA was held against.

        Raises:
            KeyFileError: the folder cannot be written.
        """
        self._write(self.ca_path, ca_pem)
        if pin:
            self._write(self._pin_path, pin.encode("ascii"))
        else:
            self._pin_path.unlink(missing_ok=True)
        self.write_certificate(certificate_pem)

    def write_ca(self, ca_pem: bytes) -> None:
        """Trust other CAs, to which the present ones led; the pin that they go back to stays on record.

        Raises:
            KeyFileError: the folder cannot be written.
            CertificateInvalidError: the present CAs cannot be read.
        """
        if not self._pin_path.exists():
            first = parse_pem(str(self.ca_path), read_small(self.ca_path))[0]
            self._write(self._pin_path, ca_pin(spki_der(first)).encode("ascii"))
        self._write(self.ca_path, ca_pem)

    def goes_back_to(self, pin: str) -> bool:
        """Whether the trusted CAs are those of this pin: one has it, or the first ones had it, and led to these.

        Raises:
            CertificateInvalidError: they cannot be read.
        """
        trusted = parse_pem(str(self.ca_path), read_small(self.ca_path))
        if pinned_root(trusted, pin) is not None:
            return True
        return self._pin_path.exists() and read_small(self._pin_path) == pin.encode("ascii")

    def write_certificate(self, certificate_pem: bytes) -> None:
        """Complete the pair; the CA stays.

        Raises:
            KeyFileError: the folder cannot be written.
        """
        self._write(self.certificate_path, certificate_pem)

    @staticmethod
    def _write(path: Path, data: bytes) -> None:
        try:
            replace_file(path, data)
        except OSError as exc:
            raise KeyFileError(f"{path}: cannot write: {exc.strerror}", advice="check sensor.state_dir") from exc


def read_small(path: Path) -> bytes:
    """A PEM file.

    Raises:
        CertificateInvalidError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_PEM_BYTES)
    except OSError as exc:
        raise CertificateInvalidError(f"{path}: cannot read: {exc.strerror}", advice="enroll again") from exc
