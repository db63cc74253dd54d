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
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from appliance.wire import session
from appliance.wire.codes import SessionCode
from appliance.wire.fields import plain
from appliance.wire.heartbeat import MAX_HEARTBEAT_BYTES, Heartbeat, HeartbeatAnswer
from appliance.wire.recovery import KEPT, MAX_RECOVERY_BYTES, RECOVERY_PATH, RecoveryKey
from appliance.wire.session import MAX_BATCH_BYTES, BatchHeader, ConfigAnswer, Refusal, SessionError
from collector_client.ingest.admission import Admission
from collector_client.ingest.batch import DocumentRefusedError, Parser, check_fork, check_range, receipt_for
from collector_client.ingest.body import check_length, json_answer, read_body
from collector_client.ingest.desk import Desk, Handler
from collector_client.ingest.distributor import Distributor
from collector_client.ingest.escrow import Escrow
from collector_client.ingest.keeper import BUSY_RETRY_S, Keeper
from collector_client.ingest.peer import quarantined
from collector_client.ingest.quota import Quota
from collector_client.ingest.refuse import RefusedError, refuse, refuse_document
from collector_client.ingest.timekeeper import Timekeeper
from collector_client.store import BatchToStore
from collector_client.store.clock import Clock
from collector_client.store.sensors import SensorRecord

log = logging.getLogger("vedette.ingest")

CONFIG_VERSION = 1
_BYTES_PER_EVENT = 4096
"""What a body costs at least: one event of the quota for each so many bytes as they travel."""
_REFUSED_DOCUMENT_COST = 20
"""A document refused whole costs this part of the sensor's minute, because its bytes are kept."""


@dataclass(frozen=True, slots=True)
class Quotas:
    """What a batch pays from; enrollment pays at the desk."""

    sensor: Quota
    tenant: Quota

    def charge(self, sensor: SensorRecord, cost: int, now_s: float) -> None:
        """Charge both, or neither and refuse.

        Raises:
            RefusedError: one of the two is used up.
        """
        asked = (
            (SessionCode.SENSOR_QUOTA, self.sensor, sensor.sensor_id),
            (SessionCode.TENANT_QUOTA, self.tenant, sensor.tenant_id),
        )
        for code, quota, key in asked:
            wait_s = quota.wait_s(key, cost, now_s)
            if wait_s > 0:
                raise refuse(
                    code, f"{cost} events", f"{quota.per_minute} a minute", retry_after_s=max(1, math.ceil(wait_s))
                )
        for _, quota, key in asked:
            quota.take(key, cost, now_s)


