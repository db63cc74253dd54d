"""What the checks ask: the configuration, and the collector by ways that are tried once and remembered.

Rules of this file: it changes nothing on the box or at the collector, and sends no secret: no token, no alert. An
answer or its error is kept, so that checks that need the same one see the same one.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from cryptography import x509

from appliance.clock import Clock
from appliance.config import Config
from appliance.enroll.errors import WrongPinError
from appliance.errors import ApplianceError
from appliance.identity import (
    AbsentKeyStore,
    Answer,
    CollectorUrl,
    ElementMissingError,
    HttpsConnection,
    Identity,
    IdentityFolder,
    KeyStore,
    LinkError,
    NotEnrolledError,
    Proxy,
    SecureElement,
    TpmMissingError,
    key_store,
)
from appliance.identity.certificates import parse_certs_only, parse_pem, pinned_root, to_pem
from appliance.identity.folder import read_small
from appliance.identity.tls import enrollment_context, unverified_context
from appliance.identity.trust import follow
from appliance.wire.enrollment import CACERTS_PATH, MAX_CERTS_BYTES, decode_base64
from appliance.wire.session import CONFIG_PATH, MAX_ANSWER_BYTES, SessionError

MOST_S = 10.0
"""A person waits; no single ask takes longer, whatever is configured."""


class Patient:
    """One box as it is configured."""

    def __init__(self, config: Config, clock: Clock, element: SecureElement | None = None) -> None:
        """`element`: the way to the secure element, for boxes that have one.

        Raises:
            OperatorError: an address or the proxy has another form.
        """
        self.config = config
        self.clock = clock
        self.state_dir = Path(config.sensor.state_dir)
        self.folder = IdentityFolder(self.state_dir / "identity", _keys(config, element))
        self.urls = [CollectorUrl.parse(url) for url in config.collector.urls]
        self.proxy = Proxy.parse(config.collector.proxy) if config.collector.proxy else None
        self.timeout_s = min(float(config.collector.timeout_s), MOST_S)
        self.key_fault: ApplianceError | None = None
        """Why the TPM could not be made ready for TLS, where that was tried."""
        self._ca: dict[CollectorUrl, Answer | ApplianceError] = {}
        self._own: dict[CollectorUrl, Answer | ApplianceError] = {}

    @property
    def targets(self) -> list[tuple[str, int]]:
        """Host and port that this box itself connects to: the proxy, or every collector."""
        if self.proxy is not None:
            return [(self.proxy.host, self.proxy.port)]
        return [(url.host, url.port) for url in self.urls]

    def identity(self) -> Identity | None:
        """Who we are; None before the enrollment.

        Raises:
            KeyFileError, CertificateInvalidError: there is an identity that cannot be used.
        """
        try:
            return self.folder.load()
        except NotEnrolledError:
            return None

    def ca_answer(self, url: CollectorUrl) -> Answer:
        """The collector's answer to the question for its CA; nobody is trusted for it.

        Raises:
            LinkError: none came, by name.
        """
        return self._once(self._ca, url, unverified_context(), CACERTS_PATH)

    def own_answer(self, url: CollectorUrl, identity: Identity) -> Answer:
        """The collector's answer to us as the sensor that we are, whatever its status.

        Raises:
            LinkError: none came, by name.
            CertificateInvalidError: our files do not fit.
        """
        return self._once(self._own, url, identity.context(), CONFIG_PATH)

    def trusted(self, url: CollectorUrl) -> list[x509.Certificate]:
        """The CAs that this box trusts: those that it enrolled with, or those that fit the pin.

        Raises:
            WrongPinError: the collector's CA is not the pinned one.
            LinkError, CertificateInvalidError: it cannot be had, or read.
        """
        if self.folder.ca_path.exists():
            return parse_pem(str(self.folder.ca_path), read_small(self.folder.ca_path))
        answer = self.ca_answer(url)
        try:
            offered = parse_certs_only(str(url), decode_base64(str(url), answer.body, MAX_CERTS_BYTES))
        except SessionError as exc:
            raise LinkError(f"{url}: HTTP {answer.status} without certificates: {exc}", advice=_COLLECTOR) from exc
        root = pinned_root(offered, self.config.collector.ca_pin.lower())
        if root is None:
            raise WrongPinError(
                f"{url}: none of the {len(offered)} CAs it offers has the pinned key",
                advice="compare [collector] ca_pin with what `vedette-collector init` printed: who sits between?",
            )
        return follow([root], offered, self.clock.wall_ns())

    def handshake(self, url: CollectorUrl, *, name: bool) -> None:
        """TLS with the collector under the trusted CA, with or without looking at its name.

        Raises:
            LinkError, WrongPinError, CertificateInvalidError: it did not come about, by name.
        """
        context = enrollment_context(to_pem(self.trusted(url)))
        context.check_hostname = name
        self._ask(url, context, CACERTS_PATH)

    def _once(
        self, kept: dict[CollectorUrl, Answer | ApplianceError], url: CollectorUrl, context: ssl.SSLContext, path: str
    ) -> Answer:
        if url not in kept:
            try:
                kept[url] = self._ask(url, context, path)
            except ApplianceError as exc:
                kept[url] = exc
        found = kept[url]
        if isinstance(found, ApplianceError):
            raise found
        return found

    def _ask(self, url: CollectorUrl, context: ssl.SSLContext, path: str) -> Answer:
        connection = HttpsConnection(url, context=context, timeout_s=self.timeout_s, proxy=self.proxy)
        try:
            return connection.request("GET", path, headers={}, body=b"", max_answer_bytes=MAX_ANSWER_BYTES)
        finally:
            connection.close()


def _keys(config: Config, element: SecureElement | None) -> KeyStore:
    """The configured store, or one that tells its check why it is not there."""
    try:
        return key_store(config.identity.key_store, config.identity.tcti, element)
    except TpmMissingError as exc:
        return AbsentKeyStore("tpm", exc)
    except ElementMissingError as exc:
        return AbsentKeyStore("secure-element", exc)


_COLLECTOR = "is this a collector? check [collector] urls"
