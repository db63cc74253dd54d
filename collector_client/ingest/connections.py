"""Connections under guard: how many there are, whose, and how long one may stay without a request.

    connection    is                                            limited by
    newcomer      one on which no enrolled sensor has spoken    per address: at once, per minute; half of all
    enrolled      one on which a sensor was let in              all there are

    a newcomer comes when              then
    its address has too many           it is closed at once, before TLS
    half of all are newcomers          the oldest gives way, of those that have said nothing or of those that have,
    all are taken                      whichever are more: who floods must keep coming, who is honest needs a second;
                                       a sensor never gives way
    has had its `NEWCOMER_REQUESTS`    it is closed after the answer

Rules of this file: no sockets, no clock of its own; what closes a connection is handed in with it. A connection that
has sent no whole request head in time is cut, whether it sleeps or dribbles; one that is being served is left alone
(its handler has its own deadline). Handshakes have the listener's own timeout. What is kept of addresses is bounded.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from collector_client.ingest.quota import Quota

NEWCOMERS_PART = 2
"""One in so many connections may be a newcomer's."""
NEWCOMER_REQUESTS = 8
"""Enrollment takes three at most, and some patience with a human who types."""


@dataclass(slots=True, eq=False)
class Connection:
    """One connection; `cut(gently)` closes it, and `gently` says goodbye in TLS first."""

    number: int
    network: str
    cut: Callable[[bool], None]
    deadline_s: float
    sensor_id: str = ""
    key_id: str = ""
    serving: bool = False
    requests: int = 0


class Connections:
    """All open connections of a listener."""

    def __init__(
        self,
        *,
        limit: int,
        newcomers_per_address: int,
        per_minute: int,
        head_s: float,
        idle_s: float,
        now_s: Callable[[], float],
    ) -> None:
        """`per_minute`: new ones of an address. `head_s`: from accepting to the first request's head; `idle_s`: from an
        answer to the next request's head.
        """
        self._limit = limit
        self._newcomers_limit = max(1, limit // NEWCOMERS_PART)
        self._per_address = newcomers_per_address
        self._rate = Quota(per_minute)
        self._head_s = head_s
        self._idle_s = idle_s
        self._now_s = now_s
        self._open: dict[int, Connection] = {}
        self._silent: OrderedDict[int, Connection] = OrderedDict()
        self._spoken: OrderedDict[int, Connection] = OrderedDict()
        self._of_address: Counter[str] = Counter()
        self._made = 0

    def __len__(self) -> int:
        return len(self._open)

    def enter(self, network: str, cut: Callable[[bool], None]) -> Connection | str:
        """A connection came from `network` (see `network_of`): it is kept, or the reason why it may not be."""
        now_s = self._now_s()
        if self._rate.wait_s(network, 1, now_s) > 0:
            return f"more than {self._rate.per_minute} connections a minute"
        self._rate.take(network, 1, now_s)
        if self._of_address[network] >= self._per_address:
            return f"more than {self._per_address} connections at once without an enrolled sensor"
        newcomers = len(self._silent) + len(self._spoken)
        if (newcomers >= self._newcomers_limit or len(self._open) >= self._limit) and not self.give_way():
            return f"{len(self._open)} connections of enrolled sensors"
        self._made += 1
        made = Connection(self._made, network, cut, now_s + self._head_s)
        self._open[made.number] = self._silent[made.number] = made
        self._of_address[network] += 1
        return made

    def give_way(self) -> bool:
        """Cut the newcomer whose turn it is; false when there is none.

        Of the larger crowd, because the smaller one is not the flood: silent doors do not push out who is in its
        handshake, and doors that stop after a byte do not push out who is about to say its first.
        """
        crowd = self._silent if len(self._silent) >= len(self._spoken) else self._spoken
        oldest = next(iter(crowd.values()), None)
        if oldest is None:
            return False
        self.gone(oldest)
        oldest.cut(False)
        return True

    def speaks(self, connection: Connection) -> None:
        """Its first byte has come."""
        if self._silent.pop(connection.number, None) is not None:
            self._spoken[connection.number] = connection

    def recognize(self, connection: Connection, sensor_id: str, key_id: str) -> None:
        """An enrolled sensor speaks on it, by that key."""
        connection.sensor_id, connection.key_id = sensor_id, key_id
        self._settle(connection)

    def serving(self, connection: Connection) -> None:
        """A whole request head has come."""
        connection.serving, connection.deadline_s = True, float("inf")
        connection.requests += 1

    def served(self, connection: Connection) -> None:
        """The request is answered."""
        connection.serving, connection.deadline_s = False, self._now_s() + self._idle_s

    @staticmethod
    def is_worn_out(connection: Connection) -> bool:
        """Whether it has had all the requests that a newcomer may make."""
        return not connection.key_id and connection.requests >= NEWCOMER_REQUESTS

    def gone(self, connection: Connection) -> None:
        """It is closed; saying so twice is harmless."""
        self._open.pop(connection.number, None)
        self._settle(connection)

    def enrolled(self) -> list[Connection]:
        """Those of enrolled sensors."""
        return [connection for connection in self._open.values() if connection.key_id]

    def sweep(self) -> None:
        """Cut those past their deadline."""
        now_s = self._now_s()
        self._cut(connection for connection in self._open.values() if connection.deadline_s < now_s)

    def close_of_keys(self, key_ids: set[str]) -> list[str]:
        """Close what is open by one of these keys, also what is being served.

        Returns:
            The sensors whose connections they were.
        """
        found = [connection for connection in self._open.values() if connection.key_id in key_ids]
        self._cut(found)
        return sorted({connection.sensor_id for connection in found})

    def _cut(self, those: Iterable[Connection]) -> None:
        for connection in list(those):
            self.gone(connection)
            connection.cut(bool(connection.key_id) and not connection.serving)

    def _settle(self, connection: Connection) -> None:
        """It is no newcomer any more."""
        silent, spoken = self._silent.pop(connection.number, None), self._spoken.pop(connection.number, None)
        if silent is None and spoken is None:
            return
        self._of_address[connection.network] -= 1
        if self._of_address[connection.network] <= 0:
            del self._of_address[connection.network]
