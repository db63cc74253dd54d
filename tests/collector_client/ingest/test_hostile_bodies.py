"""Bombs, lies, floods and dribbles: refused by name in bounded memory and time, and the next honest batch is stored."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.client
import socket
import ssl
import tracemalloc
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from appliance.wire import session
from appliance.wire.session import MAX_BATCH_BYTES, BatchHeader
from collector_client.config import Config
from collector_client.ingest.inflate import inflate
from collector_client.ingest.refuse import RefusedError
from tests.collector_client.harness import Collector
from tests.fakes.sensor import FakeSensor, document, event

HEADERS = BatchHeader(7, 1, 1, "0" * 64).to_headers()
ZEROS = bytes(1024 * 1024)


def gzip_bomb(mib: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return b"".join([packer.compress(ZEROS) for _ in range(mib)] + [packer.flush()])


def zstd_bomb(mib: int) -> bytes:
    packer = zstandard.ZstdCompressor(level=19).compressobj()
    return b"".join([packer.compress(ZEROS) for _ in range(mib)] + [packer.flush()])


BOMBS = {"gzip": gzip_bomb(512), "zstd": zstd_bomb(512)}


@pytest.mark.parametrize("encoding", BOMBS)
def test_a_bomb_is_refused_while_it_inflates(encoding: session.ContentEncoding) -> None:
    tracemalloc.start()
    with pytest.raises(RefusedError, match="INFLATED_TOO_LARGE"):
        inflate(BOMBS[encoding], encoding, MAX_BATCH_BYTES)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 * 1024 * 1024


@pytest.mark.parametrize("encoding", BOMBS)
def test_a_bomb_on_the_wire_is_refused_and_the_next_batch_is_stored(
    collector: Collector, encoding: session.ContentEncoding
) -> None:
    sensor = collector.sensor()
    answer = sensor.post_batch(BOMBS[encoding], HEADERS | {"Content-Encoding": encoding})
    assert (answer.status, answer.code) == (413, "INFLATED_TOO_LARGE")
    assert sensor.send([event(1)]).receipt.stored_to == 1


def test_a_zstd_frame_that_asks_for_a_huge_window_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True)
    bomb = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(RefusedError, match="COMPRESSION_BROKEN"):
        inflate(bomb.compress(ZEROS) + bomb.flush(), "zstd", MAX_BATCH_BYTES)


WHOLE = {"gzip": gzip.compress(b"<a/>" * 100, mtime=0), "zstd": zstandard.compress(b"<a/>" * 100)}


@pytest.mark.parametrize("encoding", WHOLE)
def test_cut_off_doubled_and_damaged_bodies_are_refused(encoding: session.ContentEncoding) -> None:
    whole = WHOLE[encoding]
    assert inflate(whole, encoding, 400) == b"<a/>" * 100
    for damaged in (whole[:-1], whole[:4], b"", whole + b"x", whole + whole, b"x" + whole):
        with pytest.raises(RefusedError, match="COMPRESSION_BROKEN"):
            inflate(damaged, encoding, MAX_BATCH_BYTES)
    with pytest.raises(RefusedError, match="INFLATED_TOO_LARGE"):
        inflate(whole, encoding, 399)


@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_any_bytes_inflate_within_the_limit_or_are_refused(
    encoding: session.ContentEncoding, data: st.DataObject
) -> None:
    whole = WHOLE[encoding]
    at = data.draw(st.integers(0, len(whole)))
    body = whole[:at] + data.draw(st.binary(max_size=12)) + whole[at + data.draw(st.integers(0, 12)) :]
    with contextlib.suppress(RefusedError):
        assert len(inflate(body, encoding, 400)) <= 400


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"Vedette-SHA256": "ab" * 32}, 400, "DIGEST_DIFFERS"),
        ({"Vedette-SHA256": "short"}, 400, "HEADER_INVALID"),
        ({"Vedette-Epoch": "-1"}, 400, "HEADER_INVALID"),
        ({"Vedette-Sequence": "2-1"}, 400, "HEADER_INVALID"),
        ({"Vedette-Sequence": "1-501"}, 400, "RANGE_TOO_WIDE"),
        ({"Vedette-Sequence": f"1-{2**63 - 1}"}, 400, "RANGE_TOO_WIDE"),
        ({"Vedette-Losses": "1-1:SPOOL"}, 400, "HEADER_INVALID"),
        ({"Content-Encoding": "br"}, 415, "CONTENT_ENCODING"),
        ({"Content-Encoding": "gzip"}, 400, "COMPRESSION_BROKEN"),
        ({"Content-Length": str(MAX_BATCH_BYTES + 1)}, 413, "BODY_TOO_LARGE"),
    ],
)
def test_a_lie_in_a_header_is_named(collector: Collector, changed: dict[str, str], status: int, code: str) -> None:
    sensor = collector.sensor()
    body = document([event(1)])
    answer = sensor.post_batch(body, HEADERS | {"Vedette-SHA256": hashlib.sha256(body).hexdigest()} | changed)
    assert (answer.status, answer.code) == (status, code)
    assert answer.refusal.do
    sensor.disconnect()
    assert sensor.send([event(1)]).receipt.stored_to == 1


def test_a_chunked_body_without_length_is_stopped_at_the_limit(collector: Collector) -> None:
    sensor = collector.sensor()
    connection = http_connection(sensor)
    pieces = iter([ZEROS] * 5)
    connection.request("POST", session.BATCHES_PATH, body=pieces, headers=HEADERS, encode_chunked=True)
    answer = connection.getresponse()
    assert answer.status == 413
    answer.read()
    connection.close()


def http_connection(sensor: FakeSensor) -> http.client.HTTPSConnection:
    return http.client.HTTPSConnection(sensor.host, sensor.port, timeout=30, context=sensor.context())


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Collector]:
    """A collector whose patience is one second."""

    def change(config: Config) -> Config:
        limits = replace(config.ingest, request_timeout_s=1, handshake_timeout_s=1, idle_timeout_s=1, max_connections=8)
        return replace(config, ingest=limits)

    made = Collector(tmp_path / "collector", change).start()
    yield made
    made.stop()


def raw(collector: Collector, sensor: FakeSensor | None = None) -> ssl.SSLSocket | socket.socket:
    host, _, port = collector.address.rpartition(":")
    plain = socket.create_connection((host, int(port)), timeout=30)
    return plain if sensor is None else sensor.context().wrap_socket(plain, server_hostname=host)


def ended(connection: socket.socket) -> bytes:
    """Everything until the other side closes; a reset counts as an end."""
    said = b""
    try:
        while piece := connection.recv(65_536):
            said += piece
    except (ConnectionError, ssl.SSLError):
        pass
    connection.close()
    return said


def test_a_handshake_that_never_comes_is_cut(impatient: Collector) -> None:
    assert ended(raw(impatient)) == b""


def test_a_head_that_never_comes_is_cut(impatient: Collector) -> None:
    assert ended(raw(impatient, impatient.sensor())) == b""


def test_a_head_that_dribbles_is_cut(impatient: Collector) -> None:
    connection = raw(impatient, impatient.sensor())
    connection.sendall(b"POST /v1/batches HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    assert b"HTTP/1.1 2" not in ended(connection)


def test_a_body_that_dribbles_is_answered_408_and_cut(impatient: Collector) -> None:
    connection = raw(impatient, impatient.sensor())
    head = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    connection.sendall(f"POST /v1/batches HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n{head}\r\nhalf".encode())
    said = ended(connection)
    assert b" 408 " in said.split(b"\r\n")[0]
    assert b"BODY_TOO_SLOW" in said


def test_idle_connections_do_not_keep_an_honest_sensor_out(impatient: Collector) -> None:
    honest = impatient.sensor()
    honest.disconnect()
    sleepers = [raw(impatient) for _ in range(20)]
    for sleeper in sleepers:
        ended(sleeper)
    assert honest.send([event(1)]).receipt.stored_to == 1


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/batches HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /v1/batches HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 500 + b"\r\n",
        b"\x16\x03\x01" * 100,
    ],
    ids=["garbage", "another version", "two lengths", "length and chunks", "long line", "many headers", "TLS in TLS"],
)
def test_what_is_no_request_is_answered_400_and_cut(collector: Collector, request_bytes: bytes) -> None:
    sensor = collector.sensor()
    connection = raw(collector, sensor)
    connection.sendall(request_bytes)
    said = ended(connection)
    assert said == b"" or b" 400 " in said.split(b"\r\n")[0], said[:200]
    assert sensor.send([event(1)]).receipt.stored_to == 1
