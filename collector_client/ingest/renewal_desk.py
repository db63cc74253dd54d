"""Where the next certificate is asked for: the handlers of EST's simplereenroll, of renewal by TPM and of recovery.

    path                          who may ask                              what decides
    simplereenroll                a sensor that shows its certificate      `Renewal`
    tpm-rechallenge, -reenroll    a sensor that shows its certificate      `ProvedRenewal`
    recover                       who signs with a known, expired key      `Renewal`
    tpm-recover-challenge         who signs with a known, expired key      `ProvedRenewal`
    tpm-recover                   the TPM that can answer that challenge   `ProvedRenewal`

Rules of this file: bytes in and out of the wire's words, no rule of its own. The certificate comes before the quota,
both before the body.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from appliance.wire.codes import SessionCode
from appliance.wire.enrollment import CERTIFICATE_MEDIA_TYPE, RECOVER_PATH, SIMPLEREENROLL_PATH
from appliance.wire.residency import (
    TPM_RECHALLENGE_PATH,
    TPM_RECOVER_CHALLENGE_PATH,
    TPM_RECOVER_PATH,
    TPM_REENROLL_PATH,
)
from collector_client.ingest import intake
from collector_client.ingest.admission import Admission
from collector_client.ingest.body import est_answer, json_answer
from collector_client.ingest.issuer import Issuer
from collector_client.ingest.keeper import Keeper
from collector_client.ingest.proved_renewal import ProvedRenewal
from collector_client.ingest.quota import Quota, network_of
from collector_client.ingest.refuse import RefusedError, refuse
from collector_client.ingest.renewal import Renewal
from collector_client.pki import CsrError, read_csr_der
from collector_client.store.clock import Clock
from collector_client.store.keys import KeyRecord

log = logging.getLogger("vedette.ingest")

_RENEWAL_REFUSED = "renew refused"


@dataclass(frozen=True, slots=True)
class RenewalDesk:
    """Handles requests of sensors for their next certificate; everything it needs is handed in."""

    admission: Admission
    renewal: Renewal
    proved_renewal: ProvedRenewal
    quota: Quota
    keeper: Keeper
    issuer: Issuer
    clock: Clock
    request_timeout_s: float

    def routes(self) -> Mapping[str, tuple[str, Callable[[web.BaseRequest], Awaitable[web.Response]]]]:
        """Path to method and handler."""
        return {
            SIMPLEREENROLL_PATH: ("POST", self._reenroll),
            TPM_RECHALLENGE_PATH: ("POST", self._tpm_rechallenge),
            TPM_REENROLL_PATH: ("POST", self._tpm_reenroll),
            RECOVER_PATH: ("POST", self._recover),
            TPM_RECOVER_CHALLENGE_PATH: ("POST", self._tpm_recover_challenge),
            TPM_RECOVER_PATH: ("POST", self._tpm_recover),
        }

    async def _reenroll(self, request: web.BaseRequest) -> web.Response:
        proved = await self._proved(request)
        key = await intake.csr_of(request, self.request_timeout_s)
        address, now_ns = request.remote or "unknown", self.clock.wall_ns()
        return self._issued(await self.issuer.call(lambda: self.renewal.renew(proved, key, address, now_ns)))

    async def _tpm_rechallenge(self, request: web.BaseRequest) -> web.Response:
        proved = await self._proved(request)
        asked = await intake.residency_of(request, self.request_timeout_s)
        now_ns = self.clock.wall_ns()
        claim = await asyncio.to_thread(self.proved_renewal.challenges.examine, asked, now_ns)
        challenge = await self.keeper.call_newcomer(lambda: self.proved_renewal.challenge(proved, claim, now_ns))
        return json_answer(challenge.encode())

    async def _tpm_reenroll(self, request: web.BaseRequest) -> web.Response:
        proved = await self._proved(request)
        proof = await intake.proof_of(request, self.request_timeout_s)
        address, now_ns = request.remote or "unknown", self.clock.wall_ns()
        return self._issued(await self.issuer.call(lambda: self.proved_renewal.renew(proved, proof, address, now_ns)))

    async def _recover(self, request: web.BaseRequest) -> web.Response:
        address = self._stranger(request)
        asked = await intake.recovery_of(request, self.request_timeout_s)
        try:
            key = read_csr_der(asked.request)
        except CsrError as error:
            raise refuse(SessionCode.REQUEST_INVALID, error.came, error.allowed) from error
        now_ns = self.clock.wall_ns()
        certificate = await self.issuer.call(lambda: self.renewal.recover(asked, key, address, now_ns))
        log.info("recovered %s from %s", asked.sensor_id, address)
        return self._issued(certificate)

    async def _tpm_recover_challenge(self, request: web.BaseRequest) -> web.Response:
        self._stranger(request)
        asked = await intake.recovery_of(request, self.request_timeout_s)
        now_ns = self.clock.wall_ns()
        residency = intake.read_residency(asked.request)
        # The signature is asked for before the TPM's structures are looked at, which costs more.
        await self.keeper.call_newcomer(lambda: self.renewal.check_signed(asked))
        claim = await asyncio.to_thread(self.proved_renewal.challenges.examine, residency, now_ns)
        challenge = await self.keeper.call_newcomer(
            lambda: self.proved_renewal.recovery_challenge(asked, claim, now_ns)
        )  # fmt: skip
        return json_answer(challenge.encode())

    async def _tpm_recover(self, request: web.BaseRequest) -> web.Response:
        address = self._stranger(request)
        proof = await intake.proof_of(request, self.request_timeout_s)
        now_ns = self.clock.wall_ns()
        certificate = await self.issuer.call(lambda: self.proved_renewal.recover(proof, address, now_ns))
        log.info("recovered a key in a TPM from %s", address)
        return self._issued(certificate)

    async def _proved(self, request: web.BaseRequest) -> KeyRecord:
        """The key that mutual TLS has proved, after the quota."""
        try:
            proved = (await self.admission.admit(request)).key
        except RefusedError as error:
            error.action = error.action or _RENEWAL_REFUSED
            raise
        intake.throttle(self.quota, proved.sensor_id, self.clock.monotonic_s())
        return proved

    def _stranger(self, request: web.BaseRequest) -> str:
        """The address of who shows no certificate, after the quota."""
        address = request.remote or "unknown"
        intake.throttle(self.quota, network_of(address), self.clock.monotonic_s())
        return address

    def _issued(self, certificate_der: bytes) -> web.Response:
        return est_answer(self.issuer.authority.certs_only(certificate_der), CERTIFICATE_MEDIA_TYPE)
