"""One renewal: a fresh key, a certificate for it, the switch to both, and their first use.

    on disk                                  next step
    one pair                                 make the next pair's key, ask for its certificate
    one pair, the next one's key             ask (again) with that key: its answer may have been lost;
                                             the CAs that the collector tells of first, when they can be believed
    one pair, the next pair whole            switch: the next pair is in force
    the pair in force and the one before     use it: the collector supersedes the old key; remove the old pair

Rules of this file: the step to take is read from the disk, so a renewal that died anywhere goes on where it was, and
at every moment the pair in force is whole. The old pair is removed only after the collector took the new one; a new
pair that the collector does not know is dropped for the old one.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from cryptography import x509

from appliance.clock import Clock
from appliance.enroll.asking import ask, certificates_of
from appliance.enroll.csr import certificate_request
from appliance.enroll.errors import EnrollmentRefusedError, IssuedWrongError, RootUnknownError
from appliance.errors import ApplianceError, OperatorError
from appliance.identity import (
    Answer,
    ClientRefusedError,
    CollectorUrl,
    ConnectionLostError,
    Identity,
    IdentityFolder,
    NotReachableError,
    Proxy,
    ResidentSigner,
    SensorCertificate,
    Signer,
)
from appliance.identity.certificates import parse_pem, sensor_certificate, spki_der, to_pem
from appliance.identity.folder import read_small
from appliance.identity.tls import enrollment_context
from appliance.identity.trust import follow, leads_to
from appliance.wire.codes import SessionCode
from appliance.wire.enrollment import (
    CACERTS_PATH,
    CSR_MEDIA_TYPE,
    RECOVER_PATH,
    SIMPLEREENROLL_PATH,
    RecoveryRequest,
    encode_base64,
    sensor_id,
)
from appliance.wire.session import CONFIG_PATH

# The collector has no idea of the new key: it was restored from a backup, say. The old one may still be known.
_UNKNOWN_TO_IT = frozenset({SessionCode.CERTIFICATE_FOREIGN, SessionCode.SENSOR_UNKNOWN})
_NEW_ROOT = "ask the collector's operator; if it was set up anew, enroll with its pin and a new token: vedette enroll"
_REPORT = "report this to the collector's operator; the old certificate stays in force"


@dataclass(frozen=True, slots=True)
class RenewalPlan:
    """What renewal needs to know; `urls` are tried in order until one answers."""

    urls: Sequence[CollectorUrl]
    proxy: Proxy | None = None
    timeout_s: float = 30.0

    @staticmethod
    def parse(*, urls: Sequence[str], proxy: str = "", timeout_s: float = 30.0) -> RenewalPlan:
        """From the configuration's texts.

        Raises:
            OperatorError: something is missing or has another form.
        """
        if not urls:
            raise OperatorError("no collector address came", advice="set [collector] urls")
        return RenewalPlan(
            [CollectorUrl.parse(url) for url in urls], Proxy.parse(proxy) if proxy else None, timeout_s
        )  # fmt: skip


def unfinished(folder: IdentityFolder) -> bool:
    """Whether a renewal was broken off after it had got something worth going on with."""
    return folder.pairs.earlier() is not None or folder.at(folder.pairs.following()).certificate_path.exists()


def renew(
    plan: RenewalPlan, folder: IdentityFolder, clock: Clock, *, on_step: Callable[[str], None] = lambda _: None
) -> SensorCertificate:
    """Renew now, or go on with a renewal that was broken off; returns the certificate in force.

    `on_step` hears, in words for an operator, what was done.

    Raises:
        OperatorError: a renewal is going on in another process.
        NotEnrolledError, KeyFileError, CertificateInvalidError: there is nothing to renew from, or no room to.
        EnrollmentRefusedError, IssuedWrongError: the collector said no, or issued something that is not ours.
        RootUnknownError: the collector has another root, and ours does not vouch for it.
        LinkError: the connection failed, by name.
    """
    with folder.pairs.changing():
        if folder.pairs.earlier() is None:
            _switch(plan, folder, clock, on_step)
        return _prove(plan, folder, on_step)


def _switch(plan: RenewalPlan, folder: IdentityFolder, clock: Clock, on_step: Callable[[str], None]) -> None:
    identity = folder.load()
    following = folder.at(folder.pairs.following())
    if following.certificate_path.exists() and not _usable(following, identity, clock):
        folder.pairs.drop(folder.pairs.following())
    if not following.certificate_path.exists():
        signer = _next_key(folder, following, identity, on_step)
        certificate_pem, trusted = _ask_for(plan, identity, signer, clock, on_step)
        if to_pem(trusted) != read_small(identity.ca_path):
            # Before the certificate: a box whose certificate has a new root behind it knows that root.
            folder.write_ca(to_pem(trusted))
            on_step("the collector's CAs have changed; the new ones are on disk")
        following.write_certificate(certificate_pem)
        on_step("its certificate is on disk")
    folder.pairs.switch(following.certificate_path.parent)
    on_step("the new key and certificate are in force")


def _next_key(
    folder: IdentityFolder, following: IdentityFolder, identity: Identity, on_step: Callable[[str], None]
) -> Signer:
    """A fresh key; or, of one that was proved to live in a TPM, the same: nothing here proves it of another."""
    if isinstance(identity.signer, ResidentSigner):
        following.write_key(read_small(folder.key_path))
        on_step("the key in the TPM stays")
        return following.keys.load(following.key_path)
    signer = following.keys.load_or_create(following.key_path)
    on_step("a new key is made")
    return signer


def _prove(plan: RenewalPlan, folder: IdentityFolder, on_step: Callable[[str], None]) -> SensorCertificate:
    identity = folder.load()
    try:
        _at_any(plan, lambda url: _get_config(plan, url, identity), on_step)
    except (EnrollmentRefusedError, ClientRefusedError) as exc:
        earlier = folder.pairs.earlier()
        code = exc.code if isinstance(exc, EnrollmentRefusedError) else SessionCode.CERTIFICATE_FOREIGN
        if earlier is not None and code in _UNKNOWN_TO_IT:
            refused = identity.certificate_path.parent
            folder.pairs.switch(earlier)
            folder.pairs.drop(refused)
            on_step("the collector does not know the new key; the old one is in force again")
        raise
    on_step("the collector has taken the new certificate")
    folder.pairs.drop_earlier()
    on_step("the old key is removed")
    return identity.certificate


def _get_config(plan: RenewalPlan, url: CollectorUrl, identity: Identity) -> Answer:
    return ask(url, identity.context(), "GET", CONFIG_PATH, timeout_s=plan.timeout_s, proxy=plan.proxy)


def _usable(following: IdentityFolder, identity: Identity, clock: Clock) -> bool:
    """Whether a whole pair that waits is one to switch to."""
    try:
        found = following.load().certificate
        found.life.check(clock.wall_ns())
    except ApplianceError:
        return False
    return found.sensor_id == identity.certificate.sensor_id


def _at_any(
    plan: RenewalPlan, do: Callable[[CollectorUrl], Answer], on_step: Callable[[str], None]
) -> tuple[CollectorUrl, Answer]:
    """The answer of the first address that gives one."""
    failure: NotReachableError | None = None
    for url in plan.urls:
        try:
            return url, do(url)
        except NotReachableError as exc:
            on_step(str(exc))
            failure = exc
    raise failure or NotReachableError("no collector address came")


def _ask_for(
    plan: RenewalPlan, identity: Identity, signer: Signer, clock: Clock, on_step: Callable[[str], None]
) -> tuple[bytes, list[x509.Certificate]]:
    """The new key's certificate and its chain, in PEM, and the CAs that are trusted from now on.

    Raises:
        RootUnknownError: the collector's roots are others than ours, and none of ours vouches for them.
        IssuedWrongError: what came is not for this key, under this CA, in this sensor's name, and in date.
    """
    request_der = certificate_request(signer)
    told: list[x509.Certificate] = []

    def both(url: CollectorUrl) -> Answer:
        told[:] = _authorities(url, plan, identity, clock)
        return _ask_at(url, plan, identity, request_der, clock, on_step)

    url, answer = _at_any(plan, both, on_step)
    came, trusted = certificates_of(url, answer), told
    leaf = next((certificate for certificate in came if spki_der(certificate) == signer.spki_der()), None)
    if leaf is None:
        raise IssuedWrongError(f"{url}: the certificate that came is for another key", advice=_REPORT)
    chain = leads_to(trusted, leaf, [*came, *trusted])
    if chain is None:
        raise IssuedWrongError(f"{url}: the certificate that came does not lead to the pinned CA", advice=_REPORT)
    try:
        issued = sensor_certificate(leaf)
        issued.life.check(clock.wall_ns())
    except ApplianceError as exc:
        raise IssuedWrongError(f"{url}: {exc}", advice=exc.advice or _REPORT) from exc
    if issued.sensor_id != identity.certificate.sensor_id:
        allowed = identity.certificate.sensor_id
        came_for = f"{url}: a certificate for {issued.sensor_id} came"
        raise IssuedWrongError(f"{came_for}, one for {allowed} was allowed", advice=_REPORT)
    return to_pem(chain), trusted


def _authorities(url: CollectorUrl, plan: RenewalPlan, identity: Identity, clock: Clock) -> list[x509.Certificate]:
    """What to trust from now on, from a server that the present trust verifies; no client certificate is needed."""
    present = read_small(identity.ca_path)
    answer = ask(url, enrollment_context(present), "GET", CACERTS_PATH, timeout_s=plan.timeout_s, proxy=plan.proxy)
    trusted = follow(parse_pem(str(identity.ca_path), present), certificates_of(url, answer), clock.wall_ns())
    if not trusted:
        raise RootUnknownError(f"{url}: none of its roots is ours, and none of ours vouches for one", advice=_NEW_ROOT)
    return trusted


def _ask_at(
    url: CollectorUrl,
    plan: RenewalPlan,
    identity: Identity,
    request_der: bytes,
    clock: Clock,
    on_step: Callable[[str], None],
) -> Answer:
    def send(context: ssl.SSLContext, path: str, headers: dict[str, str], body: bytes) -> Answer:
        return ask(url, context, "POST", path, headers, body, timeout_s=plan.timeout_s, proxy=plan.proxy)

    if identity.certificate.life.state(clock.wall_ns()) != "expired":
        headers = {"Content-Type": CSR_MEDIA_TYPE, "Content-Transfer-Encoding": "base64"}
        try:
            return send(identity.context(), SIMPLEREENROLL_PATH, headers, encode_base64(request_der))
        except EnrollmentRefusedError as exc:
            if exc.code is not SessionCode.AUTHORITY_RETIRED:
                raise
            on_step(str(exc))
        except (ClientRefusedError, ConnectionLostError) as exc:
            # By the collector's clock it may have ended, of which TLS 1.3 tells a client late or by a cut alone
            # (RFC 8446 section 4.4.2.4); the answer to a recovery says the true reason.
            on_step(str(exc))
    on_step(f"{url}: asking for recovery, signed with the old key")
    asked = RecoveryRequest(identity.certificate.sensor_id, sensor_id(identity.signer.spki_der()), request_der)
    proof = identity.signer.sign_digest(hashlib.sha256(asked.statement()).digest())
    context = enrollment_context(read_small(identity.ca_path))
    return send(
        context, RECOVER_PATH, {"Content-Type": "application/json"}, replace(asked, proof_der=proof).to_json()
    )  # fmt: skip