@dataclass(slots=True)
class Endpoint:
    """Handles requests; everything it needs is handed in."""

    admission: Admission
    desk: Desk
    timekeeper: Timekeeper
    distributor: Distributor
    escrow: Escrow
    quotas: Quotas
    parser: Parser
    keeper: Keeper
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
            await self.desk.audit(request, error)
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
        methods: Mapping[str, tuple[str, Handler]] = {
            session.BATCHES_PATH: ("POST", self._batch),
            session.HEARTBEAT_PATH: ("POST", self._heartbeat),
            session.CONFIG_PATH: ("GET", self._config),
            RECOVERY_PATH: ("POST", self._recovery_key),
            **self.timekeeper.routes(),
            **self.desk.routes(),
            **self.distributor.routes(),
        }
        if request.path not in methods:
            raise refuse(SessionCode.PATH, request.path[:80], ", ".join(methods))
        method, handler = methods[request.path]
        if request.method != method:
            raise refuse(SessionCode.METHOD, request.method[:20], method)
        return handler

    async def _batch(self, request: web.BaseRequest) -> web.Response:
        sensor = await self.admission.admit_single(request)
        if sensor.quarantined_ns is not None:
            raise quarantined(sensor)
        try:
            header = BatchHeader.from_headers(request.headers)
        except SessionError as error:
            code = SessionCode.CONTENT_ENCODING if error.what == session.ENCODING_HEADER else SessionCode.HEADER_INVALID
            raise refuse(code, f"{error.what}: {error.came}", error.allowed) from error
        announced = check_range(header)
        check_length(request, MAX_BATCH_BYTES)
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
        body = await read_body(request, MAX_BATCH_BYTES, self.request_timeout_s)
        self._charge_rest(sensor, len(body), paid)
        now_ns = self.clock.wall_ns()
        try:
            batch = await self.parse_apart(lambda: self.parser.parse(sensor.sensor_id, header, body, now_ns))
        except DocumentRefusedError as error:
            self.quotas.sensor.charge_part(sensor.sensor_id, _REFUSED_DOCUMENT_COST, self.clock.monotonic_s())
            await self.keeper.quarantine(sensor.sensor_id, now_ns, error.rejected)
            raise refuse_document(error.error) from error
        stored = await self.keeper.store(batch)
        if stored.conflicts:
            came = f"other content for {len(stored.conflicts)} stored numbers of epoch {batch.epoch}"
            await self.admission.quarantine(sensor, f"its sequence forked: {came}")
        check_fork(stored)
        slow_down_ms = max(
            self.quotas.sensor.slow_down_ms(sensor.sensor_id, self.clock.monotonic_s()),
            self.quotas.tenant.slow_down_ms(sensor.tenant_id, self.clock.monotonic_s()),
        )
        receipt = receipt_for(header, stored, batch.rejected, self.clock.wall_ns(), slow_down_ms)
        return json_answer(receipt.to_json())

    def _throttle(self, sensor: SensorRecord, cost: int) -> None:
        self.quotas.charge(sensor, cost, self.clock.monotonic_s())

    def _charge_rest(self, sensor: SensorRecord, size: int, paid: int) -> None:
        """A body without a Content-Length pays for its bytes once they are known."""
        rest = _cost(size) - paid
        if rest > 0:
            now_s = self.clock.monotonic_s()
            self.quotas.sensor.take(sensor.sensor_id, rest, now_s)
            self.quotas.tenant.take(sensor.tenant_id, rest, now_s)

    async def _heartbeat(self, request: web.BaseRequest) -> web.Response:
        sensor = await self.admission.admit_single(request)
        check_length(request, MAX_HEARTBEAT_BYTES)
        cost = _cost(request.content_length)
        self._throttle(sensor, cost)
        body = await read_body(request, MAX_HEARTBEAT_BYTES, self.request_timeout_s)
        self._charge_rest(sensor, len(body), cost)
        try:
            heartbeat = Heartbeat.from_json(body)
        except SessionError as error:
            raise refuse(SessionCode.HEARTBEAT_INVALID, f"{error.what}: {error.came}", error.allowed) from error
        now_ns = self.clock.wall_ns()
        # Written anew from what was understood, so that the store holds no field nobody checked.
        await self.keeper.heartbeat(sensor.sensor_id, now_ns, heartbeat.to_json().decode("utf-8"))
        await self.distributor.outcomes(sensor.sensor_id, heartbeat.system)
        slow_down_ms = self.quotas.sensor.slow_down_ms(sensor.sensor_id, self.clock.monotonic_s())
        return json_answer(HeartbeatAnswer(self.clock.wall_ns(), slow_down_ms).to_json())

    async def _recovery_key(self, request: web.BaseRequest) -> web.Response:
        sensor = await self.admission.admit_single(request)
        check_length(request, MAX_RECOVERY_BYTES)
        self._throttle(sensor, 1)
        body = await read_body(request, MAX_RECOVERY_BYTES, self.request_timeout_s)
        try:
            key = RecoveryKey.from_json(body)
        except SessionError as error:
            raise refuse(SessionCode.RECOVERY_KEY_INVALID, f"{error.what}: {error.came}", error.allowed) from error
        await self.keeper.call(lambda: self.escrow.keep(sensor.sensor_id, key))
        return json_answer(KEPT)

    async def _config(self, request: web.BaseRequest) -> web.Response:
        sensor = (await self.admission.admit(request)).sensor
        self._throttle(sensor, 1)
        why = quarantined(sensor).refusal.came if sensor.quarantined_ns is not None else ""
        return json_answer(ConfigAnswer(CONFIG_VERSION, self.clock.wall_ns(), plain(why)).to_json())

    def _refused(self, request: web.BaseRequest, refusal: Refusal) -> web.Response:
        # The path is percent-decoded: it may hold line ends and terminal escapes.
        method, path = plain(request.method, 20), plain(request.path, 80)
        log.info("%s %s %s: %s (%s)", request.remote, method, path, refusal.code, refusal.came)
        headers = refusal.to_headers()
        if refusal.status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="vedette"'
        if refusal.code == str(SessionCode.METHOD):
            headers["Allow"] = refusal.allowed
        return web.Response(
            status=refusal.status, body=refusal.to_json(), headers=headers, content_type="application/json"
        )


def _cost(size: int | None) -> int:
    """What a body of so many bytes costs at least, in events."""
    return max(1, (size or 0) // _BYTES_PER_EVENT)
