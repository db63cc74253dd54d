"""Who is revoked loses the connections it has, within seconds, whoever revoked it and however idle it is.

Rules of this file: each request asks for itself whether its sensor may speak (peer.py); this is for connections on
which no request comes. `look` is called once a second. It asks the store only whether anything has changed since, and
only then for the keys that are connected; a key's own end comes with time, so it asks every `_AT_LEAST_S` all the same.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from collector_client.ingest.connections import Connections
from collector_client.store import Control, StoreError, keys
from collector_client.store.clock import Clock

log = logging.getLogger("vedette.ingest")

_AT_LEAST_S = 30.0


class Revocation:
    """Closes the connections of keys that may not speak any more; `control` is for it alone."""

    def __init__(self, control: Control, connections: Connections, clock: Clock) -> None:
        self._control = control
        self._connections = connections
        self._clock = clock
        self._version = -1
        self._again_s = 0.0

    async def look(self) -> None:
        """One look. A store that cannot be read is told to the log and asked again at the next one."""
        try:
            version = await asyncio.to_thread(self._control.version)
            if version == self._version and self._clock.monotonic_s() < self._again_s:
                return
            # After the version: a connection that is not among these asks the store itself, later than that.
            connected = {connection.key_id for connection in self._connections.enrolled()}
            silenced = await asyncio.to_thread(self._silenced, connected, self._clock.wall_ns())
        except StoreError as error:
            log.warning("cannot look for revoked sensors: %s", error)
            return
        self._version, self._again_s = version, self._clock.monotonic_s() + _AT_LEAST_S
        for sensor_id in self._connections.close_of_keys(silenced):
            log.warning("closed the connections of %s: revoked, or its key has ended", sensor_id)

    def _silenced(self, key_ids: Iterable[str], now_ns: int) -> set[str]:
        with self._control.reading() as connection:
            return keys.silenced(connection, key_ids, now_ns)
