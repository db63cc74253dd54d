"""Two boxes that speak as one sensor: seen by who speaks after whom. Pure; nothing but requests makes time pass here.

A *speaker* is one run of a daemon (its `Vedette-Run` header) or, for software that sends none, one connection.

    requests, in order        meaning
    A A B B B                 A was restarted, or its connection was cut: ordinary
    A B A B                   one late request of A, that some proxy or dying path held back: possible
    A B A A, A B A B A        A got an answer after B had begun, and went on: A and B both live

A speaker that is gone can have one request on the way, and no more: it sends the next one only after an answer. So a
speaker that sends twice after a later one has begun proves that there are two. Connections without a run are compared
only when their addresses differ, for one box may well open two of them.

Rules of this file: what it remembers is bounded, per sensor and in all, and lost with the process: then it learns anew.
A thief who also copies the run is not seen here; the numbers of its events fork (409), and a key that is renewed
(keys.py) shuts one of the two out.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

MAX_SENSORS = 100_000
MAX_SPEAKERS = 8
PROOF = 2
"""So many requests after a later speaker began cannot have been on the way."""


@dataclass(slots=True)
class Speaker:
    """Who speaks: `run`, or `connection` (any number that tells connections apart) where there is no run."""

    run: str
    connection: int
    address: str
    late: int = 0

    def is_same(self, other: Speaker) -> bool:
        """Whether both are surely one speaker going on."""
        return self.run == other.run if self.run and other.run else self.connection == other.connection

    def may_be_one_box(self, other: Speaker) -> bool:
        """Whether one box may be both at once."""
        return not (self.run or other.run) and self.address == other.address

    def __str__(self) -> str:
        return f"run {self.run[:8]} at {self.address}" if self.run else f"a connection from {self.address}"


class Clones:
    """The speakers of every sensor, those that began last at the end."""

    def __init__(self, max_sensors: int = MAX_SENSORS) -> None:
        self._max = max_sensors
        self._speakers: OrderedDict[str, list[Speaker]] = OrderedDict()

    def heard(self, sensor_id: str, run: str, connection: int, address: str) -> str | None:
        """A request came; says in words which two boxes are proved by it, and begins anew then; else None."""
        speakers = self._speakers.setdefault(sensor_id, [])
        self._speakers.move_to_end(sensor_id)
        while len(self._speakers) > self._max:
            self._speakers.popitem(last=False)
        came = Speaker(run, connection, address)
        at = next((number for number, known in enumerate(speakers) if known.is_same(came)), None)
        if at is None:
            speakers.append(came)
            del speakers[:-MAX_SPEAKERS]
            return None
        known = speakers[at]
        known.connection, known.address = connection, address
        later = [other for other in speakers[at + 1 :] if not other.may_be_one_box(known)]
        if not later:
            return None
        known.late += 1
        if known.late < PROOF:
            return None
        del self._speakers[sensor_id]
        return f"{known} and {later[-1]} speak in turn"

    def forget(self, sensor_id: str) -> None:
        """Begin anew with a sensor."""
        self._speakers.pop(sensor_id, None)
