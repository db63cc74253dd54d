"""The certificate authority of one collector, in files under `DIR/pki/` (folder 0700, files 0600).

    root.pem    root.key      may be taken offline: nothing here reads root.key again after `create`
    issuing.pem issuing.key   signs sensors and the server
    server.pem                the listener's key, its certificate, the issuing CA's

Rules of this file: the only place that reads or writes these files. A file appears whole or not at all; a file that
others can read is refused, because its key must be taken for lost.
"""

from __future__ import annotations

import os
import ssl
import stat
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs7,
)

from collector_client.attest.levels import SOFTWARE
from collector_client.errors import EnvironmentFault, OperatorError
from collector_client.pki import profile
from collector_client.pki.profile import SensorCertificate

PKI_NAME = "pki"
"""The authority's folder in a collector's folder."""


class Authority:
    """Root and issuing CA, opened; issues certificates."""

    def __init__(
        self, folder: Path, root: x509.Certificate, issuing: x509.Certificate, key: ec.EllipticCurvePrivateKey
    ):
        self._folder = folder
        self._root = root
        self._issuing = issuing
        self._issuing_key = key

    @classmethod
    def create(cls, folder: Path, names: Sequence[str], now_ns: int) -> Authority:
        """Make root, issuing CA and server certificate in a new folder.

        Raises:
            OperatorError: the folder exists, or a name cannot be in a certificate.
            EnvironmentFault: the disk or its permissions refuse.
        """
        now = profile.datetime_of(now_ns)
        root_key, issuing_key = _new_key(), _new_key()
        root = profile.make_root(root_key, now)
        issuing = profile.make_issuing(issuing_key, root, root_key, now)
        authority = cls(folder, root, issuing, issuing_key)
        server_files = authority._server_files(names, now_ns)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            raise OperatorError(f"{folder}: exists already, a new folder was allowed") from None
        except OSError as error:
            raise _fault(folder, error) from error
        files = {
            "root.pem": _pem(root),
            "root.key": _key_pem(root_key),
            "issuing.pem": _pem(issuing),
            "issuing.key": _key_pem(issuing_key),
            **server_files,
        }
        for name, data in files.items():
            _write(folder / name, data)
        return authority

    @classmethod
    def open(cls, folder: Path) -> Authority:
        """Open what `create` made.

        Raises:
            OperatorError: a file is missing, damaged, or readable for others.
        """
        root = _load_certificate(folder / "root.pem")
        issuing = _load_certificate(folder / "issuing.pem")
        key = _load_key(folder / "issuing.key")
        if key.public_key() != issuing.public_key():
            raise OperatorError(
                f"{folder}: issuing.key is not the key of issuing.pem", advice="restore both from a backup"
            )
        return cls(folder, root, issuing, key)

    @property
    def pin(self) -> str:
        """What a sensor is told to trust: SHA-256 (hex) over the root's public key."""
        return profile.pin_of(self._root)

    def ca_pem(self) -> bytes:
        """Root and issuing certificate, as a verifier's trust file."""
        return _pem(self._root) + _pem(self._issuing)

    def ca_certs_only(self) -> bytes:
        """Root and issuing certificate as a certs-only CMS (DER), EST's answer to /cacerts."""
        return pkcs7.serialize_certificates([self._root, self._issuing], Encoding.DER)

    def certs_only(self, certificate_der: bytes) -> bytes:
        """One issued certificate as a certs-only CMS (DER), EST's answer to /simpleenroll."""
        return pkcs7.serialize_certificates([x509.load_der_x509_certificate(certificate_der)], Encoding.DER)

    def issue_sensor(
        self,
        key: ec.EllipticCurvePublicKey,
        now_ns: int,
        life_days: int,
        assurance: str = SOFTWARE,
        *,
        name: str | None = None,
    ) -> SensorCertificate:
        """Sign a sensor's key; `assurance` is what was proved of it, `name` the sensor's id where the key is not its
        first one.
        """
        now, life = profile.datetime_of(now_ns), timedelta(days=life_days)
        return profile.make_sensor(key, assurance, self._issuing, self._issuing_key, now, life, name=name)

    def renew_server(self, names: Sequence[str], now_ns: int) -> bool:
        """Replace the server certificate when a third of its life or less is left, or when its names are others.

        Returns:
            Whether it was replaced.

        Raises:
            OperatorError: a name cannot be in a certificate, or a file is damaged.
            EnvironmentFault: the disk or its permissions refuse.
        """
        server = _load_certificate(self._folder / "server.pem")
        left = server.not_valid_after_utc - profile.datetime_of(now_ns)
        if left > (server.not_valid_after_utc - server.not_valid_before_utc) / 3 and _names_of(server) == _listed(
            names
        ):
            return False
        # One file carries chain and key, so that no crash leaves a certificate beside another one's key.
        for name, data in self._server_files(names, now_ns).items():
            _write(self._folder / name, data)
        return True

    def server_context(self) -> ssl.SSLContext:
        """TLS 1.3 only; a client certificate is asked for and, when it comes, must hang from this CA and be in date.

        Raises:
            OperatorError: a file is missing or damaged.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        # A resumed session skips the certificate check: every request looks its key up, and tickets of another context,
        # whose keys live in memory only, are worth nothing (ingest/tickets.py).
        context.num_tickets = 1
        context.load_verify_locations(cadata=self.ca_pem().decode("ascii"))
        self.load_server(context)
        return context

    def load_server(self, context: ssl.SSLContext) -> None:
        """Load the server's chain and key into a context; connections made from now on use it."""
        path = self._folder / "server.pem"
        _check_private(path)
        try:
            context.load_cert_chain(path)
        except (OSError, ssl.SSLError) as error:
            raise OperatorError(f"{path}: no certificate chain with its key ({error})") from error

    def _server_files(self, names: Sequence[str], now_ns: int) -> dict[str, bytes]:
        key = _new_key()
        now = profile.datetime_of(now_ns)
        server = profile.make_server(key, names, self._issuing, self._issuing_key, now)
        return {"server.pem": _key_pem(key) + _pem(server) + _pem(self._issuing)}


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _names_of(server: x509.Certificate) -> set[str]:
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(names.get_values_for_type(x509.DNSName)) | {
        str(address) for address in names.get_values_for_type(x509.IPAddress)
    }


