"""Where boxes ask for updates: what is offered to them, and the bundle by pieces.

Rules of this file: bytes in and out of the update's words, no rule of its own. A box gets the bundle of its own offer
and no other. So few pieces are read at once that alerts do not wait for them; who comes then comes again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from appliance.wire.codes import SessionCode
from appliance.wire.fields import SessionError, parse_int
from appliance.wire.heartbeat import SystemHealth
from appliance.wire.update import (
    BUNDLE_MEDIA_TYPE,
    BUNDLE_PATH,
    UPDATE_HEADER,
    UPDATE_PATH,
    Offer,
    dump_offer,
    parse_range_header,
)
from collector_client.ingest.admission import Admission
from collector_client.ingest.body import json_answer
from collector_client.ingest.keeper import BUSY_RETRY_S, Keeper
from collector_client.ingest.refuse import refuse
from collector_client.store import Control, updates
from collector_client.store.clock import Clock
from collector_client.store.sensors import SensorRecord
from collector_client.store.updates import UpdateRecord
from collector_client.updates import read_piece

PIECES_IN_HAND = 8


@dataclass(slots=True)
class Distributor:
    """Answers boxes that ask for updates, and keeps what they say of them; everything it needs is handed in."""

    admission: Admission
    reading: Control
    writing: Control
    keeper: Keeper
    directory: Path
    clock: Clock
    charge: Callable[[SensorRecord, int], None]
    """Takes something from a sensor's quota, or refuses."""
    _in_hand: int = field(default=0, init=False)
    _told: dict[str, tuple[int, int]] = field(default_factory=dict, init=False)
    """The last outcome of each sensor that is known to be on disk."""

    def routes(self) -> Mapping[str, tuple[str, Callable[[web.BaseRequest], Awaitable[web.Response]]]]:
        """Path to method and handler."""
        return {UPDATE_PATH: ("GET", self._offer), BUNDLE_PATH: ("GET", self._piece)}

    async def outcomes(self, sensor_id: str, system: SystemHealth | None) -> None:
        """Keep what a heartbeat says of updates; returns once it is on disk.

        Raises:
            RefusedError: the store failed.
        """
        if system is None or not system.outcomes:
            return
        last = (system.outcomes[-1].number, system.outcomes[-1].at_ns)
        if self._told.get(sensor_id) == last:
            return
        now_ns = self.clock.wall_ns()

        def keep() -> None:
            with self.writing.transaction() as connection:
                updates.record_outcomes(connection, sensor_id, system.outcomes, now_ns)

        await self.keeper.call(keep)
        self._told[sensor_id] = last

    async def _offer(self, request: web.BaseRequest) -> web.Response:
        sensor = (await self.admission.admit(request)).sensor
        self.charge(sensor, 1)
        record = self._offered(sensor)
        if record is None:
            return json_answer(dump_offer(None))
        offer = Offer(record.update_id, record.version, record.size_bytes, record.sha256, bool(record.older))
        return json_answer(dump_offer(offer))

    async def _piece(self, request: web.BaseRequest) -> web.Response:
        sensor = (await self.admission.admit(request)).sensor
        self.charge(sensor, 1)
        try:
            update_id = parse_int(UPDATE_HEADER, request.headers.get(UPDATE_HEADER, ""), low=1)
            first, size = parse_range_header(request.headers.get("Range", ""))
        except SessionError as error:
            raise refuse(SessionCode.HEADER_INVALID, f"{error.what}: {error.came}", error.allowed) from error
        record = self._offered(sensor)
        if record is None or record.update_id != update_id or first >= record.size_bytes:
            offered = "nothing" if record is None else f"update {record.update_id} of {record.size_bytes} bytes"
            raise refuse(SessionCode.UPDATE_NOT_OFFERED, f"byte {first} of update {update_id}", offered)
        if self._in_hand >= PIECES_IN_HAND:
            came = f"{self._in_hand} pieces in hand"
            raise refuse(SessionCode.BUSY, came, f"at most {PIECES_IN_HAND}", retry_after_s=BUSY_RETRY_S)
        self._in_hand += 1
        try:
            data = await asyncio.to_thread(read_piece, self.directory, record.sha256, first, size)
        finally:
            self._in_hand -= 1
        headers = {
            "Content-Type": BUNDLE_MEDIA_TYPE,
            "Content-Range": f"bytes {first}-{first + len(data) - 1}/{record.size_bytes}",
            "Cache-Control": "no-store",
        }
        return web.Response(status=206, body=data, headers=headers)

    def _offered(self, sensor: SensorRecord) -> UpdateRecord | None:
        with self.reading.reading() as connection:
            return updates.offered_to(connection, sensor)
