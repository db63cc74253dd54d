"""Carries the bytes of a client that knows only TLS 1.2 to a server that takes only 1.3; for conformance runs.

Rules of this file: it reads nothing of what passes. Towards the client it is the server (it has the server's key), and
towards the server it is whoever `show` made it: it has the client's key too, as only a test can.
"""

from __future__ import annotations

import asyncio
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class Bridge:
    """`port` is where clients connect."""

    def __init__(self, address: str, server_pem: Path, ca_pem: bytes) -> None:
        self._host, _, port = address.rpartition(":")
        self._to = int(port)
        self._near = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._near.minimum_version = self._near.maximum_version = ssl.TLSVersion.TLSv1_2
        self._near.load_cert_chain(server_pem)
        self._near.load_verify_locations(cadata=ca_pem.decode("ascii"))
        self._near.verify_mode = ssl.CERT_OPTIONAL
        self._far = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._far.load_verify_locations(cadata=ca_pem.decode("ascii"))
        self.port = 0

    def show(self, key_and_certificate: bytes) -> None:
        """Be this client towards the server from now on."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(key_and_certificate)
            file.flush()
            self._far.load_cert_chain(file.name)

    async def run(self, ready: threading.Event, stop: asyncio.Event) -> None:
        """Listen until `stop`."""
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0, ssl=self._near)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        async with server:
            await stop.wait()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, ssl.SSLError):
            far_reader, far_writer = await asyncio.open_connection(
                self._host, self._to, ssl=self._far, server_hostname=self._host
            )
            up = asyncio.create_task(_pass(reader, far_writer))
            await _pass(far_reader, writer)
            up.cancel()
            far_writer.close()
        writer.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, ssl.SSLError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()


@contextmanager
def bridged(address: str, server_pem: Path, ca_pem: bytes) -> Iterator[Bridge]:
    """A bridge to `address` in a thread of its own."""
    bridge = Bridge(address, server_pem, ca_pem)
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(bridge.run(ready, stop)))
    thread.start()
    ready.wait()
    try:
        yield bridge
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
