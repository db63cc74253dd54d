"""The connection: every way in which it can fail has a name and an advice; none of them hangs or fills the memory."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.errors import OperatorError
from appliance.identity import (
    AnswerInvalidError,
    ClientRefusedError,
    CollectorUrl,
    ConnectionLostError,
    HttpsConnection,
    NotReachableError,
    Proxy,
    ProxyRefusedError,
    ServerExpiredError,
    SoftKey,
    WrongCaError,
    WrongNameError,
)
from appliance.identity.tls import client_context, enrollment_context
from tests.fakes.pki import Authority, pem
from tests.fakes.proxy import FakeProxy

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def trust(authority: Authority) -> ssl.SSLContext:
    return enrollment_context(pem(authority.root))


Serve = Callable[..., CollectorUrl]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A TLS server that gives one scripted list of answers on each connection and then closes it."""
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def serving(context: ssl.SSLContext, *connections: list[bytes]) -> CollectorUrl:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(20)
        listeners.append(listener)

        def run() -> None:
            for answers in connections:
                plain, _ = listener.accept()
                try:
                    with context.wrap_socket(plain, server_side=True) as sock:
                        for answer in answers:
                            request = b""
                            while b"\r\n\r\n" not in request:
                                request += sock.recv(65536)
                            sock.sendall(answer)
                except OSError:
                    pass

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        threads.append(thread)
        return CollectorUrl("127.0.0.1", listener.getsockname()[1])

    yield serving
    for thread in threads:
        thread.join(20)
    for listener in listeners:
        listener.close()


def ask(url: CollectorUrl, context: ssl.SSLContext, *, proxy: Proxy | None = None, timeout_s: float = 10) -> bytes:
    connection = HttpsConnection(url, context=context, timeout_s=timeout_s, proxy=proxy)
    try:
        return connection.request("GET", "/", headers={}, body=b"", max_answer_bytes=1000).body
    finally:
        connection.close()


def test_a_whole_answer_comes_back(serve: Serve, authority: Authority, trust: ssl.SSLContext, tmp_path: Path) -> None:
    assert ask(serve(authority.server(tmp_path), [OK]), trust) == b"ok"


def test_one_connection_carries_many_requests(
    serve: Serve, authority: Authority, trust: ssl.SSLContext, tmp_path: Path
) -> None:
    url = serve(authority.server(tmp_path), [OK, OK, OK])
    connection = HttpsConnection(url, context=trust, timeout_s=10)
    for _ in range(3):
        assert connection.request("GET", "/", headers={}, body=b"", max_answer_bytes=10).body == b"ok"
    connection.close()


def test_a_kept_connection_that_was_closed_meanwhile_is_opened_again(
    serve: Serve, authority: Authority, trust: ssl.SSLContext, tmp_path: Path
) -> None:
    url = serve(authority.server(tmp_path), [OK], [OK])
    connection = HttpsConnection(url, context=trust, timeout_s=10)
    for _ in range(2):
        assert connection.request("GET", "/", headers={}, body=b"", max_answer_bytes=10).body == b"ok"
    connection.close()


def test_a_server_of_another_ca_is_refused(
    serve: Serve, trust: ssl.SSLContext, tmp_path: Path
) -> None:  # fmt: skip
    with pytest.raises(WrongCaError, match="not from the pinned CA") as refused:
        ask(serve(Authority("Other").server(tmp_path), [OK]), trust)
    assert "TLS-inspecting proxy" in refused.value.advice


def test_a_server_of_another_name_is_refused(
    serve: Serve, authority: Authority, trust: ssl.SSLContext, tmp_path: Path
) -> None:
    with pytest.raises(WrongNameError, match="for another name"):
        ask(serve(authority.server(tmp_path, host="collector.example"), [OK]), trust)


@pytest.mark.parametrize("days", [(-30, -1), (1, 30)])
def test_a_server_out_of_date_is_refused(
    serve: Serve, authority: Authority, trust: ssl.SSLContext, tmp_path: Path, days: tuple[float, float]
) -> None:
    with pytest.raises(ServerExpiredError, match="out of date"):
        ask(serve(authority.server(tmp_path, days=days), [OK]), trust)


def test_a_server_that_speaks_only_tls_1_2_is_refused(
    serve: Serve, authority: Authority, trust: ssl.SSLContext, tmp_path: Path
) -> None:
    context = authority.server(tmp_path)
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2
    with pytest.raises(NotReachableError, match=r"no TLS 1\.3 connection"):
        ask(serve(context, [OK]), trust)


def test_a_server_that_refuses_our_certificate_is_named(serve: Serve, authority: Authority, tmp_path: Path) -> None:
    key = SoftKey.load_or_create(tmp_path / "key.pem")
    (tmp_path / "ca.pem").write_bytes(pem(authority.root))
    (tmp_path / "cert.pem").write_bytes(pem(authority.sensor(key.public_key, days=(-30, -1)), authority.issuing))
    context = client_context(tmp_path / "ca.pem", key, tmp_path / "cert.pem")
    with pytest.raises(ClientRefusedError, match="certificate expired"):
        ask(serve(authority.server(tmp_path), [OK]), context)


