"""Carries bytes between a client and a server of which one knows only TLS 1.2 and the other takes only 1.3.

Rules of this file: for conformance runs; it reads nothing of what passes. Towards the client it is the server (it has
the server's key), and towards the server it is whoever `show` made it: it has the client's key too, as only a test can.
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
    """`port` is where clients connect; `shown` are the certificates that they showed, one for each connection."""

    def __init__(self, address: str, server_pem: Path, ca_pem: bytes, near: ssl.TLSVersion) -> None:
        self._host, _, port = address.rpartition(":")
        self._to = int(port)
        self._near = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._near.minimum_version = self._near.maximum_version = near
        self._near.load_cert_chain(server_pem)
        self._near.load_verify_locations(cadata=ca_pem.decode("ascii"))
        self._near.verify_mode = ssl.CERT_OPTIONAL
        self._far = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._far.load_verify_locations(cadata=ca_pem.decode("ascii"))
        self.port = 0
        self.shown: list[bytes | None] = []

    def show(self, key_and_certificate: bytes) -> None:
        """Be this client towards the server from now on."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(key_and_certificate)
            file.flush()
            self._far.load_cert_chain(file.name)

    async def run(self, ready: threading.Event) -> None:
        """Listen until `stop`."""
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0, ssl=self._near)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        async with server:
            await self._stopped.wait()

    def stop(self) -> None:
        """From any thread."""
        self._loop.call_soon_threadsafe(self._stopped.set)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.shown.append(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
        with suppress(OSError, ssl.SSLError):
            far_reader, far_writer = await asyncio.open_connection(
                self._host, self._to, ssl=self._far, server_hostname=self._host
            )
            ways = [asyncio.create_task(_pass(reader, far_writer)), asyncio.create_task(_pass(far_reader, writer))]
            # Whoever ends ends both: the server hangs up behind its answer, the client when it has read enough.
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            far_writer.close()
        writer.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, ssl.SSLError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()


@contextmanager
def bridged(
    address: str, server_pem: Path, ca_pem: bytes, near: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
) -> Iterator[Bridge]:
    """A bridge to `address` in a thread of its own; `near` is the version that clients speak."""
    bridge = Bridge(address, server_pem, ca_pem, near)
    ready = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(bridge.run(ready)))
    thread.start()
    ready.wait()
    try:
        yield bridge
    finally:
        bridge.stop()
        thread.join()
