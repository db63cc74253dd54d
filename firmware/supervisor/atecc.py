"""A secure element of the ATECC508A/608 class on I2C, written from its public data sheet.

    to the element     0x03, count, opcode, p1, p2 (2, little endian), data, CRC (2, little endian)
    from the element   count, data, CRC; of one octet the data is a status

Rules of this file: bus and pause are handed in; nothing is read or written when the module is loaded. Each command ends
in its answer or `AteccError`, with a bounded number of tries; the element is put to idle afterwards, because its own
watchdog sleeps it after 1.3 s at most. What locks, writes or sets up an element has no function here.
"""

ADDRESS = 0x60
WAKE_ANSWER = b"\x04\x11\x33\x43"
READ, COUNTER, INFO, NONCE, GENKEY, SIGN, RANDOM = 0x02, 0x24, 0x30, 0x16, 0x40, 0x41, 0x1B
# opcode: milliseconds that it takes at most (data sheet, table of execution times, slowest clock divider)
TIMES_MS = {READ: 5, COUNTER: 25, INFO: 5, NONCE: 20, GENKEY: 215, SIGN: 220, RANDOM: 25}
SHOW_KEY, MAKE_KEY = 0x00, 0x04
"""What GENKEY is to do with a slot's key: say its public half, or make another."""
NO_KEY = 0x0F
"""Status of GENKEY for a slot without a key: "execution error"."""
WAKE_TRIES = 3
READ_TRIES = 10
MOST_DATA = 155
COMMAND, SLEEP, IDLE = b"\x03", b"\x01", b"\x02"


class AteccError(Exception):
    """No answer, or a refusal: `status` is the element's; 0xFF is an answer that is none, 0x100 silence."""

    def __init__(self, status: int) -> None:
        super().__init__("status " + hex(status))
        self.status = status


def crc16(data: bytes) -> bytes:
    """CRC-16 with polynomial 0x8005, least significant bit of each octet first; little endian."""
    crc = 0
    for octet in data:
        for bit in range(8):
            differs = (octet >> bit & 1) != crc >> 15
            crc = crc << 1 & 0xFFFF
            if differs:
                crc ^= 0x8005
    return bytes((crc & 0xFF, crc >> 8))


class Atecc:
    """One element. `bus` has `writeto(address, octets)` and `readfrom(address, count)`; a NACK is OSError."""

    def __init__(self, bus, pause_ms, address: int = ADDRESS) -> None:  # type: ignore[no-untyped-def]
        self._bus = bus
        self._pause_ms = pause_ms
        self._address = address

    def _wake(self) -> None:
        for _ in range(WAKE_TRIES):
            try:
                # SDA low for more than 60 us wakes it: an address of zeros at 100 kHz is; nobody acknowledges that.
                self._bus.writeto(0, b"\x00")
            except OSError:
                pass
            self._pause_ms(2)
            try:
                if bytes(self._bus.readfrom(self._address, 4)) == WAKE_ANSWER:
                    return
            except OSError:
                continue
        raise AteccError(0x100)

    def _answer(self) -> bytes:
        for _ in range(READ_TRIES):
            try:
                count = self._bus.readfrom(self._address, 1)[0]
                rest = bytes(self._bus.readfrom(self._address, max(min(count, MOST_DATA) - 1, 1)))
            except OSError:
                self._pause_ms(5)  # it is at work still
                continue
            whole = bytes((count,)) + rest
            if not 4 <= count == len(whole) or crc16(whole[:-2]) != whole[-2:]:
                raise AteccError(0xFF)
            return whole[1:-2]
        raise AteccError(0x100)

    def command(self, opcode: int, p1: int = 0, p2: int = 0, data: bytes = b"", then: int = 0) -> bytes:
        """One command's answer, and the element idle.

        Raises:
            AteccError: no answer, one that is damaged, or a status.
        """
        self._wake()
        try:
            return self._exchange(opcode, p1, p2, data, then)
        finally:
            self._end(IDLE)

    def _exchange(self, opcode: int, p1: int, p2: int, data: bytes, length: int) -> bytes:
        if len(data) > MOST_DATA - 7:
            raise AteccError(0x03)
        body = bytes((7 + len(data), opcode, p1, p2 & 0xFF, p2 >> 8)) + data
        try:
            self._bus.writeto(self._address, COMMAND + body + crc16(body))
        except OSError:
            raise AteccError(0x100) from None
        self._pause_ms(TIMES_MS.get(opcode, 25))
        answer = self._answer()
        if len(answer) == 1 and (answer[0] or length > 1):
            raise AteccError(answer[0])
        if length and len(answer) != length:
            raise AteccError(0xFF)
        return answer

    def _end(self, how: bytes) -> None:
        try:
            self._bus.writeto(self._address, how)
        except OSError:
            return

    def sleep(self) -> None:
        """Least power; what it remembered for a moment is forgotten."""
        self._end(SLEEP)

    def info(self) -> bytes:
        """The revision, four octets."""
        return self.command(INFO, 0, 0, b"", 4)

    def serial(self) -> bytes:
        """The nine octets that no other element has (configuration zone, words 0, 2 and 3)."""
        words = [self.command(READ, 0, at, b"", 4) for at in (0, 2, 3)]
        return words[0] + words[1] + words[2][:1]

    def random(self) -> bytes:
        """32 octets; an element whose configuration is not locked gives ffff0000 over and over."""
        return self.command(RANDOM, 0, 0, b"", 32)

    def make_key(self, slot: int) -> bytes:
        """A new P-256 key in a slot: its public half, X and Y."""
        return self.command(GENKEY, MAKE_KEY, slot, b"", 64)

    def public_key(self, slot: int) -> bytes:
        """The public half of the key in a slot, X and Y."""
        return self.command(GENKEY, SHOW_KEY, slot, b"", 64)

    def sign(self, slot: int, digest: bytes) -> bytes:
        """ECDSA over 32 octets: R and S. Both commands in one waking: idle keeps what was loaded, sleep does not."""
        if len(digest) != 32:
            raise AteccError(0x03)
        self._wake()
        try:
            self._exchange(NONCE, 0x03, 0, digest, 1)
            return self._exchange(SIGN, 0x80, slot, b"", 64)
        finally:
            self._end(IDLE)

    def counter(self, number: int) -> int:
        """A counter's value."""
        return little(self.command(COUNTER, 0, number, b"", 4))

    def count(self, number: int) -> int:
        """A counter's value after it has been raised by one; it can never be lowered."""
        return little(self.command(COUNTER, 1, number, b"", 4))


def little(data: bytes) -> int:
    """A number, least significant octet first."""
    value = 0
    for octet in reversed(data):
        value = value << 8 | octet
    return value
