"""A secure element on its bus, as the data sheet tells: asleep, awake, at work; made-up keys.

Rules of this file: runs on CPython and MicroPython, and imports nothing of ours. It refuses what a real one refuses,
and can be told to fail.
"""

ADDRESS = 0x60
WAKE_ANSWER = b"\x04\x11\x33\x43"
READ, COUNTER, INFO, NONCE, GENKEY, SIGN, RANDOM = 0x02, 0x24, 0x30, 0x16, 0x40, 0x41, 0x1B

REVISION = b"\x00\x00\x60\x02"
SERIAL = b"\x01\x23\x45\x67\x89\xab\xcd\xef\xee"


def crc16(data: bytes) -> bytes:
    """Bit by bit, as the data sheet tells: x^16 + x^15 + x^2 + 1, least significant bit of an octet first."""
    register = 0
    for octet in data:
        for bit in range(8):
            carry = (register >> 15) ^ (octet >> bit & 1)
            register = (register << 1 & 0xFFFF) ^ (0x8005 if carry else 0)
    return bytes((register & 0xFF, register >> 8))


class Element:
    """`bus` for `Atecc`; `busy` NACKs come before an answer; `damage` flips a bit of it; `absent` never answers."""

    def __init__(self) -> None:
        self.is_awake = False
        self.busy = 0
        self.damage = False
        self.absent = False
        self.counters = [0, 0]
        self.keys = {}  # type: dict[int, int]
        self.commands = []  # type: list[int]
        self.endings = []  # type: list[bytes]
        self._loaded = None
        self._answer = b""

    def writeto(self, address: int, data: bytes) -> None:
        if self.absent:
            raise OSError(5)
        if address == 0:
            self.is_awake = True
            self._answer = WAKE_ANSWER
            raise OSError(5)
        if address != ADDRESS or not self.is_awake:
            raise OSError(5)
        if data[0] in (1, 2):
            self.endings.append(bytes(data))
            self.is_awake = False
            if data[0] == 1:
                self._loaded = None
            return
        assert data[0] == 3
        body = bytes(data[1:])
        whole = len(body) == body[0] and crc16(body[:-2]) == body[-2:]
        answer = self._do(body[1], body[2], body[3] | body[4] << 8, body[5:-2]) if whole else b"\xff"
        head = bytes((len(answer) + 3,)) + answer
        self._answer = head + crc16(head)
        if self.damage:
            self._answer = self._answer[:-3] + bytes((self._answer[-3] ^ 1,)) + self._answer[-2:]

    def readfrom(self, address: int, count: int) -> bytes:
        if self.absent or not self.is_awake or address != ADDRESS:
            raise OSError(5)
        if self._answer != WAKE_ANSWER and self.busy:
            self.busy -= 1
            raise OSError(5)
        data, self._answer = self._answer[:count], self._answer[count:]
        return data + b"\xff" * (count - len(data))

    def _do(self, opcode: int, p1: int, p2: int, data: bytes) -> bytes:
        self.commands.append(opcode)
        if opcode == INFO:
            return REVISION
        if opcode == READ and p1 == 0:
            zone = SERIAL[:4] + REVISION + SERIAL[4:] + bytes(19)
            return zone[p2 * 4 : p2 * 4 + 4]
        if opcode == RANDOM:
            return bytes(range(32))
        if opcode == NONCE and p1 == 3 and len(data) == 32:
            self._loaded = data
            return b"\0"
        if opcode == GENKEY and p2 < 4:
            if p1 == 4:
                self.keys[p2] = self.keys.get(p2, 0) + 1
            return bytes((p2, self.keys[p2])) * 32 if p2 in self.keys else b"\x0f"
        if opcode == SIGN and p1 == 0x80 and p2 in self.keys and self._loaded is not None:
            loaded, self._loaded = self._loaded, None
            return loaded + bytes((p2, self.keys[p2])) * 16
        if opcode == COUNTER and p2 < 2:
            self.counters[p2] += p1
            return bytes((self.counters[p2] & 0xFF, self.counters[p2] >> 8, 0, 0))
        return b"\x03"
