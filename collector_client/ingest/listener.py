"""The listening sockets: connections are accepted, looked at, and given TLS a few at a time.

    arrived ──its first byte──► in line ──its turn──► handshake ──► the HTTP server's
    costs a file descriptor     first come, first     costs a signature and 100 KiB

Rules of this file: sockets and transports, no rule of its own: who may enter is `Connections`' to say. Few handshakes
begin in one turn of the loop, so that requests on open connections are answered between those of a crowd. Who says
nothing, or hangs up before its first byte, gets no TLS. Who has to give way leaves the line at once, so that the line
is no longer than there are newcomers. When the process has no file descriptor left, one gives way and accepting goes on
a moment later.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import resource
import socket
import ssl
from asyncio import sslproto
from collections.abc import Awaitable, Callable
from itertools import islice

from aiohttp import web

from collector_client.errors import EnvironmentFault
from collector_client.ingest.connections import Connection, Connections
from collector_client.ingest.quota import network_of

log = logging.getLogger("vedette.ingest")

ACCEPTED_AT_ONCE = 128
HANDSHAKES_AT_ONCE = 32
"""So many begin in one turn of the loop: some 30 ms of work, and as much again for their answers."""
BACKLOG = 4096
"""The kernel allows as many as net.core.somaxconn, 4096 since Linux 5.4."""
SPARE_DESCRIPTORS = 128
"""For the store's files, the log and what the interpreter opens."""
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE_S = 0.1
_GOODBYE_S = 5
# asyncio allots this much to each TLS connection and fills it with zeros. A TLS record has 16 KiB at most; with the
# usual 256 KiB a thousand sensors cost 250 MiB.
sslproto.SSLProtocol.max_size = 32 * 1024


def room_for(connections: int) -> int:
    """Raise this process's limit of open files for so many connections; returns how many it then has room for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE_DESCRIPTORS
    if soft < wanted or soft == resource.RLIM_INFINITY:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    room = max(1, soft - SPARE_DESCRIPTORS)
    if room < connections:
        log.warning("room for %d connections, %d are configured: raise the limit of open files", room, connections)
    return min(room, connections)


class GuardedServer(web.Server):
    """aiohttp's server, whose connections are known to `Connections` from before TLS to their end."""

    def __init__(
        self,
        handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        connections: Connections,
        *,
        keepalive_s: float,
        linger_s: float,
    ) -> None:
        super().__init__(
            handler,
            access_log=None,
            auto_decompress=False,  # bodies are inflated within bounds, by us
            keepalive_timeout=keepalive_s,
            lingering_time=linger_s,
        )
        self._guard = connections
        self._known: dict[object, Connection] = {}

    def protocol_for(self, connection: Connection) -> asyncio.BaseProtocol:
        """The protocol of a connection that was let in."""
        protocol = self()
        self._known[protocol] = connection
        return protocol

    def connection_of(self, protocol: object) -> Connection | None:
        """What is known of a protocol's connection; None once it is closed."""
        return self._known.get(protocol)

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """The protocol's connection is closed."""
        super().connection_lost(handler, exc)
        self.forget(handler)

    def forget(self, protocol: object) -> None:
        """The protocol has no connection, or none any more."""
        connection = self._known.pop(protocol, None)
        if connection is not None:
            self._guard.gone(connection)


class _Arrival:
    """A connection from its acceptance on; `protocol` from its handshake on."""

    connection: Connection
    """Set as soon as it is let in."""

    def __init__(self, accepted: socket.socket, dropped: Callable[[_Arrival], None]) -> None:
        """`dropped` is told when it is cut before its handshake."""
        self.accepted = accepted
        self._dropped = dropped
        self.protocol: asyncio.BaseProtocol | None = None
        self.silent = False
        self.begun = False

    def cut(self, gently: bool) -> None:
        """Close it, whatever it has come to."""
        transport = getattr(self.protocol, "transport", None)
        if self.protocol is None:
            self.hush()
            self.accepted.close()
            self._dropped(self)
        elif transport is None:  # in its handshake: the end of the stream ends it
            with contextlib.suppress(OSError):
                self.accepted.shutdown(socket.SHUT_RDWR)
        elif gently:
            transport.close()
        else:
            transport.abort()

    def greeted(self, _task: asyncio.Task[None]) -> None:
        """Its handshake is over; one that was called off before it began has no transport that closes the socket."""
        if not self.begun:
            self.accepted.close()

    def has_hung_up(self) -> bool:
        """Whether what woke us is its end and not its first byte, which stays to be read."""
        try:
            return not self.accepted.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def hush(self) -> None:
        """Listen for its first byte no more."""
        if self.silent:
            asyncio.get_running_loop().remove_reader(self.accepted)
            self.silent = False


