"""One kept-alive HTTPS connection to a collector, directly or through an HTTP proxy's CONNECT (RFC 9110 section 9.3.6).

Rules of this file: every failure is a `LinkError`; an answer's length and the time for it are bounded, however it is
dribbled out; nothing is retried but the one case that HTTP itself makes ordinary, a kept connection that the server
closed meanwhile.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from appliance.errors import OperatorError
from appliance.identity.deadline import Deadline, TimedSocket
from appliance.identity.errors import AnswerInvalidError, ConnectionLostError, LinkError, ProxyRefusedError
from appliance.identity.resumption import Resumption
from appliance.identity.tls import named

MAX_CONNECT_BYTES = 16 * 1024
_CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class CollectorUrl:
    """Where a collector listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"https://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @staticmethod
    def parse(text: str) -> CollectorUrl:
        """`https://HOST[:PORT]`.

        Raises:
            OperatorError: another form.
        """
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme != "https" or not parts.hostname or parts.path not in ("", "/") or parts.username is not None:
            raise OperatorError(f"collector address {text!r} came, https://HOST[:PORT] was allowed")
        return CollectorUrl(parts.hostname, port or 443)


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy; the password never shows in a repr."""

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)

    @staticmethod
    def parse(text: str) -> Proxy:
        """`http://[USER:PASSWORD@]HOST[:PORT]`, user and password percent-encoded where they must be.

        Raises:
            OperatorError: another form; the text is not repeated, it may hold a password.
        """
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme != "http" or not parts.hostname or parts.path not in ("", "/"):
            raise OperatorError("proxy: another form came, http://[USER:PASSWORD@]HOST[:PORT] was allowed")
        return Proxy(parts.hostname, port or 3128, unquote(parts.username or ""), unquote(parts.password or ""))

    def authorization(self) -> str:
        """The value of Proxy-Authorization (RFC 7617), empty without a user."""
        if not self.user:
            return ""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode("ascii")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class HttpsConnection:
    """Opens when it is first needed and after every failure; one thread uses it, any may call `abort`."""

    def __init__(
        self,
        url: CollectorUrl,
        *,
        context: ssl.SSLContext,
        timeout_s: float,
        proxy: Proxy | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
        resumption: Resumption | None = None,
        accept: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        """With `resumption`, which must be where `context` is from, TLS resumes; without, every handshake is full.

        `accept` is given the server's certificate (DER) before anything is sent, and may raise `LinkError`.
        """
        self.url = url
        self._accept = accept
        self._context = context
        self._timeout_s = timeout_s
        self._proxy = proxy
        self._monotonic_s = monotonic_s
        self._resumption = resumption
        self._connection: http.client.HTTPConnection | None = None
        self._aborted = False
        self._deadline = Deadline(timeout_s, monotonic_s)

    def request(
        self, method: str, path: str, *, headers: Mapping[str, str], body: bytes, max_answer_bytes: int
    ) -> Answer:
        """One request and its whole answer, whatever its status.

        On a connection that was kept open since an earlier answer, a cut before this answer leads to one more try on a
        new connection; so only send what may safely arrive twice.

        Raises:
            LinkError: no answer, by the name of the reason; the connection is closed then.
        """
        kept = self._connection is not None
        self._aborted = False
        try:
            return self._once(method, path, headers, body, max_answer_bytes)
        except ConnectionLostError:
            if not kept or self._aborted:
                raise
        return self._once(method, path, headers, body, max_answer_bytes)

    def limit(self, timeout_s: float) -> None:
        """From now on wait no longer than this for each part of an exchange."""
        self._timeout_s = timeout_s
        sock = self._connection.sock if self._connection is not None else None
        if sock is not None:
            sock.settimeout(timeout_s)

    def abort(self) -> None:
        """Make a request that is waiting in another thread fail now; without one, the next request opens anew."""
        self._aborted = True
        connection = self._connection
        sock = connection.sock if connection is not None else None
        if sock is not None:
            with contextlib.suppress(OSError):
                # Past the TLS layer, whose state belongs to the other thread.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """Let the connection go."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _once(self, method: str, path: str, headers: Mapping[str, str], body: bytes, max_answer_bytes: int) -> Answer:
        try:
            if self._connection is None:
                self._connection = self._open()
            connection = self._connection
            if connection.sock is not None:
                connection.sock.settimeout(self._timeout_s)
            try:
                connection.request(method, path, body=body if method != "GET" else None, headers=dict(headers))
            except (ConnectionError, ssl.SSLError):
                # A server may answer and close before it has read the whole body; its answer or alert says why.
                if connection.sock is None:
                    raise
            self._deadline.start(self._timeout_s)
            response = connection.getresponse()
            data = self._body(response, max_answer_bytes)
            if self._resumption is not None and isinstance(connection.sock, ssl.SSLSocket):
                self._resumption.keep(self.url.host, self.url.port, connection.sock)
            if response.will_close:
                self.close()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, data)
        except LinkError:
            self.close()
            raise
        except (http.client.RemoteDisconnected, http.client.IncompleteRead, http.client.CannotSendRequest) as exc:
            self.close()
            raise ConnectionLostError(f"{self.url}: the connection was cut before the answer was whole") from exc
        except http.client.HTTPException as exc:
            self.close()
            raise AnswerInvalidError(f"{self.url}: the answer is not HTTP", advice="is this a collector?") from exc
        except OSError as exc:
            self.close()
            raise named(exc, str(self.url)) from exc

    def _body(self, response: http.client.HTTPResponse, most: int) -> bytes:
        if self._resumption is not None and response.length is None and not response.chunked:
            raise AnswerInvalidError(f"{self.url}: an answer that does not say how long it is came")
        self._deadline.start(self._timeout_s)
        parts: list[bytes] = []
        size = 0
        while part := self._part(response):
            parts.append(part)
            size += len(part)
            if size > most:
                raise AnswerInvalidError(f"{self.url}: an answer of more than {most} bytes came")
            self._deadline.left_s()
        if response.length:
            raise ConnectionLostError(f"{self.url}: the connection was cut before the answer was whole")
        response.close()
        return b"".join(parts)

    @staticmethod
    def _part(response: http.client.HTTPResponse) -> bytes:
        """What has come of the body, waiting for one packet at most, so that the deadline is looked at often."""
        if response.chunked:
            return response.read1(_CHUNK_BYTES)
        # Not `read1`: before Python 3.12 it does not count down the length and waits for more than there is.
        if response.length == 0:
            return b""
        return response.read(len(response.peek(_CHUNK_BYTES)))

    def _response(self, sock: socket.socket, *args: Any, **kwargs: Any) -> http.client.HTTPResponse:
        timed = cast("socket.socket", TimedSocket(sock, self._deadline))
        return http.client.HTTPResponse(timed, *args, **kwargs)

    def _open(self) -> http.client.HTTPConnection:
        if self._proxy is None:
            plain = socket.create_connection((self.url.host, self.url.port), self._timeout_s)
        else:
            plain = _through(self._proxy, self.url, self._timeout_s, self._monotonic_s)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            session = self._resumption.take(self.url.host, self.url.port) if self._resumption else None
            secure = self._context.wrap_socket(plain, server_hostname=self.url.host, session=session)
        except OSError:
            plain.close()
            raise
        try:
            self._accept(secure.getpeercert(binary_form=True) or b"")
        except LinkError:
            secure.close()
            raise
        connection = http.client.HTTPConnection(self.url.host, self.url.port, timeout=self._timeout_s)
        connection.auto_open = 0
        connection.response_class = self._response  # type: ignore[assignment]
        connection.sock = secure
        return connection


