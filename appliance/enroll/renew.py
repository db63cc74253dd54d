"""One renewal: a fresh key, a certificate for it, the switch to both, and their first use.

    on disk                                              next step
    SETTLED   one pair                                   make the next pair's key
    KEY_MADE  one pair, the next one's key               ask (again) with that key: its answer may have been lost;
                                                         the collector's CAs are put on disk before the certificate
    ISSUED    one pair, the next pair whole              switch: the next pair is in force
    SWITCHED  the pair in force and the one before       use it: the collector supersedes the old key; remove the old

Rules of this file: the step to take is read from the disk, so a renewal that died anywhere goes on where it was, and
at every moment the pair in force is whole. `NEXT` is every step there is. The old pair is removed only after the
collector took the new one, or knows it and has retired its CA since, which brings one renewal more; a new pair that
the collector does not know is dropped for the old one. Of a key in a TPM the pair holds a blob, and the TPM keeps
nothing, so what is dropped leaves nothing behind there.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from appliance.clock import Clock
from appliance.enroll.asking import ask, send
from appliance.enroll.csr import renewal_request, vouched_request
from appliance.enroll.errors import EnrollmentRefusedError
from appliance.enroll.reissue import Reissue
from appliance.enroll.steps import Issued, Step
from appliance.errors import ApplianceError, OperatorError
from appliance.identity import (
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
    VouchedSigner,
)
from appliance.identity.certificates import parse_pem
from appliance.identity.folder import read_small
from appliance.identity.tls import enrollment_context
from appliance.wire.codes import SessionCode
from appliance.wire.residency import ResidencyChallenge, ResidencyRequest
from appliance.wire.session import CONFIG_PATH

T = TypeVar("T")

# The collector has no idea of the new key: it was restored from a backup, say. The old one may still be known.
_UNKNOWN_TO_IT = frozenset({SessionCode.CERTIFICATE_FOREIGN, SessionCode.SENSOR_UNKNOWN})


class Stage(Enum):
    """What is on disk."""

    SETTLED = "one pair"
    KEY_MADE = "one pair, and the next one's key"
    ISSUED = "one pair, and the next one whole"
    SWITCHED = "the pair in force, and the one before"


NEXT: dict[Stage, Stage] = {
    Stage.SETTLED: Stage.KEY_MADE,
    Stage.KEY_MADE: Stage.ISSUED,
    Stage.ISSUED: Stage.SWITCHED,
    Stage.SWITCHED: Stage.SETTLED,
}
"""Where the step of a stage leads."""


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
    return stage_of(folder) in (Stage.ISSUED, Stage.SWITCHED)


def stage_of(folder: IdentityFolder) -> Stage:
    """What is on disk."""
    if folder.pairs.earlier() is not None:
        return Stage.SWITCHED
    following = folder.at(folder.pairs.following())
    if following.certificate_path.exists():
        return Stage.ISSUED
    return Stage.KEY_MADE if following.key_path.exists() else Stage.SETTLED


def renew(
    plan: RenewalPlan, folder: IdentityFolder, clock: Clock, *, on_step: Callable[[str], None] = lambda _: None
) -> SensorCertificate:
    """Renew now, or go on with a renewal that was broken off; returns the certificate in force.

    `on_step` hears, in words for an operator, what was done.

    Raises:
        OperatorError: a renewal is going on in another process.
        NotEnrolledError, KeyFileError, CertificateInvalidError: there is nothing to renew from, or no room to.
        TpmKeyLostError: the TPM does not know the present key any more (it was cleared): enroll with a new token.
        EnrollmentRefusedError, IssuedWrongError: the collector said no, or issued something that is not ours.
        RootUnknownError: the collector has another root, and ours does not vouch for it.
        LinkError: the connection failed, by name.
    """
    with folder.pairs.changing():
        renewal = Renewal(plan, folder, clock, on_step)
        renewal.check()
        stage = stage_of(folder)
        while True:
            renewal.do(stage)
            stage = NEXT[stage]
            if stage is Stage.SETTLED and not renewal.once_more:
                return folder.load().certificate


class Renewal:
    """The step of each stage; the folder's lock is held."""

    def __init__(self, plan: RenewalPlan, folder: IdentityFolder, clock: Clock, on_step: Callable[[str], None]) -> None:
        self._plan, self._folder, self._clock, self._on_step = plan, folder, clock, on_step
        self.once_more = False
        """Whether the pair in force, taken from a renewal that was broken off, is of a CA that is retired by now."""
        self._steps: dict[Stage, Callable[[], None]] = {
            Stage.SETTLED: self._make_key,
            Stage.KEY_MADE: self._ask,
            Stage.ISSUED: self._switch,
            Stage.SWITCHED: self._use,
        }

    def check(self) -> None:
        """See that there is something to renew from, and drop a next pair that is not worth a switch."""
        identity = self._folder.load()
        if isinstance(identity.signer, ResidentSigner):
            # TLS could only say that it failed.
            identity.signer.check()
        if stage_of(self._folder) is Stage.ISSUED and not self._usable(identity):
            self._folder.pairs.drop(self._folder.pairs.following())
        if isinstance(identity.signer, VouchedSigner) and stage_of(self._folder) in (Stage.SETTLED, Stage.KEY_MADE):
            # Before a key is made for another element.
            identity.signer.check_voucher()

    def do(self, stage: Stage) -> None:
        """Take the step."""
        self._steps[stage]()

    @property
    def _following(self) -> IdentityFolder:
        return self._folder.at(self._folder.pairs.following())

    def _make_key(self) -> None:
        self._following.keys.load_or_create(self._following.key_path)
        self._on_step("a new key is made")

    def _ask(self) -> None:
        following = self._following
        signer = following.keys.load_or_create(following.key_path)
        identity = self._folder.load()
        issued = self._reissued(identity, signer)
        if issued.ca_pem != read_small(identity.ca_path):
            self._folder.write_ca(issued.ca_pem)
            self._on_step("the collector's CAs have changed; the new ones are on disk")
        following.write_certificate(issued.certificate_pem)
        self._on_step("its certificate is on disk")

    def _switch(self) -> None:
        self._folder.pairs.switch(self._folder.pairs.following())
        self._on_step("the new key and certificate are in force")

    def _use(self) -> None:
        folder, identity = self._folder, self._folder.load()
        try:
            self._at_any(lambda url: self._get_config(url, identity))
        except (EnrollmentRefusedError, ClientRefusedError) as exc:
            earlier = folder.pairs.earlier()
            code = exc.code if isinstance(exc, EnrollmentRefusedError) else SessionCode.CERTIFICATE_FOREIGN
            if code is SessionCode.AUTHORITY_RETIRED and not self.once_more:
                # It says so only of a key that it has on record, so that the old one is needed no more.
                folder.pairs.drop_earlier()
                self._on_step(f"the collector knows the new key, but: {exc}")
                self.once_more = True
                return
            if earlier is not None and code in _UNKNOWN_TO_IT:
                refused = identity.certificate_path.parent
                folder.pairs.switch(earlier)
                folder.pairs.drop(refused)
                self._on_step("the collector does not know the new key; the old one is in force again")
            raise
        self._on_step("the collector has taken the new certificate")
        folder.pairs.drop_earlier()
        self._on_step("the old key is removed")
        self.once_more = False

    def _get_config(self, url: CollectorUrl, identity: Identity) -> None:
        plan = self._plan
        ask(url, identity.context(), "GET", CONFIG_PATH, timeout_s=plan.timeout_s, proxy=plan.proxy)

    def _usable(self, identity: Identity) -> bool:
        """Whether a whole pair that waits is one to switch to."""
        try:
            found = self._following.load().certificate
            found.life.check(self._clock.wall_ns())
        except ApplianceError:
            return False
        return found.sensor_id == identity.certificate.sensor_id

    def _at_any(self, do: Callable[[CollectorUrl], T]) -> T:
        """What the first address gives that answers."""
        failure: NotReachableError | None = None
        for url in self._plan.urls:
            try:
                return do(url)
            except NotReachableError as exc:
                self._on_step(str(exc))
                failure = exc
        raise failure or NotReachableError("no collector address came")

    def _reissued(self, identity: Identity, signer: Signer) -> Issued:
        """The next key's certificate.

        Raises:
            RootUnknownError: the collector's roots are others than ours, and none of ours vouches for them.
            IssuedWrongError: what came is not for this key, under these CAs, in this sensor's name, and in date.
        """
        present = parse_pem(str(identity.certificate_path), read_small(identity.certificate_path))[0]
        request_der = renewal_request(signer, present)
        residency = signer.residency_request(request_der) if isinstance(signer, ResidentSigner) else None
        return self._at_any(lambda url: self._reissued_at(url, identity, signer, request_der, residency))

    def _reissued_at(
        self,
        url: CollectorUrl,
        identity: Identity,
        signer: Signer,
        request_der: bytes,
        residency: ResidencyRequest | None,
    ) -> Issued:
        present_ca = read_small(identity.ca_path)
        by_element = isinstance(identity.signer, VouchedSigner)
        exchange = Reissue(
            str(url),
            sensor_id=identity.certificate.sensor_id,
            trusted=parse_pem(str(identity.ca_path), present_ca),
            spki=signer.spki_der(),
            csr_der=request_der,
            residency=residency,
            by_element=by_element,
        )
        self._send(url, exchange, enrollment_context(present_ca))
        if not by_element and identity.certificate.life.state(self._clock.wall_ns()) != "expired":
            try:
                return self._run(url, exchange, signer, identity.context)
            except EnrollmentRefusedError as exc:
                if exc.code is not SessionCode.AUTHORITY_RETIRED:
                    raise
                self._on_step(str(exc))
            except (ClientRefusedError, ConnectionLostError) as exc:
                # By the collector's clock it may have ended, of which TLS 1.3 tells a client late or by a cut alone
                # (RFC 8446 section 4.4.2.4); the answer to a recovery says the true reason.
                self._on_step(str(exc))
        voucher = identity.signer.voucher if isinstance(identity.signer, VouchedSigner) else identity.signer
        what = (
            "the next certificate, signed by the secure element" if by_element else "recovery, signed with the old key"
        )
        self._on_step(f"{url}: asking for {what}")
        request = request_der if residency is None else residency.encode()
        exchange.recover(vouched_request(voucher, identity.certificate.sensor_id, request))
        return self._run(url, exchange, signer, lambda: enrollment_context(present_ca))

    def _run(
        self, url: CollectorUrl, exchange: Reissue, signer: Signer, context: Callable[[], ssl.SSLContext]
    ) -> Issued:
        while True:
            needs = exchange.needs()
            if isinstance(needs, Issued):
                return needs
            if isinstance(needs, ResidencyChallenge):
                if not isinstance(signer, ResidentSigner):
                    raise TypeError("a challenge came for a key that cannot prove where it lives")
                self._on_step("the TPM proves that the new key lives in it")
                exchange.proved(signer.residency_proof(needs))
                continue
            if exchange.step is Step.CHALLENGE:
                self._on_step(f"{url}: asking for a challenge to the TPM")
            # A context of its own each time: with a key in a TPM it takes one of three slots there as long as it lives.
            self._send(url, exchange, context())

    def _send(self, url: CollectorUrl, exchange: Reissue, context: ssl.SSLContext) -> None:
        """Send the request that is next, and take its answer."""
        answer = send(url, context, exchange.asks(), timeout_s=self._plan.timeout_s, proxy=self._plan.proxy)
        exchange.answered(answer, self._clock.wall_ns())
