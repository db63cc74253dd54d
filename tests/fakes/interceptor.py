"""Somebody in the middle: ends TLS with a certificate of a CA of their own, and passes everything on to the collector.

Rules of this file: `heard` is every byte a box said inside TLS, so a test can say what was never said. The collector is
the real one; the interceptor believes any server. With `cacerts` it answers that one question itself.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from appliance.wire.enrollment import CACERTS_MEDIA_TYPE, CACERTS_PATH, encode_base64

TIMEOUT_S = 30.0


class Interceptor:
    """Listens from construction to the end of the `with` block."""

    def __init__(self, context: ssl.SSLContext, collector: str, cacerts: list[x509.Certificate] | None = None) -> None:
        """`context`: what it shows to boxes; `collector`: HOST:PORT of who is impersonated."""
        host, _, port = collector.rpartition(":")
        self.heard = b""
        self.refused = 0
        self._context = context
        self._collector = (host, int(port))
        self._cacerts = None if cacerts is None else _answer(cacerts)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        """Where boxes come to."""
        return f"https://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Interceptor:
        return self

    def __exit__(self, *_: object) -> None:
        # Wakes the thread that waits in accept, which close alone does not.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                client.settimeout(TIMEOUT_S)
                self._threads.append(threading.Thread(target=self._serve, args=(client,)))
                self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            try:
                box = self._context.wrap_socket(client, server_side=True)
                # In TLS 1.3 the server is done before the box has judged it: the first read says how it judged.
                first = box.recv(65_536)
            except OSError:
                self.refused += 1
                return
            with box, suppress(OSError):
                self._converse(box, first)

    def _hear(self, said: bytes) -> None:
        self.heard += said

    def _converse(self, box: ssl.SSLSocket, data: bytes) -> None:
        anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
        with (
            socket.create_connection(self._collector, TIMEOUT_S) as plain,
            anybody.wrap_socket(plain) as collector,
        ):
            # One message after the other: a TLS socket is not for two threads at once.
            while data:
                request = _whole(box, data, self._hear)
                if self._cacerts is not None and request.startswith(f"GET {CACERTS_PATH} ".encode()):
                    box.sendall(self._cacerts)
                    return
                collector.sendall(request)
                box.sendall(_whole(collector, collector.recv(65_536), lambda _: None))
                data = box.recv(65_536)


def _whole(sock: ssl.SSLSocket, data: bytes, hear: Callable[[bytes], None]) -> bytes:
    """One HTTP message that began with `data`: its head, and as much body as its Content-Length says.

    `hear` gets every byte as it comes, also of a message that breaks off.
    """
    hear(data)
    while not _is_whole(data):
        more = sock.recv(65_536)
        if not more:
            raise ConnectionAbortedError
        hear(more)
        data += more
    return data


def _is_whole(data: bytes) -> bool:
    head, blank, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    return bool(blank) and len(body) >= (int(length[1]) if length else 0)


def _answer(certificates: list[x509.Certificate]) -> bytes:
    body = encode_base64(pkcs7.serialize_certificates(certificates, Encoding.DER))
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {CACERTS_MEDIA_TYPE}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body
