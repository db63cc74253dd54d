"""The certificate authority of one collector, in files under `DIR/pki/` (folder 0700, files 0600).

    root.pem    root.key      may be taken offline: nothing here reads root.key again after `create`
    issuing.pem issuing.key   signs sensors and the server; the key may be elsewhere (keys/)
    authorities.json          which of several roots and issuing CAs are what now (register.py), once there are several
    server.pem                the listener's key, its certificate, the issuing CA's, links between roots

Rules of this file: it issues, and makes the first authorities; what becomes of them later is `rollover.py`'s. What the
folder says is taken up by `refresh`, in one step, so that a roll-over needs no restart.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from collector_client.attest.levels import SOFTWARE
from collector_client.errors import OperatorError
from collector_client.pki import profile
from collector_client.pki.chains import Chains, load_chains
from collector_client.pki.files import (
    check_private,
    key_pem,
    load_certificates,
    make_folder,
    new_key,
    pem_of,
    write,
)
from collector_client.pki.keys import KeyPlaces, open_key
from collector_client.pki.profile import SensorCertificate
from collector_client.pki.register import FIRST, REGISTER_NAME

PKI_NAME = "pki"
"""The authority's folder in a collector's folder."""


@dataclass(frozen=True, slots=True)
class _Open:
    """What one look at the folder gave."""

    chains: Chains
    key: ec.EllipticCurvePrivateKey
    stamp: tuple[int, int, int] | None


class Authority:
    """Root and issuing CA, opened; issues certificates. Asking is safe from any thread, `refresh` is for one."""

    def __init__(self, folder: Path, opened: _Open, places: KeyPlaces):
        self._folder = folder
        self._opened = opened
        self._places = places

    @classmethod
    def create(cls, folder: Path, names: Sequence[str], now_ns: int, *, root_dir: Path | None = None) -> Authority:
        """Make root, issuing CA and server certificate in a new folder; with `root_dir`, root.key goes there instead.

        Raises:
            OperatorError: the folder exists, `root_dir` has a root already, or a name cannot be in a certificate.
            EnvironmentFault: the disk or its permissions refuse.
        """
        now = profile.datetime_of(now_ns)
        root_key, issuing_key = new_key(), new_key()
        root = profile.make_root(root_key, now)
        issuing = profile.make_issuing(issuing_key.public_key(), root, root_key, now)
        chains = Chains(FIRST, {"root": root, "issuing": issuing}, ())
        authority = cls(folder, _Open(chains, issuing_key, None), KeyPlaces())
        server = authority._server_file(names, now_ns)
        if root_dir is not None:
            # First: without it, nothing else of this authority is worth having.
            write(root_dir / "root.key", key_pem(root_key), fresh_only=True)
            write(root_dir / "root.pem", pem_of(root), fresh_only=True)
        make_folder(folder)
        files = {"root.pem": pem_of(root), "issuing.pem": pem_of(issuing), "issuing.key": key_pem(issuing_key)}
        if root_dir is None:
            files["root.key"] = key_pem(root_key)
        for name, data in (files | {"server.pem": server}).items():
            write(folder / name, data)
        return authority

    @classmethod
    def open(cls, folder: Path, places: KeyPlaces = KeyPlaces()) -> Authority:  # noqa: B008 - frozen
        """Open what `create` made; `places` says how a key that is no file is reached.

        Raises:
            OperatorError: a file is missing, damaged, or readable for others, or a key's place is not configured.
        """
        return cls(folder, _look(folder, places), places)

    def refresh(self) -> bool:
        """Take up what the folder says now, if that changed.

        Returns:
            Whether it did.

        Raises:
            OperatorError, EnvironmentFault: as `open`; what was before stays in force.
        """
        if _stamp(self._folder) == self._opened.stamp:
            return False
        self._opened = _look(self._folder, self._places)
        return True

    @property
    def chains(self) -> Chains:
        """All authorities, as certificates."""
        return self._opened.chains

    @property
    def local(self) -> bool:
        """Whether signing is a matter of this process alone, and quick."""
        return self._opened.chains.register.issuing.key == "file"

    @property
    def pin(self) -> str:
        """What a sensor is told to trust: SHA-256 (hex) over the root's public key."""
        return profile.pin_of(self.chains.root)

    def ca_pem(self) -> bytes:
        """Trusted roots and issuing CAs, as a verifier's trust file. Links are not in it: they are no anchors."""
        return pem_of(*self.chains.trusted("root"), *self.chains.trusted("issuing"))

    def ca_certs_only(self) -> bytes:
        """Roots, issuing CAs and links as a certs-only CMS (DER), EST's answer to /cacerts (RFC 7030 section 4.1.3)."""
        return pkcs7.serialize_certificates(self.chains.told(), Encoding.DER)

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

        Raises:
            KeyFault: the issuing CA's key cannot be used now.
        """
        now, life, opened = profile.datetime_of(now_ns), timedelta(days=life_days), self._opened
        return profile.make_sensor(key, assurance, opened.chains.issuing, opened.key, now, life, name=name)

    def renew_server(self, names: Sequence[str], now_ns: int) -> bool:
        """Replace the server certificate when a third of its life or less is left, when its names are others, or when
        another CA issues now. Without `names`, those it has stay.

        Returns:
            Whether it was replaced.

        Raises:
            OperatorError: a name cannot be in a certificate, or a file is damaged.
            EnvironmentFault: the disk or its permissions refuse, or the issuing CA's key cannot be used now.
        """
        server, *above = load_certificates(self._folder / "server.pem")
        left = server.not_valid_after_utc - profile.datetime_of(now_ns)
        aged = left <= (server.not_valid_after_utc - server.not_valid_before_utc) / 3
        present = _names_of(server)
        other = bool(names) and present != {name.lower() for name in names}
        if not aged and not other and above == self.chains.above_server():
            return False
        # One file carries chain and key, so that no crash leaves a certificate beside another one's key.
        write(self._folder / "server.pem", self._server_file(names or sorted(present), now_ns))
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
        # whose keys live in memory only, are worth nothing (ingest/tickets.py makes it anew).
        context.num_tickets = 1
        # Also what is retired: who shows such a certificate is to be told so, which `Gate` does at every request.
        known = pem_of(*self.chains.certificates.values()).decode("ascii")
        context.load_verify_locations(cadata=known)
        self.load_server(context)
        return context

    def load_server(self, context: ssl.SSLContext) -> None:
        """Load the server's chain and key into a context; connections made from now on use it."""
        path = self._folder / "server.pem"
        check_private(path)
        try:
            context.load_cert_chain(path)
        except (OSError, ssl.SSLError) as error:
            raise OperatorError(f"{path}: no certificate chain with its key ({error})") from error

    def _server_file(self, names: Sequence[str], now_ns: int) -> bytes:
        key, opened = new_key(), self._opened
        now = profile.datetime_of(now_ns)
        server = profile.make_server(key, names, opened.chains.issuing, opened.key, now)
        return key_pem(key) + pem_of(server, *opened.chains.above_server())


def _look(folder: Path, places: KeyPlaces) -> _Open:
    # Before reading: a change in between is then seen at the next look.
    stamp = _stamp(folder)
    chains = load_chains(folder)
    issuing = chains.issuing.public_key()
    if not isinstance(issuing, ec.EllipticCurvePublicKey):
        raise OperatorError(f"{folder}: the issuing CA has another kind of key, an elliptic-curve key was allowed")
    return _Open(chains, open_key(folder, chains.register.issuing, issuing, places), stamp)


def _stamp(folder: Path) -> tuple[int, int, int] | None:
    try:
        found = (folder / REGISTER_NAME).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _names_of(server: x509.Certificate) -> set[str]:
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(names.get_values_for_type(x509.DNSName)) | {
        str(address) for address in names.get_values_for_type(x509.IPAddress)
    }
