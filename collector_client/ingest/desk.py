"""Where certificates are asked for: the handlers of EST (RFC 7030) and of enrollment by TPM.

    path                     who may ask                          what decides
    cacerts, csrattrs        anybody                              nothing
    simpleenroll             who has a token                      `Enrollment`
    tpm-challenge, -enroll   who has a token                      `Residency`
    element-enroll           who has a token                      `ElementDesk`
    element-renew            whose secure element signs           `ElementDesk`
    all others               who is enrolled                      `RenewalDesk`

Rules of this file: bytes in and out of the enrollment's words, no rule of its own. The quota comes before the token,
both before the body. Every refusal here but those of the first line is for the audit.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from aiohttp import web

from appliance.wire.codes import SessionCode
from appliance.wire.element import ELEMENT_ENROLL_PATH, ELEMENT_RENEW_PATH
from appliance.wire.enrollment import (
    CACERTS_MEDIA_TYPE,
    CACERTS_PATH,
    CERTIFICATE_MEDIA_TYPE,
    CSRATTRS_MEDIA_TYPE,
    CSRATTRS_PATH,
    SIMPLEENROLL_PATH,
    EnrollmentToken,
)
from appliance.wire.residency import (
    TPM_CHALLENGE_PATH,
    TPM_ENROLL_PATH,
)
from appliance.wire.session import SessionError
from collector_client.ingest import intake
from collector_client.ingest.admission import Admission
from collector_client.ingest.body import est_answer, json_answer
from collector_client.ingest.element_desk import ElementDesk
from collector_client.ingest.enrollment import Enrollment
from collector_client.ingest.issuer import Issuer
from collector_client.ingest.keeper import Keeper
from collector_client.ingest.quota import Quota, network_of
from collector_client.ingest.refusals import Refusals
from collector_client.ingest.refuse import RefusedError, refuse
from collector_client.ingest.renewal_desk import RenewalDesk
from collector_client.ingest.residency import Residency
from collector_client.pki import CSR_ATTRIBUTES
from collector_client.store.clock import Clock
from collector_client.store.tokens import TokenRecord

log = logging.getLogger("vedette.ingest")

Handler: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.Response]]

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
    renewals: RenewalDesk
    elements: ElementDesk
    find_token: Callable[[EnrollmentToken], TokenRecord | None]
    refusals: Refusals
    quota: Quota
    keeper: Keeper
    issuer: Issuer
    clock: Clock
    request_timeout_s: float

    def routes(self) -> Mapping[str, tuple[str, Handler]]:
        """Path to method and handler."""
        return {
            SIMPLEENROLL_PATH: ("POST", self._enroll),
            TPM_CHALLENGE_PATH: ("POST", self._tpm_challenge),
            TPM_ENROLL_PATH: ("POST", self._tpm_enroll),
            ELEMENT_ENROLL_PATH: ("POST", self._element_enroll),
            ELEMENT_RENEW_PATH: ("POST", self.elements.renew),
            CACERTS_PATH: ("GET", self._cacerts),
            CSRATTRS_PATH: ("GET", self._csrattrs),
            **self.renewals.routes(),
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
        return est_answer(self.issuer.authority.ca_certs_only(), CACERTS_MEDIA_TYPE)

    async def _csrattrs(self, _request: web.BaseRequest) -> web.Response:
        return est_answer(CSR_ATTRIBUTES, CSRATTRS_MEDIA_TYPE)

    async def _enroll(self, request: web.BaseRequest) -> web.Response:
        who = self._applicant(request)
        key = await intake.csr_of(request, self.request_timeout_s)
        now_ns = self.clock.wall_ns()
        certificate = await self.issuer.call(lambda: self.enrollment.enroll(who.token, key, who.address, now_ns))
        log.info("enrolled a key with token %s from %s", who.token.token_id, who.address)
        self._give_back(who, 1)
        return self._issued(certificate)

    async def _tpm_challenge(self, request: web.BaseRequest) -> web.Response:
        who = self._applicant(request)
        asked = await intake.residency_of(request, self.request_timeout_s)
        now_ns = self.clock.wall_ns()
        claim = await asyncio.to_thread(self.residency.challenges.examine, asked, now_ns)
        challenge = await self.keeper.call_newcomer(lambda: self.residency.challenge(who.token, claim, now_ns))
        return json_answer(challenge.encode())

    async def _tpm_enroll(self, request: web.BaseRequest) -> web.Response:
        who = self._applicant(request)
        proof = await intake.proof_of(request, self.request_timeout_s)
        now_ns = self.clock.wall_ns()
        certificate = await self.issuer.call(lambda: self.residency.enroll(who.token, proof, who.address, now_ns))
        log.info("enrolled a TPM key with token %s from %s", who.token.token_id, who.address)
        self._give_back(who, 2)  # the challenge was paid for too
        return self._issued(certificate)

    async def _element_enroll(self, request: web.BaseRequest) -> web.Response:
        who = self._applicant(request)
        answer = await self.elements.enroll(request, who.token, who.address)
        self._give_back(who, 1)
        return answer

    def _applicant(self, request: web.BaseRequest) -> _Applicant:
        """Who wants to enroll, with a token that this collector made; asked after the quota, before the body."""
        address = request.remote or "unknown"
        network = network_of(address)
        intake.throttle(self.quota, network, self.clock.monotonic_s())
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

    def _give_back(self, who: _Applicant, attempts: int) -> None:
        """Only attempts that fail cost: a hundred boxes may come in behind one address. A token is good for this once,
        so that a lost answer asked for again and again costs too.
        """
        if who.fresh:
            self.quota.give_back(who.network, attempts, self.clock.monotonic_s())

    def _issued(self, certificate_der: bytes) -> web.Response:
        return est_answer(self.issuer.authority.certs_only(certificate_der), CERTIFICATE_MEDIA_TYPE)
