"""The HTTP interface for sensors: paths to handlers, bodies within bounds, refusals to answers.

Rules of this file: bytes in and out of the session's words, no rule of its own. Order for a batch: who (AUTH),
whether now (THROTTLE), what (INPUT), as in 2001. A body is read only after the first two, never beyond its limit,
never longer than the timeout. Every answer is JSON (or EST's base64) and every refusal is a code; a fault of ours is
a 503 that says so.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from appliance.wire import session
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
    encode_base64,
)
from appliance.wire.fields import plain
from appliance.wire.heartbeat import MAX_HEARTBEAT_BYTES, Heartbeat, HeartbeatAnswer
from appliance.wire.residency import (
    MAX_PROOF_BYTES,
    MAX_REQUEST_BYTES,
    TPM_CHALLENGE_PATH,
    TPM_ENROLL_PATH,
    ResidencyProof,
    ResidencyRequest,
)
from appliance.wire.session import MAX_BATCH_BYTES, BatchHeader, ConfigAnswer, Refusal, SessionError
from collector_client.ingest.batch import DocumentRefusedError, Parser, check_fork, check_range, receipt_for
from collector_client.ingest.enrollment import Enrollment
from collector_client.ingest.keeper import BUSY_RETRY_S, Keeper
from collector_client.ingest.peer import Admitted, Gate
from collector_client.ingest.quota import Quota, network_of
from collector_client.ingest.refusals import Refusals
from collector_client.ingest.refuse import RefusedError, refuse, refuse_document
from collector_client.ingest.renewal import Renewal
from collector_client.ingest.residency import Residency
from collector_client.pki import CSR_ATTRIBUTES, CsrError, read_csr, read_csr_der
from collector_client.store import BatchToStore
from collector_client.store.clock import Clock
from collector_client.store.sensors import SensorRecord

log = logging.getLogger("vedette.ingest")

CONFIG_VERSION = 1
_BYTES_PER_EVENT = 4096
"""What a body costs at least: one event of the quota for each so many bytes as they travel."""
_REFUSED_DOCUMENT_COST = 20
"""A document refused whole costs this part of the sensor's minute, because its bytes are kept."""

_ENROLLMENT_PATHS = (SIMPLEENROLL_PATH, SIMPLEREENROLL_PATH, RECOVER_PATH, TPM_CHALLENGE_PATH, TPM_ENROLL_PATH)
"""Refusals at these are written into the audit."""

Handler = Callable[[web.BaseRequest], Awaitable[web.Response]]


@dataclass(frozen=True, slots=True)
class Quotas:
    """The three kinds of quota."""

    sensor: Quota
    tenant: Quota
    enrollment: Quota


