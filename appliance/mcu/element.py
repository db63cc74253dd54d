"""The secure element on the supervisor's board, through the link: the few things that are asked of it.

Rules of this file: the opcodes are this closed list, and the firmware takes no other (`supervisor/commands.py` there).
One slot is ours. A key is made once: the firmware refuses to make one over another unless a hand at the board's button
allowed it. What an element says that is no answer is an error by name.
"""

from __future__ import annotations

from appliance.identity import ElementMissingError, ElementRefusedError
from appliance.mcu.errors import NoAnswerError, OrderRefusedError, PortError
from appliance.mcu.upgrade import Ask
from appliance.wire import mcu_words as words

SLOT = 0
READ, RANDOM, GENKEY, SIGN = 0x02, 0x1B, 0x40, 0x41
"""Opcodes of the ATECC508A/608 data sheet. READ is of the configuration zone, where the serial number is."""
SHOW, MAKE = 0x00, 0x04
"""GENKEY's first parameter: the public half of the key that is there, or a new key."""
EXTERNAL = 0x80
"""SIGN's: a digest that is handed in."""
NO_KEY = 0x0F
"""Status "execution error": so GENKEY answers for a slot without a key."""
DIGEST_BYTES, POINT_BYTES, SIGNATURE_BYTES, RANDOM_BYTES = 32, 64, 64, 32
UNLOCKED = b"\xff\xff\x00\x00" * 8
"""What an element whose configuration is not locked gives for random numbers."""
SECURE_S, SECURE_PATIENCE_S = 15.0, 5.0
"""A signature takes a third of a second; the rest is for a link that must greet anew first. Asked again only after the
answer is surely lost: an answer does not say of which question it is."""
NO_ANSWER = 0xFF
"""The driver's word for silence and for an answer that is damaged."""
NAMES = {0x03: "it does not understand that", NO_KEY: "it cannot do that with this slot"}


class LinkElement:
    """A `SecureElement`; `ask` is a `Supervisor`'s."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def serial(self) -> bytes:
        """See `SecureElement.serial`."""
        parts = [self._say(READ, 0, word, length=4) for word in (0, 2, 3)]
        return parts[0] + parts[1] + parts[2][:1]

    def public_key(self) -> bytes | None:
        """See `SecureElement.public_key`."""
        status, data = self._said(GENKEY, SHOW, SLOT)
        return None if status == NO_KEY else _checked(status, data, POINT_BYTES)

    def make_key(self) -> bytes:
        """See `SecureElement.make_key`."""
        if self._say(RANDOM, 0, 0, length=RANDOM_BYTES) == UNLOCKED:
            raise ElementRefusedError(
                "secure element: its configuration is not locked, so its keys are worth nothing",
                advice="lock it at manufacture, by its maker's tool",
            )
        before = self.public_key()
        try:
            return self._say(GENKEY, MAKE, SLOT, length=POINT_BYTES)
        except (ElementMissingError, ElementRefusedError):
            # An answer that was lost is asked for again, and refused because the key is there by now.
            made = self.public_key()
            if made in (None, before):
                raise
            return made

    def sign(self, digest: bytes) -> bytes:
        """See `SecureElement.sign`.

        Raises:
            ValueError: the digest is not 32 bytes long.
        """
        if len(digest) != DIGEST_BYTES:
            raise ValueError(f"a digest of {len(digest)} bytes came, {DIGEST_BYTES} were allowed")
        return self._say(SIGN, EXTERNAL, SLOT, digest, length=SIGNATURE_BYTES)

    def _say(self, opcode: int, p1: int, p2: int, data: bytes = b"", *, length: int) -> bytes:
        return _checked(*self._said(opcode, p1, p2, data), length)

    def _said(self, opcode: int, p1: int, p2: int, data: bytes = b"") -> tuple[int, bytes]:
        try:
            word = self._ask(words.SECURE, opcode, p1, p2, data, within_s=SECURE_S, patience_s=SECURE_PATIENCE_S)
        except OrderRefusedError as error:
            if error.why == "no-part":
                raise ElementMissingError(
                    "supervisor: its board has no secure element",
                    advice='[identity] key_store = "tpm", or "software" for a trial',
                ) from error
            advice = error.advice
            if error.why == "not-now":
                advice = (
                    "it has a key, and keeps it: to make another, hold the board's button for a factory reset, pair"
                    " again (vedette supervisor pair), then do this again"
                )
            raise ElementRefusedError(str(error), advice=advice) from error
        except (NoAnswerError, PortError) as error:
            raise ElementMissingError(f"secure element: {error}", advice=error.advice) from error
        return word.status, word.data


def _checked(status: int, data: bytes, length: int) -> bytes:
    if status == NO_ANSWER:
        raise ElementMissingError(
            "secure element: the chip on the supervisor's board gives no answer that holds",
            advice="cut the board's power for a moment; if it stays so, the chip is not there or broken",
        )
    if status or len(data) != length:
        what = NAMES.get(status, "an answer of another length" if not status else "it refused")
        raise ElementRefusedError(
            f"secure element: {what}: status {status:#04x} and {len(data)} octets came, {length} octets were allowed",
            advice="is the element set up as the README says? vedette supervisor element",
        )
    return data


def serve(element: LinkElement, call: str, data: bytes) -> bytes | None:
    """One of the four by its name, as who has no port asks the daemon for it.

    Raises:
        ElementRefusedError: no such call, or a digest of another length.
        ElementMissingError: the element cannot be reached.
    """
    match call:
        case "serial":
            return element.serial()
        case "public-key":
            return element.public_key()
        case "make-key":
            return element.make_key()
        case "sign" if len(data) == DIGEST_BYTES:
            return element.sign(data)
    raise ElementRefusedError(f"secure element: {call[:40]!r} with {len(data)} octets came, a call it has was allowed")
