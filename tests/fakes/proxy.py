"""An HTTP proxy that speaks CONNECT (RFC 9110 section 9.3.6) and nothing else, with or without a password."""

from __future__ import annotations

import contextlib
import socket
import threading


class FakeProxy:
    """Listens from construction to the end of the `with` block; `asked` holds the request heads."""

    def __init__(self, *, authorization: str = "", answer: bytes = b"") -> None:
        """`authorization` is what a client must send; `answer` replaces the honest answer."""
        self.asked: list[str] = []
        self._authorization = authorization
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> FakeProxy:
        return self

    def __exit__(self, *_: object) -> None:
        _end(self._listener)
        self._listener.close()
        for sock in self._sockets:
            _end(sock)
        for thread in self._threads:
            thread.join()
        for sock in self._sockets:
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(client)
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = client.recv(1)
            if not byte:
                return
            head += byte
        text = head.decode("ascii")
        self.asked.append(text)
        if self._answer:
            client.sendall(self._answer)
            _end(client)
            return
        if self._authorization and f"Proxy-Authorization: {self._authorization}\r\n" not in text:
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            _end(client)
            return
        host, _, port = text.split(" ")[1].rpartition(":")
        try:
            server = socket.create_connection((host.strip("[]"), int(port)))
        except OSError:
            client.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
            _end(client)
            return
        self._sockets.append(server)
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        back = threading.Thread(target=_pour, args=(server, client), daemon=True)
        self._threads.append(back)
        back.start()
        _pour(client, server)


def _pour(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    _end(source)
    _end(sink)


def _end(sock: socket.socket) -> None:
    # The peer may have gone first.
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