def test_nobody_listening_is_named(trust: ssl.SSLContext) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(NotReachableError, match="Connection refused"):
        ask(CollectorUrl("127.0.0.1", port), trust)


def test_a_name_that_does_not_resolve_is_named(trust: ssl.SSLContext) -> None:
    with pytest.raises(NotReachableError):
        ask(CollectorUrl("no-such-host.invalid", 443), trust)


def test_a_server_that_is_no_tls_server_is_named(trust: ssl.SSLContext) -> None:
    with FakeProxy(answer=b"HTTP/1.1 400 Bad Request\r\n\r\n") as plain, pytest.raises(NotReachableError):
        ask(CollectorUrl("127.0.0.1", plain.port), trust, timeout_s=0.3)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", ConnectionLostError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok", ConnectionLostError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal", ConnectionLostError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhal", ConnectionLostError),
        (b"SSH-2.0-OpenSSH\r\n\r\n", AnswerInvalidError),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n", AnswerInvalidError),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", AnswerInvalidError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000, AnswerInvalidError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n" + b"x" * 5000, AnswerInvalidError),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5000, AnswerInvalidError),
    ],
)
def test_an_answer_that_is_cut_short_too_long_or_no_http_is_named(
    serve: Serve, authority: Authority, trust: ssl.SSLContext, tmp_path: Path, answer: bytes, error: type[Exception]
) -> None:
    with pytest.raises(error):
        ask(serve(authority.server(tmp_path), [answer]), trust)


@pytest.mark.parametrize(
    "drop", [b"HTTP/1.1 100 Continue\r\n\r\n", b"H", b"\r\n"], ids=["interim answers", "one byte at a time", "lines"]
)
def test_an_answer_that_never_ends_does_not_hold_the_sensor(
    authority: Authority, trust: ssl.SSLContext, tmp_path: Path, drop: bytes
) -> None:
    """Each byte comes well within the timeout: only a deadline for the whole answer helps."""
    context = authority.server(tmp_path)
    gone = threading.Event()

    def dribble(listener: socket.socket) -> None:
        plain, _ = listener.accept()
        with contextlib.suppress(OSError), context.wrap_socket(plain, server_side=True) as sock:
            sock.recv(65536)
            if drop == b"\r\n":
                sock.sendall(b"HTTP/1.1 200 OK\r\nX: y\r\n")
                drop_now = b"z"
            else:
                drop_now = drop
            while not gone.wait(0.01):
                sock.sendall(drop_now)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=dribble, args=(listener,), daemon=True)
        thread.start()
        with pytest.raises(NotReachableError, match="no answer in time"):
            ask(CollectorUrl("127.0.0.1", listener.getsockname()[1]), trust, timeout_s=0.5)
        gone.set()
        thread.join(20)


def test_a_chunked_answer_is_read_whole(
    serve: Serve, authority: Authority, trust: ssl.SSLContext, tmp_path: Path
) -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    assert ask(serve(authority.server(tmp_path), [answer]), trust) == b"abcde"


def test_a_proxy_connects_us_with_its_password(
    serve: Serve, authority: Authority, trust: ssl.SSLContext, tmp_path: Path
) -> None:
    url = serve(authority.server(tmp_path), [OK])
    with FakeProxy(authorization="Basic dXNlcjpwQHNz") as proxy:
        assert ask(url, trust, proxy=Proxy.parse(f"http://user:p%40ss@127.0.0.1:{proxy.port}")) == b"ok"
        assert proxy.asked[0].startswith(f"CONNECT 127.0.0.1:{url.port} HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 403 Not\x1b[31m allowed\r\n\r\n", r"403 Not\[31m allowed"),
        (b"HTTP/1.1 407 Who\r\n\r\n", "wants a user and password"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "is not HTTP"),
        (b"HTTP/1.1 200 OK\r\n", "no answer to CONNECT"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5000 + b"\r\n", "no answer to CONNECT"),
    ],
)
def test_a_proxy_that_does_not_connect_us_is_named(trust: ssl.SSLContext, answer: bytes, said: str) -> None:
    with FakeProxy(answer=answer) as proxy, pytest.raises(ProxyRefusedError, match=said):
        ask(CollectorUrl("127.0.0.1", 9), trust, proxy=Proxy("127.0.0.1", proxy.port))


@pytest.mark.parametrize(
    "text", ["", "http://c", "https://", "https://c/path", "https://u@c", "https://c:99999", "https://[::1", "c:443"]
)
def test_an_address_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(OperatorError, match="was allowed"):
        CollectorUrl.parse(text)


def test_addresses_and_proxies_are_read_as_written() -> None:
    assert CollectorUrl.parse("https://c.example") == CollectorUrl("c.example", 443)
    assert str(CollectorUrl.parse("https://[2001:db8::1]:8443/")) == "https://[2001:db8::1]:8443"
    assert Proxy.parse("http://p") == Proxy("p", 3128)
    assert "secret" not in repr(Proxy.parse("http://u:secret@p:1"))
    with pytest.raises(OperatorError) as refused:
        Proxy.parse("socks5://u:secret@p:1")
    assert "secret" not in str(refused.value)