@dataclass(slots=True)
class Endpoint:
    """Handles requests; everything it needs is handed in."""

    gate: Gate
    quotas: Quotas
    parser: Parser
    keeper: Keeper
    enrollment: Enrollment
    renewal: Renewal
    residency: Residency
    refusals: Refusals
    clock: Clock
    parse_apart: Callable[[Callable[[], BatchToStore]], Awaitable[BatchToStore]]
    batches_in_hand: int
    request_timeout_s: float
    _in_hand: int = field(default=0, init=False)

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """Answer one request; never raises but for cancellation and a connection that is gone."""
        try:
            return await self._route(request)(request)
        except RefusedError as error:
            if request.path in _ENROLLMENT_PATHS and not error.audited:
                await self._audit(request, error.refusal)
            return self._refused(request, error.refusal)
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception:
            log.exception("%s %s failed", plain(request.method, 20), plain(request.path, 80))
            code = SessionCode.COLLECTOR_FAILED
            return self._refused(
                request,
                Refusal(code.status, str(code), "a request that met a fault here", "none", code.do, BUSY_RETRY_S),
            )

    def _route(self, request: web.BaseRequest) -> Handler:
        methods: dict[str, tuple[str, Handler]] = {
            session.BATCHES_PATH: ("POST", self._batch),
            session.HEARTBEAT_PATH: ("POST", self._heartbeat),
            session.CONFIG_PATH: ("GET", self._config),
            SIMPLEENROLL_PATH: ("POST", self._enroll),
            SIMPLEREENROLL_PATH: ("POST", self._reenroll),
            TPM_CHALLENGE_PATH: ("POST", self._tpm_challenge),
            TPM_ENROLL_PATH: ("POST", self._tpm_enroll),
            RECOVER_PATH: ("POST", self._recover),
            CACERTS_PATH: ("GET", self._cacerts),
            CSRATTRS_PATH: ("GET", self._csrattrs),
        }
        if request.path not in methods:
            raise refuse(SessionCode.PATH, request.path[:80], ", ".join(methods))
        method, handler = methods[request.path]
        if request.method != method:
            raise refuse(SessionCode.METHOD, request.method[:20], method)
        return handler

    async def _batch(self, request: web.BaseRequest) -> web.Response:
        sensor = (await self._admit(request)).sensor
        try:
            header = BatchHeader.from_headers(request.headers)
        except SessionError as error:
            code = SessionCode.CONTENT_ENCODING if error.what == session.ENCODING_HEADER else SessionCode.HEADER_INVALID
            raise refuse(code, f"{error.what}: {error.came}", error.allowed) from error
        announced = check_range(header)
        _check_length(request, MAX_BATCH_BYTES)
        if self._in_hand >= self.batches_in_hand:
            came = f"{self._in_hand} batches in hand"
            raise refuse(SessionCode.BUSY, came, f"at most {self.batches_in_hand}", retry_after_s=BUSY_RETRY_S)
        cost = max(announced, _cost(request.content_length))
        self._throttle(sensor, cost)
        self._in_hand += 1
        try:
            return await self._take_batch(request, sensor, header, cost)
        finally:
            self._in_hand -= 1

    async def _take_batch(
        self, request: web.BaseRequest, sensor: SensorRecord, header: BatchHeader, paid: int
    ) -> web.Response:
        body = await self._read(request, MAX_BATCH_BYTES)
        self._charge_rest(sensor, len(body), paid)
        now_ns = self.clock.wall_ns()
        try:
            batch = await self.parse_apart(lambda: self.parser.parse(sensor.sensor_id, header, body, now_ns))
        except DocumentRefusedError as error:
            self.quotas.sensor.charge_part(sensor.sensor_id, _REFUSED_DOCUMENT_COST, self.clock.monotonic_s())
            await self.keeper.quarantine(sensor.sensor_id, now_ns, error.rejected)
            raise refuse_document(error.error) from error
        stored = await self.keeper.store(batch)
        check_fork(stored)
        slow_down_ms = max(
            self.quotas.sensor.slow_down_ms(sensor.sensor_id, self.clock.monotonic_s()),
            self.quotas.tenant.slow_down_ms(sensor.tenant_id, self.clock.monotonic_s()),
        )
        receipt = receipt_for(header, stored, batch.rejected, self.clock.wall_ns(), slow_down_ms)
        return _json(receipt.to_json())

    def _throttle(self, sensor: SensorRecord, cost: int) -> None:
        """Charge both quotas, or neither and refuse."""
        now_s = self.clock.monotonic_s()
        asked = (
            (SessionCode.SENSOR_QUOTA, self.quotas.sensor, sensor.sensor_id),
            (SessionCode.TENANT_QUOTA, self.quotas.tenant, sensor.tenant_id),
        )
        for code, quota, key in asked:
            wait_s = quota.wait_s(key, cost, now_s)
            if wait_s > 0:
                raise refuse(
                    code, f"{cost} events", f"{quota.per_minute} a minute", retry_after_s=max(1, math.ceil(wait_s))
                )
        for _, quota, key in asked:
            quota.take(key, cost, now_s)

    def _charge_rest(self, sensor: SensorRecord, size: int, paid: int) -> None:
        """A body without a Content-Length pays for its bytes once they are known."""
        rest = _cost(size) - paid
        if rest > 0:
            now_s = self.clock.monotonic_s()
            self.quotas.sensor.take(sensor.sensor_id, rest, now_s)
            self.quotas.tenant.take(sensor.tenant_id, rest, now_s)

    async def _heartbeat(self, request: web.BaseRequest) -> web.Response:
        sensor = (await self._admit(request)).sensor
        _check_length(request, MAX_HEARTBEAT_BYTES)
        cost = _cost(request.content_length)
        self._throttle(sensor, cost)
        body = await self._read(request, MAX_HEARTBEAT_BYTES)
        self._charge_rest(sensor, len(body), cost)
        try:
            heartbeat = Heartbeat.from_json(body)
        except SessionError as error:
            raise refuse(SessionCode.HEARTBEAT_INVALID, f"{error.what}: {error.came}", error.allowed) from error
        now_ns = self.clock.wall_ns()
        # Written anew from what was understood, so that the store holds no field nobody checked.
        await self.keeper.heartbeat(sensor.sensor_id, now_ns, heartbeat.to_json().decode("utf-8"))
        slow_down_ms = self.quotas.sensor.slow_down_ms(sensor.sensor_id, self.clock.monotonic_s())
        return _json(HeartbeatAnswer(self.clock.wall_ns(), slow_down_ms).to_json())

    async def _config(self, request: web.BaseRequest) -> web.Response:
        self._throttle((await self._admit(request)).sensor, 1)
        return _json(ConfigAnswer(CONFIG_VERSION, self.clock.wall_ns()).to_json())

    async def _cacerts(self, _request: web.BaseRequest) -> web.Response:
        return _est(self.enrollment.authority.ca_certs_only(), CACERTS_MEDIA_TYPE)

    async def _csrattrs(self, _request: web.BaseRequest) -> web.Response:
        return _est(CSR_ATTRIBUTES, CSRATTRS_MEDIA_TYPE)

    async def _enroll(self, request: web.BaseRequest) -> web.Response:
        address, token = self._applicant(request)
        key = await self._read_csr(request)
        now_ns = self.clock.wall_ns()
        certificate = await self.keeper.call(lambda: self.enrollment.enroll(token, key, address, now_ns))
        log.info("enrolled a key with token %s from %s", token.token_id, address)
        return _est(self.enrollment.authority.certs_only(certificate), CERTIFICATE_MEDIA_TYPE)

    async def _tpm_challenge(self, request: web.BaseRequest) -> web.Response:
        _, token = self._applicant(request)
        _check_length(request, MAX_REQUEST_BYTES)
        await self.keeper.call(lambda: self.residency.admit(token))
        body = await self._read(request, MAX_REQUEST_BYTES)
        try:
            asked = ResidencyRequest.decode(body)
        except SessionError as error:
            raise refuse(SessionCode.RESIDENCY_INVALID, f"{error.what}: {error.came}", error.allowed) from error
        now_ns = self.clock.wall_ns()
        claim = await asyncio.to_thread(self.residency.examine, asked, now_ns)
        challenge = await self.keeper.call(lambda: self.residency.challenge(token, claim, now_ns))
        return _json(challenge.encode())

    async def _tpm_enroll(self, request: web.BaseRequest) -> web.Response:
        address, token = self._applicant(request)
        _check_length(request, MAX_PROOF_BYTES)
        body = await self._read(request, MAX_PROOF_BYTES)
        now_ns = self.clock.wall_ns()
        try:
            proof = ResidencyProof.decode(body)
        except SessionError as error:
            raise refuse(SessionCode.RESIDENCY_INVALID, f"{error.what}: {error.came}", error.allowed) from error
        certificate = await self.keeper.call(lambda: self.residency.enroll(token, proof, address, now_ns))
        log.info("enrolled a TPM key with token %s from %s", token.token_id, address)
        return _est(self.enrollment.authority.certs_only(certificate), CERTIFICATE_MEDIA_TYPE)

    def _applicant(self, request: web.BaseRequest) -> tuple[str, EnrollmentToken]:
        """Address and token of who wants to enroll, after the quota."""
        address = request.remote or "unknown"
        self._throttle_enrollment(network_of(address))
        value = request.headers.get("Authorization")
        if value is None:
            raise refuse(SessionCode.TOKEN_MISSING, "no Authorization header", "Basic with the token's id and secret")
        try:
            return address, EnrollmentToken.from_authorization(value)
        except SessionError as error:
            raise refuse(SessionCode.TOKEN_UNKNOWN, error.came, error.allowed) from error

    async def _audit(self, request: web.BaseRequest, refusal: Refusal) -> None:
        address, now_ns = request.remote or "unknown", self.clock.wall_ns()
        row = self.refusals.row(refusal, address, request.headers.get("Authorization"), self.clock.monotonic_s())
        if row is not None:
            try:
                await self.keeper.call(lambda: self.refusals.write(row, now_ns))
            except RefusedError as error:
                log.warning("a refused enrollment from %s could not be audited: %s", address, error)

    async def _reenroll(self, request: web.BaseRequest) -> web.Response:
        proved = (await self._admit(request)).key
        self._throttle_enrollment(proved.sensor_id)
        key = await self._read_csr(request)
        address, now_ns = request.remote or "unknown", self.clock.wall_ns()
        certificate = await self.keeper.call(lambda: self.renewal.renew(proved, key, address, now_ns))
        return _est(self.enrollment.authority.certs_only(certificate), CERTIFICATE_MEDIA_TYPE)

    async def _recover(self, request: web.BaseRequest) -> web.Response:
        address = request.remote or "unknown"
        self._throttle_enrollment(address)
        _check_length(request, MAX_RECOVERY_BYTES)
        body = await self._read(request, MAX_RECOVERY_BYTES)
        try:
            asked = RecoveryRequest.from_json(body)
            key = read_csr_der(asked.request_der)
        except (SessionError, CsrError) as error:
            raise refuse(SessionCode.REQUEST_INVALID, error.came, error.allowed) from error
        now_ns = self.clock.wall_ns()
        certificate = await self.keeper.call(lambda: self.renewal.recover(asked, key, address, now_ns))
        log.info("recovered %s from %s", asked.sensor_id, address)
        return _est(self.enrollment.authority.certs_only(certificate), CERTIFICATE_MEDIA_TYPE)

    def _throttle_enrollment(self, who: str) -> None:
        now_s = self.clock.monotonic_s()
        wait_s = self.quotas.enrollment.wait_s(who, 1, now_s)
        if wait_s > 0:
            allowed = f"{self.quotas.enrollment.per_minute} attempts a minute"
            raise refuse(SessionCode.ENROLLMENT_RATE, who, allowed, retry_after_s=max(1, math.ceil(wait_s)))
        self.quotas.enrollment.take(who, 1, now_s)

    async def _read_csr(self, request: web.BaseRequest) -> EllipticCurvePublicKey:
        _check_length(request, MAX_CSR_BYTES)
        body = await self._read(request, MAX_CSR_BYTES)
        try:
            return read_csr(body)
        except CsrError as error:
            raise refuse(SessionCode.REQUEST_INVALID, error.came, error.allowed) from error

    async def _admit(self, request: web.BaseRequest) -> Admitted:
        """Who speaks; a key's first word supersedes the one before it, on disk before anything is answered."""
        transport = request.transport
        if transport is None:
            raise ConnectionResetError
        tls = transport.get_extra_info("ssl_object")
        now_ns = self.clock.wall_ns()
        admitted = self.gate.admit(tls.getpeercert(binary_form=True), now_ns)
        if admitted.key.state(now_ns) == "unused":
            await self.keeper.call(lambda: self.renewal.first_use(admitted.key, now_ns))
        return admitted

    async def _read(self, request: web.BaseRequest, max_bytes: int) -> bytes:
        """The body, at most `max_bytes`, whole within the timeout."""
        pieces: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self.request_timeout_s):
                async for piece in request.content.iter_any():
                    size += len(piece)
                    if size > max_bytes:
                        raise refuse(SessionCode.BODY_TOO_LARGE, f"more than {max_bytes} bytes", f"at most {max_bytes}")
                    pieces.append(piece)
        except TimeoutError:
            allowed = f"the whole body within {self.request_timeout_s:g} s"
            raise refuse(SessionCode.BODY_TOO_SLOW, f"{size} bytes in that time", allowed) from None
        return b"".join(pieces)

    def _refused(self, request: web.BaseRequest, refusal: Refusal) -> web.Response:
        # The path is percent-decoded: it may hold line ends and terminal escapes.
        method, path = plain(request.method, 20), plain(request.path, 80)
        log.info("%s %s %s: %s (%s)", request.remote, method, path, refusal.code, refusal.came)
        headers = refusal.to_headers()
        if refusal.status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="vedette"'
        return web.Response(
            status=refusal.status, body=refusal.to_json(), headers=headers, content_type="application/json"
        )


def _cost(size: int | None) -> int:
    """What a body of so many bytes costs at least, in events."""
    return max(1, (size or 0) // _BYTES_PER_EVENT)


def _check_length(request: web.BaseRequest, max_bytes: int) -> None:
    length = request.content_length
    if length is not None and length > max_bytes:
        raise refuse(SessionCode.BODY_TOO_LARGE, f"{length} bytes", f"at most {max_bytes}")


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")


def _est(der: bytes, media_type: str) -> web.Response:
    headers = {"Content-Type": media_type, "Content-Transfer-Encoding": "base64"}
    return web.Response(body=encode_base64(der), headers=headers)
