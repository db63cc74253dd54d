"""From a connection to the sensor that speaks on it.

Rules of this file: asked anew for each request, because a connection outlives what was true when it began. A key's
first word supersedes the one before it, and that is on disk before anything is answered.
"""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from collector_client.ingest.keeper import Keeper
from collector_client.ingest.peer import Admitted, Gate
from collector_client.ingest.renewal import Renewal
from collector_client.store.clock import Clock


@dataclass(frozen=True, slots=True)
class Admission:
    """Lets sensors in; everything it needs is handed in."""

    gate: Gate
    renewal: Renewal
    keeper: Keeper
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
        if admitted.key.state(now_ns) == "unused":
            await self.keeper.call(lambda: self.renewal.first_use(admitted.key, now_ns))
        return admitted