def _through(proxy: Proxy, url: CollectorUrl, timeout_s: float, monotonic_s: Callable[[], float]) -> socket.socket:
    """A socket to the collector that the proxy has connected."""
    where = f"proxy {proxy.host}:{proxy.port}"
    try:
        sock = socket.create_connection((proxy.host, proxy.port), timeout_s)
    except OSError as exc:
        raise ProxyRefusedError(f"{where}: {exc.strerror or exc}", advice="check collector.proxy") from exc
    try:
        target = f"[{url.host}]:{url.port}" if ":" in url.host else f"{url.host}:{url.port}"
        lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
        if proxy.authorization():
            lines.append(f"Proxy-Authorization: {proxy.authorization()}")
        sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("ascii"))
        head = b""
        deadline = Deadline(timeout_s, monotonic_s)
        # One byte at a time: what follows the blank line already belongs to TLS.
        while not head.endswith(b"\r\n\r\n"):
            sock.settimeout(deadline.left_s())
            byte = sock.recv(1)
            if not byte or len(head) >= MAX_CONNECT_BYTES:
                raise ProxyRefusedError(f"{where}: no answer to CONNECT", advice="is this an HTTP proxy?")
            head += byte
        status = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
        if len(status) < 2 or not status[0].startswith("HTTP/1."):
            raise ProxyRefusedError(f"{where}: the answer to CONNECT is not HTTP", advice="is this an HTTP proxy?")
        if status[1] == "407":
            raise ProxyRefusedError(
                f"{where}: wants a user and password", advice="collector.proxy: http://USER:PASSWORD@HOST"
            )
        if not status[1].startswith("2"):
            shown = "".join(c for c in " ".join(status[1:]) if c.isprintable())[:80]
            raise ProxyRefusedError(f"{where}: CONNECT {target}: {shown}", advice="allow this target in the proxy")
    except OSError as exc:
        sock.close()
        raise ProxyRefusedError(f"{where}: {exc.strerror or exc}", advice="check collector.proxy") from exc
    except ProxyRefusedError:
        sock.close()
        raise
    sock.settimeout(timeout_s)
    return sock
