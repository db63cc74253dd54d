"""Where certificates are asked for: the handlers of EST (RFC 7030), of enrollment by TPM and of recovery.

    path                     who may ask                          what decides
    cacerts, csrattrs        anybody                              nothing
    simpleenroll             who has a token                      `Enrollment`
    tpm-challenge, -enroll   who has a token                      `Residency`
    simplereenroll           a sensor that shows its certificate  `Renewal`
    recover                  who signs with a known, expired key  `Renewal`

Rules of this file: bytes in and out of the enrollment's words, no rule of its own. The quota comes before the token,
both before the body. Every refusal here but those of the first line is for the audit.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from appliance.wire.codes import SessionCode
from appliance.wire.enrollment import (
    CACERTS_MEDIA_TYPE,
    CACERTS_PATH,
    CERTIFICATE_MEDIA_TYPE,
    CSRATTRS_MEDIA_TYPE,
    CSRATTRS_PATH,
    MAX_CSR_BYTES,
    MAX_RECOVERY_BYTES,
    RECOVER_PATH,
    SIMPLEENROLL_PATH,
    SIMPLEREENROLL_PATH,
    EnrollmentToken,
    RecoveryRequest,
)
from appliance.wire.residency import (
    MAX_PROOF_BYTES,
    MAX_REQUEST_BYTES,
    TPM_CHALLENGE_PATH,
    TPM_ENROLL_PATH,
    ResidencyProof,
    ResidencyRequest,
)
from appliance.wire.session import SessionError
from collector_client.ingest.admission import Admission
from collector_client.ingest.body import check_length, est_answer, json_answer, read_body
from collector_client.ingest.enrollment import Enrollment
from collector_client.ingest.keeper import Keeper
from collector_client.ingest.quota import Quota, network_of
from collector_client.ingest.refusals import Refusals
from collector_client.ingest.refuse import RefusedError, refuse
from collector_client.ingest.renewal import Renewal
from collector_client.ingest.residency import Residency
from collector_client.pki import CSR_ATTRIBUTES, CsrError, read_csr, read_csr_der
from collector_client.store.clock import Clock
from collector_client.store.tokens import TokenRecord

log = logging.getLogger("vedette.ingest")

Handler: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.Response]]

_RENEWAL_REFUSED = "renew refused"
_OPEN_PATHS = (CACERTS_PATH, CSRATTRS_PATH)


class _Applicant(NamedTuple):
    """Who wants to enroll; `fresh`: with a token that nobody had used."""

    address: str
    network: str
    token: EnrollmentToken
    fresh: bool


@dataclass(frozen=True, slots=True)
class Desk:
    """Handles requests for certificates; everything it needs is handed in."""

    admission: Admission
    enrollment: Enrollment
    residency: Residency
    renewal: Renewal
    find_token: Callable[[EnrollmentToken], TokenRecord | None]
    refusals: Refusals
    quota: Quota
    keeper: Keeper
    clock: Clock
    request_timeout_s: float

    def routes(self) -> Mapping[str, tuple[str, Handler]]:
        """Path to method and handler."""
        return {
            SIMPLEENROLL_PATH: ("POST", self._enroll),
            SIMPLEREENROLL_PATH: ("POST", self._reenroll),
            RECOVER_PATH: ("POST", self._recover),
            TPM_CHALLENGE_PATH: ("POST", self._tpm_challenge),
            TPM_ENROLL_PATH: ("POST", self._tpm_enroll),
            CACERTS_PATH: ("GET", self._cacerts),
            CSRATTRS_PATH: ("GET", self._csrattrs),
        }

    async def audit(self, request: web.BaseRequest, error: RefusedError) -> None:
        """Write down a refusal of any path, if it is one that the audit wants (refusals.py) and not one of too many."""
        address, now_s, now_ns = request.remote or "unknown", self.clock.monotonic_s(), self.clock.wall_ns()
        if request.path in _OPEN_PATHS:
            return
        if request.path in self.routes():
            row = self.refusals.enrollment(error, address, request.headers.get("Authorization"), now_s)
        else:
            row = self.refusals.sensor(error, address, now_s)
        if row is not None:
            try:
                await self.keeper.call_newcomer(lambda: self.refusals.write([row], now_ns))
            except RefusedError as failed:
                log.warning("a refusal to %s could not be audited: %s", address, failed)

    async def sum_up(self) -> None:
        """Write down what was counted and not written one by one; call it once a minute."""
        rows, now_ns = self.refusals.summaries(), self.clock.wall_ns()
        if not rows:
            return
        for row in rows:
            log.warning("%s: %s", row.subject, row.detail)
        try:
            await self.keeper.call(lambda: self.refusals.write(rows, now_ns))
        except RefusedError as failed:
            log.warning("refusals could not be audited: %s", failed)

    async def _cacerts(self, _request: web.BaseRequest) -> web.Response:
        return est_answer(self.enrollment.authority.ca_certs_only(), CACERTS_MEDIA_TYPE)

    async def _csrattrs(self, _request: web.BaseRequest) -> web.Response:
        return est_answer(CSR_ATTRIBUTES, CSRATTRS_MEDIA_TYPE)

    async def _enroll(self, request: web.BaseRequest) -> web.Response:
        who = self._applicant(request)
        key = await self._read_csr(request)
        now_ns = self.clock.wall_ns()
        certificate = await self.keeper.call_newcomer(
            lambda: self.enrollment.enroll(who.token, key, who.address, now_ns)
        )
        log.info("enrolled a key with token %s from %s", who.token.token_id, who.address)
        self._give_back(who, 1)
        return self._issued(certificate)

    async def _tpm_challenge(self, request: web.BaseRequest) -> web.Response:
        who = self._applicant(request)
        check_length(request, MAX_REQUEST_BYTES)
        body = await read_body(request, MAX_REQUEST_BYTES, self.request_timeout_s)
        try:
            asked = ResidencyRequest.decode(body)
        except SessionError as error:
            raise refuse(SessionCode.RESIDENCY_INVALID, f"{error.what}: {error.came}", error.allowed) from error
        now_ns = self.clock.wall_ns()
        claim = await asyncio.to_thread(self.residency.examine, asked, now_ns)
        challenge = await self.keeper.call_newcomer(lambda: self.residency.challenge(who.token, claim, now_ns))
        return json_answer(challenge.encode())

    async def _tpm_enroll(self, request: web.BaseRequest) -> web.Response:
        who = self._applicant(request)
        check_length(request, MAX_PROOF_BYTES)
        body = await read_body(request, MAX_PROOF_BYTES, self.request_timeout_s)
        now_ns = self.clock.wall_ns()
        try:
            proof = ResidencyProof.decode(body)
        except SessionError as error:
            raise refuse(SessionCode.RESIDENCY_INVALID, f"{error.what}: {error.came}", error.allowed) from error
        certificate = await self.keeper.call_newcomer(
            lambda: self.residency.enroll(who.token, proof, who.address, now_ns)
        )
        log.info("enrolled a TPM key with token %s from %s", who.token.token_id, who.address)
        self._give_back(who, 2)  # the challenge was paid for too
        return self._issued(certificate)

    async def _reenroll(self, request: web.BaseRequest) -> web.Response:
        try:
            proved = (await self.admission.admit(request)).key
        except RefusedError as error:
            error.action = error.action or _RENEWAL_REFUSED
            raise
        self._throttle(proved.sensor_id)
        key = await self._read_csr(request)
        address, now_ns = request.remote or "unknown", self.clock.wall_ns()
        return self._issued(await self.keeper.call_newcomer(lambda: self.renewal.renew(proved, key, address, now_ns)))

    async def _recover(self, request: web.BaseRequest) -> web.Response:
        address = request.remote or "unknown"
        self._throttle(network_of(address))
        check_length(request, MAX_RECOVERY_BYTES)
        body = await read_body(request, MAX_RECOVERY_BYTES, self.request_timeout_s)
        try:
            asked = RecoveryRequest.from_json(body)
            key = read_csr_der(asked.request_der)
        except (SessionError, CsrError) as error:
            raise refuse(SessionCode.REQUEST_INVALID, error.came, error.allowed) from error
        now_ns = self.clock.wall_ns()
        certificate = await self.keeper.call_newcomer(lambda: self.renewal.recover(asked, key, address, now_ns))
        log.info("recovered %s from %s", asked.sensor_id, address)
        return self._issued(certificate)

    def _applicant(self, request: web.BaseRequest) -> _Applicant:
        """Who wants to enroll, with a token that this collector made; asked after the quota, before the body."""
        address = request.remote or "unknown"
        network = network_of(address)
        self._throttle(network)
        value = request.headers.get("Authorization")
        if value is None:
            raise refuse(SessionCode.TOKEN_MISSING, "no Authorization header", "Basic with the token's id and secret")
        try:
            token = EnrollmentToken.from_authorization(value)
        except SessionError as error:
            raise refuse(SessionCode.TOKEN_UNKNOWN, error.came, error.allowed) from error
        # Without the writer: who guesses tokens must not make anybody wait for the disk.
        known = self.find_token(token)
        if known is None:
            raise refuse(SessionCode.TOKEN_UNKNOWN, f"token {token.token_id}", "an open token of this collector")
        return _Applicant(address, network, token, fresh=known.used_ns is None)

    def _throttle(self, who: str) -> None:
        now_s = self.clock.monotonic_s()
        wait_s = self.quota.wait_s(who, 1, now_s)
        if wait_s > 0:
            allowed = f"{self.quota.per_minute} attempts a minute that fail"
            raise refuse(SessionCode.ENROLLMENT_RATE, who, allowed, retry_after_s=max(1, math.ceil(wait_s)))
        self.quota.take(who, 1, now_s)

    def _give_back(self, who: _Applicant, attempts: int) -> None:
        """Only attempts that fail cost: a hundred boxes may come in behind one address. A token is good for this once,
        so that a lost answer asked for again and again costs too.
        """
        if who.fresh:
            self.quota.give_back(who.network, attempts, self.clock.monotonic_s())

    async def _read_csr(self, request: web.BaseRequest) -> EllipticCurvePublicKey:
        check_length(request, MAX_CSR_BYTES)
        body = await read_body(request, MAX_CSR_BYTES, self.request_timeout_s)
        try:
            return read_csr(body)
        except CsrError as error:
            raise refuse(SessionCode.REQUEST_INVALID, error.came, error.allowed) from error

    def _issued(self, certificate_der: bytes) -> web.Response:
        return est_answer(self.enrollment.authority.certs_only(certificate_der), CERTIFICATE_MEDIA_TYPE)
