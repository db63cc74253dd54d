"""From a connection to the sensor that speaks on it.

Rules of this file: asked anew for each request, because a connection outlives what was true when it began. A key's
first word supersedes the one before it, and that is on disk before anything is answered.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from aiohttp import web

from appliance.wire.codes import SessionCode
from appliance.wire.session import SessionError, parse_run
from collector_client.ingest.clones import Clones
from collector_client.ingest.connections import Connection, Connections
from collector_client.ingest.keeper import Keeper
from collector_client.ingest.peer import Admitted, Gate
from collector_client.ingest.refuse import refuse
from collector_client.ingest.renewal import Renewal
from collector_client.store.clock import Clock
from collector_client.store.sensors import SensorRecord

log = logging.getLogger("vedette.ingest")

CONNECTION = web.RequestKey("connection", Connection)
"""Under this name a request carries its connection."""


@dataclass(frozen=True, slots=True)
class Admission:
    """Lets sensors in; everything it needs is handed in."""

    gate: Gate
    renewal: Renewal
    clones: Clones
    keeper: Keeper
    connections: Connections
    clock: Clock

    async def admit(self, request: web.BaseRequest) -> Admitted:
        """Who speaks, and by which key.

        Raises:
            RefusedError: see `Gate.admit`; or the store failed.
            ConnectionResetError: the peer is gone.
        """
        transport = request.transport
        if transport is None:
            raise ConnectionResetError
        tls = transport.get_extra_info("ssl_object")
        now_ns = self.clock.wall_ns()
        admitted = self.gate.admit(tls.getpeercert(binary_form=True), now_ns)
        # Before anything is awaited: a revocation that comes meanwhile must find the connection.
        self.connections.recognize(request[CONNECTION], admitted.sensor.sensor_id, admitted.key.key_id)
        if admitted.key.state(now_ns) == "unused":
            await self.keeper.call(lambda: self.renewal.first_use(admitted.key, now_ns))
        return admitted

    async def admit_single(self, request: web.BaseRequest) -> SensorRecord:
        """Who speaks, put into quarantine at once when this request proves that two boxes speak as it.

        Raises:
            RefusedError, ConnectionResetError: as `admit`; or the run that it names has another form.
        """
        sensor = (await self.admit(request)).sensor
        try:
            run = parse_run(request.headers)
        except SessionError as error:
            raise refuse(SessionCode.HEADER_INVALID, f"{error.what}: {error.came}", error.allowed) from error
        if sensor.quarantined_ns is not None:
            self.clones.forget(sensor.sensor_id)
            return sensor
        who = self.clones.heard(sensor.sensor_id, run, request[CONNECTION].number, request.remote or "unknown")
        return sensor if who is None else await self.quarantine(sensor, f"two boxes: {who}")

    async def quarantine(self, sensor: SensorRecord, reason: str) -> SensorRecord:
        """Take no batches of the sensor from now on; returns its record as it is then.

        Raises:
            RefusedError: the store failed.
        """
        now_ns = self.clock.wall_ns()
        log.warning("%s is put in quarantine: %s", sensor.sensor_id, reason)
        await self.keeper.call(lambda: self.renewal.quarantine(sensor.sensor_id, reason, now_ns))
        return sensor._replace(quarantined_ns=now_ns, quarantine_reason=reason)
