"""A real terminal device (a pty): raw octets both ways, one owner, and every way of vanishing has one name."""

from __future__ import annotations

import contextlib
import os
import pty
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.mcu.errors import PortBusyError, PortError, PortGoneError
from appliance.mcu.port import READ_BYTES, SerialPort

Line = tuple[int, str]


@pytest.fixture
def line() -> Iterator[Line]:
    """The board's end as a descriptor, and the path of ours."""
    board, ours = pty.openpty()
    path = os.ttyname(ours)
    os.close(ours)
    tty.setraw(board)
    yield board, path
    with contextlib.suppress(OSError):
        os.close(board)


def read_all(port: SerialPort, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += port.read(10)
    return data


@given(st.binary(min_size=1, max_size=600))
def test_every_octet_passes_both_ways_unchanged(data: bytes) -> None:
    board, ours = pty.openpty()
    port = SerialPort(os.ttyname(ours))
    try:
        port.write(data)
        there = b""
        while len(there) < len(data):
            there += os.read(board, READ_BYTES)
        assert there == data
        os.write(board, data)
        assert read_all(port, len(data)) == data
    finally:
        port.close()
        os.close(board)
        os.close(ours)


def test_silence_is_nothing_and_no_error(line: Line) -> None:
    port = SerialPort(line[1])
    assert port.read(0) == b""
    assert port.read(-1) == b""
    port.close()


def test_what_came_before_it_was_opened_is_thrown_away(line: Line) -> None:
    board, path = line
    held = os.open(path, os.O_RDWR | os.O_NOCTTY)
    os.write(board, b"boot messages")
    port = SerialPort(path)
    assert port.read(0) == b""
    port.close()
    os.close(held)


def test_a_port_has_one_owner(line: Line) -> None:
    port = SerialPort(line[1])
    with pytest.raises(PortBusyError, match="another program") as told:
        SerialPort(line[1])
    assert "vedette run" in told.value.advice
    port.close()
    SerialPort(line[1]).close()


def test_a_board_that_is_pulled_out_is_gone(line: Line) -> None:
    board, path = line
    port = SerialPort(path)
    os.close(board)
    with pytest.raises(PortGoneError):
        port.read(1)
    port.close()


def test_a_board_that_takes_nothing_is_gone_in_time(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.mcu.port.WRITE_LIMIT_MS", 1)
    port = SerialPort(line[1])
    with pytest.raises(PortGoneError, match="takes nothing"):
        port.write(bytes(1 << 20))
    port.close()


def test_a_path_that_is_not_there_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PortGoneError) as told:
        SerialPort(str(tmp_path / "none"))
    assert "connected" in told.value.advice


def test_a_file_is_no_port(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PortError, match="not a serial port"):
        SerialPort(str(tmp_path / "file"))


def test_a_speed_that_nobody_knows_is_refused(line: Line) -> None:
    with pytest.raises(PortError, match="12345 baud"):
        SerialPort(line[1], 12345)


def test_no_descriptor_is_left_behind_by_a_refusal(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        with pytest.raises(PortError):
            SerialPort(str(tmp_path / "file"))
    assert len(os.listdir("/proc/self/fd")) == before
