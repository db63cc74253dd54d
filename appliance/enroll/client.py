"""From a token and a CA pin to a certificate (EST, RFC 7030; the order is in `wire/enrollment.py`).

Rules of this file: nothing that came over the network is trusted or written before it was held against the pin. It can
be broken off anywhere and run again: the key is made once, the files are put in place whole and the certificate last,
and a collector gives the same key its certificate again for the same token.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography import x509

from appliance.clock import Clock
from appliance.enroll.csr import certificate_request
from appliance.enroll.errors import IssuedWrongError, WrongPinError
from appliance.enroll.exchange import ask, certificates_of
from appliance.errors import ApplianceError, OperatorError
from appliance.identity import (
    CertificateInvalidError,
    CollectorUrl,
    IdentityFolder,
    NotReachableError,
    Proxy,
    SensorCertificate,
    Signer,
    SoftKey,
)
from appliance.identity.certificates import (
    chain_to,
    parse_pem,
    pinned_root,
    sensor_certificate,
    spki_der,
    to_pem,
)
from appliance.identity.folder import read_small
from appliance.identity.tls import enrollment_context, unverified_context
from appliance.wire.enrollment import (
    CACERTS_PATH,
    CSR_MEDIA_TYPE,
    SIMPLEENROLL_PATH,
    EnrollmentToken,
    encode_base64,
    parse_pin,
)
from appliance.wire.session import SessionError


@dataclass(frozen=True, slots=True)
class Enrolled:
    """Who we are now; `already` when an earlier enrollment still stands and nothing was asked."""

    certificate: SensorCertificate
    url: str
    already: bool


@dataclass(frozen=True, slots=True)
class EnrollmentPlan:
    """What enrollment needs to know; `urls` are tried in order until one answers."""

    urls: Sequence[CollectorUrl]
    pin: str
    token: EnrollmentToken
    proxy: Proxy | None = None
    timeout_s: float = 30.0

    @staticmethod
    def parse(
        *, urls: Sequence[str], ca_pin: str, token: str, proxy: str = "", timeout_s: float = 30.0
    ) -> EnrollmentPlan:  # fmt: skip
        """From the configuration's texts.

        Raises:
            OperatorError: something is missing or has another form.
        """
        if not urls:
            raise OperatorError("no collector address came", advice="set [collector] urls")
        try:
            pin, parsed_token = parse_pin(ca_pin), EnrollmentToken.parse(token)
        except SessionError as exc:
            raise OperatorError(
                str(exc), advice="copy both again: `vedette-collector init` prints the pin, `token new` the token"
            ) from exc
        return EnrollmentPlan(
            [CollectorUrl.parse(url) for url in urls],
            pin,
            parsed_token,
            Proxy.parse(proxy) if proxy else None,
            timeout_s,
        )


def standing(folder: IdentityFolder, pin: str, clock: Clock) -> SensorCertificate | None:
    """The certificate of an earlier enrollment under the CA of this pin, if it is whole and still good.

    Raises:
        KeyFileError: there is a key that must not or cannot be used; it is not replaced silently.
    """
    if not folder.key_path.exists():
        return None
    try:
        identity = folder.load()
        root = pinned_root(parse_pem(str(folder.ca_path), read_small(folder.ca_path)), pin)
        chain = parse_pem(str(folder.certificate_path), read_small(folder.certificate_path))
        identity.certificate.life.check(clock.wall_ns())
    except (OperatorError, CertificateInvalidError):
        return None
    if root is None or chain_to(root, chain[0], chain[1:]) is None:
        return None
    return identity.certificate


def enroll(
    plan: EnrollmentPlan, folder: IdentityFolder, clock: Clock, *, on_step: Callable[[str], None] = lambda _: None
) -> Enrolled:
    """Become a sensor of the collector, or find that we are one.

    `on_step` hears, in words for an operator, what is being done.

    Raises:
        WrongPinError: the server's CA is not the pinned one.
        TokenUnknownError, TokenUsedError, TokenExpiredError, EnrollmentRefusedError: the collector said no.
        IssuedWrongError: what it issued is not ours.
        KeyFileError: the key cannot be made or used.
        LinkError: the connection failed, by name (not reachable, wrong CA, wrong name, ...).
    """
    earlier = standing(folder, plan.pin, clock)
    if earlier is not None:
        return Enrolled(earlier, "", already=True)
    signer = SoftKey.load_or_create(folder.key_path)
    failure: NotReachableError | None = None
    for url in plan.urls:
        try:
            return _enroll_at(url, plan, folder, signer, clock, on_step)
        except NotReachableError as exc:
            on_step(str(exc))
            failure = exc
    raise failure or NotReachableError("no collector address came")


def _enroll_at(
    url: CollectorUrl,
    plan: EnrollmentPlan,
    folder: IdentityFolder,
    signer: Signer,
    clock: Clock,
    on_step: Callable[[str], None],
) -> Enrolled:
    on_step(f"{url}: asking for its CA")
    authorities = _fetch_authorities(url, plan)
    root = pinned_root(authorities, plan.pin)
    if root is None:
        raise WrongPinError(
            f"{url}: none of the {len(authorities)} CAs it offers has the pinned key {plan.pin[:16]}…",
            advice="compare [collector] ca_pin with what `vedette-collector init` printed: somebody may sit between",
        )
    # Only what hangs below the pinned root is kept; whatever else came is forgotten.
    trusted = [root, *(ca for ca in authorities if ca != root and chain_to(root, ca, authorities) is not None)]
    on_step(f"{url}: CA matches the pin; sending the certificate request")
    certificates = _request_certificate(url, plan, enrollment_context(to_pem(trusted)), certificate_request(signer))
    leaf = next((certificate for certificate in certificates if spki_der(certificate) == signer.spki_der()), None)
    if leaf is None:
        raise IssuedWrongError(f"{url}: the certificate that came is for another key", advice=_REPORT)
    chain = chain_to(root, leaf, [*certificates, *trusted])
    if chain is None:
        raise IssuedWrongError(f"{url}: the certificate that came does not lead to the pinned CA", advice=_REPORT)
    try:
        issued = sensor_certificate(leaf)
        issued.life.check(clock.wall_ns())
    except ApplianceError as exc:
        raise IssuedWrongError(f"{url}: {exc}", advice=exc.advice or _REPORT) from exc
    folder.write(ca_pem=to_pem(trusted), certificate_pem=to_pem(chain))
    on_step(f"enrolled as {issued.sensor_id}")
    return Enrolled(issued, str(url), already=False)


_REPORT = "report this to the collector's operator; nothing was written"


def _fetch_authorities(url: CollectorUrl, plan: EnrollmentPlan) -> list[x509.Certificate]:
    answer = ask(url, unverified_context(), "GET", CACERTS_PATH, timeout_s=plan.timeout_s, proxy=plan.proxy)
    return certificates_of(url, answer)


def _request_certificate(
    url: CollectorUrl, plan: EnrollmentPlan, context: ssl.SSLContext, request_der: bytes
) -> list[x509.Certificate]:
    headers = {
        "Content-Type": CSR_MEDIA_TYPE,
        "Content-Transfer-Encoding": "base64",
        "Authorization": plan.token.authorization(),
    }
    body = encode_base64(request_der)
    answer = ask(url, context, "POST", SIMPLEENROLL_PATH, headers, body, timeout_s=plan.timeout_s, proxy=plan.proxy)
    return certificates_of(url, answer)
