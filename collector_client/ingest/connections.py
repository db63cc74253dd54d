"""Connections under guard: how many there are, and how long one may stay without a request.

Rules of this file: a connection that has sent no whole request head in time is cut, whether it sleeps or dribbles;
one that is being served is left alone (its handler has its own deadline). Handshakes have the listener's own timeout.
`sweep` does the work and is called once a second or so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web


@dataclass(slots=True)
class _Watch:
    deadline_s: float
    number: int
    connected: bool = False


class Connections:
    """Makes the protocols of a listener and cuts the idle ones."""

    def __init__(
        self, server: web.Server, *, limit: int, head_s: float, idle_s: float, now_s: Callable[[], float]
    ) -> None:
        """`head_s`: from accepting to the first request's head; `idle_s`: from an answer to the next request's head."""
        self._server = server
        self._limit = limit
        self._head_s = head_s
        self._idle_s = idle_s
        self._now_s = now_s
        self._watched: dict[object, _Watch] = {}
        self._made = 0

    def __len__(self) -> int:
        return len(self._watched)

    def make_protocol(self) -> asyncio.BaseProtocol:
        """The protocol of a connection just accepted; one beyond the limit is closed at once."""
        if len(self._watched) >= self._limit:
            self.sweep()
        if len(self._watched) >= self._limit:
            return _Refusing()
        protocol = self._server()
        self._made += 1
        self._watched[protocol] = _Watch(self._now_s() + self._head_s, self._made)
        return protocol

    def number(self, protocol: object) -> int:
        """The connection's number, which no other one ever has."""
        return self._watched[protocol].number if protocol in self._watched else 0

    def serving(self, protocol: object) -> None:
        """A whole request head has come."""
        if protocol in self._watched:
            self._watched[protocol].deadline_s = float("inf")

    def served(self, protocol: object) -> None:
        """The request is answered."""
        if protocol in self._watched:
            self._watched[protocol].deadline_s = self._now_s() + self._idle_s

    def sweep(self) -> None:
        """Forget connections that are closed, cut those past their deadline."""
        now_s = self._now_s()
        alive: dict[object, object] = {protocol: protocol.transport for protocol in self._server.connections}
        for protocol, watch in list(self._watched.items()):
            late = watch.deadline_s < now_s
            if protocol in alive:
                watch.connected = True
                transport = alive[protocol]
                if late and isinstance(transport, asyncio.Transport):
                    transport.abort()
            elif watch.connected or late:
                del self._watched[protocol]


class _Refusing(asyncio.Protocol):
    """Closes at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