class Listener:
    """Listens at one address, which may be several sockets."""

    def __init__(
        self,
        server: GuardedServer,
        connections: Connections,
        context: Callable[[], ssl.SSLContext],
        *,
        handshake_s: float,
        refused: Callable[[str, str], None],
    ) -> None:
        """`context` is asked for each connection; `refused` hears network and reason of each that was not let in."""
        self._server = server
        self._connections = connections
        self._context = context
        self._handshake_s = handshake_s
        self._refused = refused
        self._sockets: list[socket.socket] = []
        self._arrived: set[_Arrival] = set()
        self._in_line: dict[_Arrival, None] = {}
        self._greets_soon = False
        self._greeting: set[asyncio.Task[None]] = set()

    async def open(self, host: str, port: int) -> str:
        """Listen; returns the address as HOST:PORT, with the port that the system chose for 0.

        Raises:
            EnvironmentFault: the address cannot be had.
        """
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            for family, *_, address in dict.fromkeys(found):
                listening = socket.create_server(address[:2], family=family, backlog=BACKLOG)
                self._sockets.append(listening)
                listening.setblocking(False)
        except OSError as error:
            self.close()
            why = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
            raise EnvironmentFault(
                f"{host}:{port}: cannot listen there ({why})",
                advice="name another address with --ingest; a port below 1024 needs root or CAP_NET_BIND_SERVICE",
            ) from error
        for listening in self._sockets:
            loop.add_reader(listening, self._accept, listening)
        host, port = self._sockets[0].getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def close(self) -> None:
        """Accept no more; what is entering is dropped."""
        for listening in self._sockets:
            asyncio.get_running_loop().remove_reader(listening)
            listening.close()
        self._sockets.clear()
        for arrival in list(self._arrived):
            arrival.cut(False)
        for task in self._greeting:
            task.cancel()

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                accepted, peer = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                self._pause(listening, error)
                return
            self._arrive(accepted, network_of(str(peer[0])))

    def _pause(self, listening: socket.socket, error: OSError) -> None:
        loop = asyncio.get_running_loop()
        log.warning("cannot accept (%s): the oldest newcomer gives way", error.strerror)
        self._connections.give_way()
        loop.remove_reader(listening)

        def resume() -> None:
            if listening in self._sockets:
                loop.add_reader(listening, self._accept, listening)

        loop.call_later(_PAUSE_S, resume)

    def _arrive(self, accepted: socket.socket, network: str) -> None:
        arrival = _Arrival(accepted, self._leave)
        connection = self._connections.enter(network, arrival.cut)
        if isinstance(connection, str):
            accepted.close()
            self._refused(network, connection)
            return
        accepted.setblocking(False)
        arrival.connection, arrival.silent = connection, True
        self._arrived.add(arrival)
        asyncio.get_running_loop().add_reader(accepted, self._speaks, arrival)

    def _leave(self, arrival: _Arrival) -> None:
        self._arrived.discard(arrival)
        self._in_line.pop(arrival, None)

    def _speaks(self, arrival: _Arrival) -> None:
        if arrival.has_hung_up():
            self._connections.gone(arrival.connection)
            arrival.cut(False)
            return
        arrival.hush()
        self._connections.speaks(arrival.connection)
        self._in_line[arrival] = None
        self._greet_soon()

    def _greet_soon(self) -> None:
        """At most one turn is asked for, so that no two of them share one turn of the loop."""
        if self._in_line and not self._greets_soon:
            self._greets_soon = True
            asyncio.get_running_loop().call_soon(self._greet_some)

    def _greet_some(self) -> None:
        self._greets_soon = False
        for arrival in list(islice(self._in_line, HANDSHAKES_AT_ONCE)):
            self._leave(arrival)
            arrival.protocol = self._server.protocol_for(arrival.connection)
            task = asyncio.create_task(self._greet(arrival, arrival.protocol))
            self._greeting.add(task)
            task.add_done_callback(self._greeting.discard)
            task.add_done_callback(arrival.greeted)
        self._greet_soon()

    async def _greet(self, arrival: _Arrival, protocol: asyncio.BaseProtocol) -> None:
        """TLS; from then on the protocol has the connection."""
        arrival.begun = True
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: protocol,
                arrival.accepted,
                ssl=self._context(),
                ssl_handshake_timeout=self._handshake_s,
                ssl_shutdown_timeout=_GOODBYE_S,
            )
        except OSError:  # a handshake that failed, broke off or took too long: ssl.SSLError is one too
            self._server.forget(protocol)
        except BaseException:
            self._server.forget(protocol)
            raise
