"""An ATECC608 as its I2C bus shows it: wakes, answers Info, Read of the configuration and Random, refuses the rest.

    write  0x03 count opcode param1 param2(2, little endian) data crc(2)     count: from itself to the CRC
    read   count data crc(2)                                                a status is one octet of data
    write  0x01 sleep, 0x02 idle, 0x00 reset of the address counter

Rules of this file: the packets are those of the ATECC508A's public data sheet; the chip's own numbers are made up. An
octet that does not fit is a status, never an exception.
"""

from __future__ import annotations

ADDRESS = 0x60
SERIAL = bytes.fromhex("0123dec0deca5e00ee")
REVISION = bytes.fromhex("00006003")
WOKEN = b"\x11"
PARSE_ERROR = b"\x03"
CRC_ERROR = b"\xff"

_COMMAND = 0x03
_INFO, _READ, _RANDOM = 0x30, 0x02, 0x1B
_SHORTEST = 7


def crc16(data: bytes) -> bytes:
    """CRC-16 with polynomial 0x8005, least significant bit of an octet first, little endian."""
    register = 0
    for octet in data:
        for bit in range(8):
            carry = (register >> 15) ^ ((octet >> bit) & 1)
            register = ((register << 1) & 0xFFFF) ^ (0x8005 if carry else 0)
    return register.to_bytes(2, "little")


def packet(data: bytes) -> bytes:
    """An answer with its count and CRC."""
    head = bytes((len(data) + 3,)) + data
    return head + crc16(head)


class SecureElement:
    """One chip on the bus; `commands` are the opcodes that it has taken."""

    def __init__(self) -> None:
        self.awake = False
        self.commands: list[int] = []
        self._written = bytearray()
        self._answer = b""
        self._configuration = SERIAL[:4] + REVISION + SERIAL[4:] + bytes(128 - 13)

    def connect(self, address: int, is_read: bool) -> bool:
        """Address 0 at 100 kHz holds SDA low for longer than 60 us, which wakes it."""
        if address != ADDRESS:
            if address == 0 and not self.awake:
                self.awake, self._answer = True, packet(WOKEN)
            return False
        if not is_read:
            self._written.clear()
        return self.awake

    def write(self, octet: int) -> bool:
        """Takes what comes; looked at when the transfer ends."""
        self._written.append(octet)
        return True

    def read(self) -> int:
        """The answer, octet by octet; 0xFF when there is none."""
        octet, self._answer = (self._answer[0], self._answer[1:]) if self._answer else (0xFF, b"")
        return octet

    def stop(self) -> None:
        """The transfer has ended: what was written is a command, sleep, or nothing."""
        written, self._written = bytes(self._written), bytearray()
        if written[:1] in (b"\x01", b"\x02"):
            self.awake, self._answer = False, b""
        elif written[:1] == bytes((_COMMAND,)):
            self._answer = packet(self._execute(written[1:]))

    def _execute(self, command: bytes) -> bytes:
        if len(command) < _SHORTEST or command[0] != len(command):
            return PARSE_ERROR
        if crc16(command[:-2]) != command[-2:]:
            return CRC_ERROR
        _, opcode, param1, low, high = command[:5]
        self.commands.append(opcode)
        if opcode == _INFO and param1 == 0:
            return REVISION
        if opcode == _READ and param1 in (0x00, 0x80) and (at := 4 * (high << 8 | low)) < len(self._configuration):
            return self._configuration[at : at + (32 if param1 else 4)]
        if opcode == _RANDOM:
            return bytes(range(32))
        return PARSE_ERROR
