"""From a token and a CA pin to a certificate (EST, RFC 7030; the order is in `steps.py`).

Rules of this file: it owns the connections, the files and the signer; what they mean is `exchange.py`'s. It can be
broken off anywhere and run again: the key is made once, the files are put in place whole and the certificate last, and
a collector gives the same key its certificate again for the same token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from appliance.clock import Clock, CorrectedClock
from appliance.enroll.asking import send
from appliance.enroll.csr import certificate_request, element_enrollment
from appliance.enroll.exchange import Exchange
from appliance.enroll.steps import Ask, Issued, Step
from appliance.errors import OperatorError
from appliance.identity import (
    Answer,
    CertificateInvalidError,
    CollectorUrl,
    IdentityFolder,
    NotReachableError,
    Proxy,
    ResidentSigner,
    SensorCertificate,
    Signer,
    VouchedSigner,
)
from appliance.identity.certificates import parse_pem
from appliance.identity.folder import read_small
from appliance.identity.tls import check_dates, enrollment_context, unverified_context
from appliance.identity.trust import leads_to
from appliance.wire.enrollment import EnrollmentToken, parse_pin
from appliance.wire.residency import ResidencyChallenge, ResidencyProof, ResidencyRequest
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
        trusted = parse_pem(str(folder.ca_path), read_small(folder.ca_path))
        chain = parse_pem(str(folder.certificate_path), read_small(folder.certificate_path))
        # One of tomorrow stands: the collector made it today, so it is our clock that is behind.
        if identity.certificate.life.state(clock.wall_ns()) == "expired":
            return None
        ours = folder.goes_back_to(pin)
    except (OperatorError, CertificateInvalidError):
        return None
    # A renewal that was broken off may have got as far as a new root: it is gone on with, by the pair in force.
    renewing = folder.at(folder.pairs.following()).key_path.exists()
    if not ours or (not renewing and leads_to(trusted, chain[0], chain[1:]) is None):
        return None
    return identity.certificate


def enroll(
    plan: EnrollmentPlan, folder: IdentityFolder, clock: Clock, *, on_step: Callable[[str], None] = lambda _: None
) -> Enrolled:
    """Become a sensor of the collector, or find that we are one.

    `on_step` hears, in words for an operator, what is being done.

    Raises:
        WrongPinError: the server's CA is not the pinned one.
        TpmError, ElementError: the TPM or secure element is missing, refuses, or does not know the key.
        TokenUnknownError, TokenUsedError, TokenExpiredError, TokenRevokedError, TokenOtherTpmError,
        EnrollmentRefusedError: the collector said no.
        IssuedWrongError: what it issued is not ours.
        KeyFileError: the key cannot be made or used.
        LinkError: the connection failed, by name (not reachable, wrong CA, wrong name, ...).
    """
    earlier = standing(folder, plan.pin, clock)
    # Also when we are enrolled: a TPM that was cleared must be told now, not at the next start.
    signer = folder.keys.load_or_create(folder.key_path)
    if earlier is not None:
        return Enrolled(earlier, "", already=True)
    csr_der = certificate_request(signer)
    residency = signer.residency_request(csr_der) if isinstance(signer, ResidentSigner) else None
    failure: NotReachableError | None = None
    for url in plan.urls:
        try:
            return _enroll_at(url, plan, folder, signer, csr_der, residency, clock, on_step)
        except NotReachableError as exc:
            on_step(str(exc))
            failure = exc
    raise failure or NotReachableError("no collector address came")


def _enroll_at(
    url: CollectorUrl,
    plan: EnrollmentPlan,
    folder: IdentityFolder,
    signer: Signer,
    csr_der: bytes,
    residency: ResidencyRequest | None,
    clock: Clock,
    on_step: Callable[[str], None],
) -> Enrolled:
    exchange = Exchange(
        str(url),
        pin=plan.pin,
        token=plan.token,
        spki=signer.spki_der(),
        csr_der=csr_der,
        residency=residency,
        element=element_enrollment(signer) if isinstance(signer, VouchedSigner) else None,
    )
    while True:
        needs = exchange.needs()
        if isinstance(needs, Issued):
            folder.pairs.drop(folder.pairs.following())  # of a renewal before: what is written now is another identity
            folder.write(ca_pem=needs.ca_pem, certificate_pem=needs.certificate_pem, pin=plan.pin)
            on_step(f"{url}: the certificate came")
            return Enrolled(needs.certificate, str(url), already=False)
        on_step(f"{url}: {_DOING[exchange.step]}")
        if isinstance(needs, Ask):
            exchange.answered(_answer(url, plan, exchange.ca_pem, needs, clock), clock.wall_ns())
        else:
            exchange.proved(_proof(signer, needs))


_DOING = {
    Step.CA: "asking for its CA",
    Step.CHALLENGE: "CA matches the pin; asking for a challenge to the TPM",
    Step.PROOF: "the TPM answers the challenge",
    Step.CERTIFICATE: "sending the certificate request",
}


def _answer(url: CollectorUrl, plan: EnrollmentPlan, ca_pem: bytes, needs: Ask, clock: Clock) -> Answer:
    ours = isinstance(clock, CorrectedClock) and needs.verified
    context = enrollment_context(ca_pem, dates=not ours) if needs.verified else unverified_context()

    def accept(leaf_der: bytes) -> None:
        if ours:
            check_dates(str(url), leaf_der, ca_pem, clock.wall_ns())

    return send(url, context, needs, timeout_s=plan.timeout_s, proxy=plan.proxy, accept=accept)


def _proof(signer: Signer, challenge: ResidencyChallenge) -> ResidencyProof:
    if not isinstance(signer, ResidentSigner):
        raise TypeError("a challenge came for a key that cannot prove where it lives")
    return signer.residency_proof(challenge)
