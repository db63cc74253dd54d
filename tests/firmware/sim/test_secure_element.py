"""The emulated bench's secure element says on the bus what the data sheet says, and survives what it does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.firmware.sim.secure_element import (
    ADDRESS,
    CRC_ERROR,
    PARSE_ERROR,
    REVISION,
    SERIAL,
    SecureElement,
    crc16,
    packet,
)


def asked(chip: SecureElement, written: bytes, length: int) -> bytes:
    assert chip.connect(ADDRESS, is_read=False)
    for octet in written:
        assert chip.write(octet)
    chip.stop()
    return answer(chip, length)


def answer(chip: SecureElement, length: int) -> bytes:
    assert chip.connect(ADDRESS, is_read=True)
    return bytes(chip.read() for _ in range(length))


def command(opcode: int, param1: int = 0, param2: int = 0) -> bytes:
    head = bytes((7, opcode, param1)) + param2.to_bytes(2, "little")
    return b"\x03" + head + crc16(head)


@pytest.fixture
def woken() -> SecureElement:
    chip = SecureElement()
    assert not chip.connect(0, is_read=False)
    assert answer(chip, 4) == bytes.fromhex("04113343")
    return chip


def test_asleep_it_does_not_answer() -> None:
    assert not SecureElement().connect(ADDRESS, is_read=False)


def test_it_tells_its_revision_and_serial_number(woken: SecureElement) -> None:
    assert asked(woken, command(0x30), 7) == packet(REVISION)
    blocks = [asked(woken, command(0x02, 0, block), 7)[1:5] for block in (0, 2, 3)]
    assert blocks[0] + blocks[1] + blocks[2][:1] == SERIAL
    assert woken.commands == [0x30, 0x02, 0x02, 0x02]


def test_a_damaged_command_is_a_status_and_no_command(woken: SecureElement) -> None:
    damaged = bytearray(command(0x30))
    damaged[-1] ^= 1
    assert asked(woken, bytes(damaged), 4) == packet(CRC_ERROR)
    assert asked(woken, command(0x30)[:-1], 4) == packet(PARSE_ERROR)
    assert woken.commands == []


def test_after_sleep_it_must_be_woken_again(woken: SecureElement) -> None:
    assert woken.connect(ADDRESS, is_read=False)
    woken.write(0x01)
    woken.stop()
    assert not woken.connect(ADDRESS, is_read=False)


@given(st.binary(max_size=200))
def test_any_octets_are_answered_or_left(written: bytes) -> None:
    chip = SecureElement()
    chip.connect(0, is_read=False)
    chip.connect(ADDRESS, is_read=False)
    for octet in written:
        assert chip.write(octet)
    chip.stop()
    assert chip.awake is (written[:1] not in (b"\x01", b"\x02"))
    assert chip.connect(ADDRESS, is_read=True) is chip.awake
    assert all(0 <= chip.read() <= 255 for _ in range(40))
