"""Before TLS: who hangs up costs none, and the line of those that wait for it is bounded."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

import pytest
from aiohttp import web

from collector_client.ingest import listener as listener_file
from collector_client.ingest.connections import Connections
from collector_client.ingest.listener import GuardedServer, Listener


class Entrance:
    """A listener on loopback without a certificate: each handshake that begins is counted, and fails."""

    def __init__(self, limit: int) -> None:
        self.handshakes = 0
        self.longest_line = 0
        self.connections = Connections(
            limit=limit, newcomers_per_address=1000, per_minute=10_000, head_s=30, idle_s=30, now_s=lambda: 0.0
        )
        self.server = GuardedServer(_never, self.connections, keepalive_s=30, linger_s=1)
        self.listener = Listener(
            self.server, self.connections, self._context, handshake_s=30, refused=lambda *_words: None
        )

    def _context(self) -> ssl.SSLContext:
        self.handshakes += 1
        self.longest_line = max(self.longest_line, len(self.listener._in_line))
        return ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


async def _never(_request: web.BaseRequest) -> web.StreamResponse:
    raise AssertionError("a request came through")


def visit(limit: int, doors: int, deed: Callable[[socket.socket], object]) -> Entrance:
    """So many come at once and do it; ends when the collector has closed them all."""

    async def run() -> Entrance:
        entrance = Entrance(limit)
        host, _, port = (await entrance.listener.open("127.0.0.1", 0)).rpartition(":")
        visitors = [socket.create_connection((host, int(port))) for _ in range(doors)]
        for visitor in visitors:
            deed(visitor)
        for visitor in visitors:
            await asyncio.to_thread(_until_closed, visitor)
        assert (len(entrance.connections), entrance.listener._in_line) == (0, {})
        assert not entrance.listener._arrived
        entrance.listener.close()
        return entrance

    return asyncio.run(run())


def _until_closed(visitor: socket.socket) -> None:
    visitor.settimeout(30)
    with visitor:
        try:
            while visitor.recv(100):
                pass
        except ConnectionError:
            pass


def test_attack_doors_that_hang_up_before_their_first_byte_get_no_handshake() -> None:
    entrance = visit(limit=200, doors=50, deed=lambda visitor: visitor.shutdown(socket.SHUT_WR))
    assert entrance.handshakes == 0


def test_who_says_something_that_is_no_tls_is_closed_after_the_attempt() -> None:
    entrance = visit(limit=200, doors=5, deed=lambda visitor: visitor.sendall(b"GET / HTTP/1.1\r\n\r\n"))
    assert entrance.handshakes == 5


def test_attack_doors_that_speak_and_give_way_do_not_make_the_line_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_file, "HANDSHAKES_AT_ONCE", 1)
    monkeypatch.setattr(listener_file, "ACCEPTED_AT_ONCE", 8)
    entrance = visit(limit=64, doors=300, deed=lambda visitor: visitor.sendall(b"no TLS at all"))
    assert 16 <= entrance.longest_line <= 32
    assert entrance.handshakes < 300