def _listed(names: Sequence[str]) -> set[str]:
    return {name.lower() for name in names}


def _check_private(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise OperatorError(
            f"{path}: {error.strerror or error}", advice="restore it from a backup, or make a new store"
        ) from error
    if stat.S_IMODE(mode) & 0o077:
        raise OperatorError(f"{path}: mode {stat.S_IMODE(mode):04o} came, 0600 was allowed", advice=f"chmod 600 {path}")


def _read(path: Path) -> bytes:
    _check_private(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise _fault(path, error) from error


def _load_certificate(path: Path) -> x509.Certificate:
    data = _read(path)
    try:
        return x509.load_pem_x509_certificates(data)[0]
    except ValueError as error:
        raise OperatorError(f"{path}: no certificate ({error})", advice="restore it from a backup") from error


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    data = _read(path)
    try:
        key = load_pem_private_key(data, None)
    except (ValueError, TypeError) as error:
        raise OperatorError(f"{path}: no private key ({error})", advice="restore it from a backup") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise OperatorError(f"{path}: {type(key).__name__} came, an elliptic-curve key was allowed")
    return key


def _write(path: Path, data: bytes) -> None:
    """Write a file that appears whole or not at all, and is on disk when this returns."""
    fresh = path.with_name(path.name + ".new")
    try:
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise _fault(path, error) from error


def _fault(path: Path, error: OSError) -> EnvironmentFault:
    return EnvironmentFault(f"{path}: {error.strerror or error}", advice="check free space and permissions")
