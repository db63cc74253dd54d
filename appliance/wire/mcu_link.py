"""The link between the appliance and its supervisor: frames and session; both roles, without I/O.

    frame    COBS(version kind seq body tag) 0x00            at most MAX_FRAME octets before the zero
    version  1 octet   kind  1 octet   seq  4 octets, big endian, grows within a session
    tag      8 octets: HMAC-SHA256 over everything before it, cut (RFC 2104, section 5)

    host        HELLO    seq 0, tag: pairing key                        its body begins with the host's nonce
    supervisor  WELCOME  seq 0, tag: pairing key, over the host's nonce as well; begins with the supervisor's nonce
    then both   seq from 1, one key for each direction: HMAC(pairing key, both nonces and the direction)

Rules of this file: the firmware freezes it as it is, so it uses only what MicroPython has and the same words mean the
same on both sides (the words are in `mcu_words.py`). Any octets end in a value or `LinkError`; a frame that is not the
peer's, or not new, changes nothing but a counter. A session is in force only when the host has spoken in it: a HELLO
that is replayed never ends the one before. The link authorises power and watchdog actions, and a secure
element's everyday commands.
"""

import hashlib
import struct

VERSION = 1
"""Of the frame, and never another for HELLO and WELCOME: they settle which version of the words is spoken."""

NONCE = 16
KEY = 32
TAG = 8
HEAD = 6
MAX_BODY = 192
MAX_FRAME = HEAD + MAX_BODY + TAG + 2
"""With the two octets that COBS adds to up to 508."""

UNPAIRED_KEY = bytes(KEY)
"""The pairing key of a supervisor that has none yet: it accepts PAIR and watches over nothing."""


class LinkError(Exception):
    """Octets that are no frame of the peer's, or a frame that is not new."""


def hmac_sha256(key: bytes, *parts: bytes) -> bytes:
    """HMAC-SHA256 (RFC 2104) over the parts, one after the other; MicroPython has no `hmac`."""
    if len(key) > 64:
        key = hashlib.sha256(key).digest()
    key = key + bytes(64 - len(key))
    inner = hashlib.sha256(bytes(octet ^ 0x36 for octet in key))
    for part in parts:
        inner.update(part)
    outer = hashlib.sha256(bytes(octet ^ 0x5C for octet in key))
    outer.update(inner.digest())
    return outer.digest()


def same(left: bytes, right: bytes) -> bool:
    """Whether two octet strings are equal, in a time that does not tell where they differ."""
    if len(left) != len(right):
        return False
    difference = 0
    for one, other in zip(left, right):  # noqa: B905  (MicroPython's zip has no `strict`)
        difference |= one ^ other
    return difference == 0


def fingerprint(pairing_key: bytes) -> bytes:
    """Eight octets by which both sides can tell that they have the same key, and nobody the key."""
    return hmac_sha256(pairing_key, b"vedette mcu fingerprint 1")[:TAG]


def cobs_encode(data: bytes) -> bytes:
    """Octets without a zero (Cheshire and Baker, 1999), without the delimiter."""
    out = bytearray(1)
    at, code = 0, 1
    for octet in data:
        if octet:
            out.append(octet)
            code += 1
        if not octet or code == 0xFF:
            out[at] = code
            at, code = len(out), 1
            out.append(0)
    out[at] = code
    return bytes(out)


def cobs_decode(data: bytes) -> bytes:
    """The octets that were encoded, without the delimiter.

    Raises:
        LinkError: a block that claims more than there is, or a zero inside.
    """
    out = bytearray()
    at, end = 0, len(data)
    while at < end:
        code = data[at]
        block = data[at + 1 : at + code]
        if code == 0 or at + code > end or 0 in block:
            raise LinkError("cobs")
        out.extend(block)
        at += code
        if code != 0xFF and at < end:
            out.append(0)
    return bytes(out)


def seal(key: bytes, kind: int, seq: int, body: bytes = b"", context: bytes = b"") -> bytes:
    """One frame with its delimiter. `context` is in the tag and not in the frame.

    Raises:
        LinkError: the body is longer than MAX_BODY, or `seq` has run out.
    """
    if len(body) > MAX_BODY or not 0 <= seq <= 0xFFFFFFFF:
        raise LinkError("too long")
    head = struct.pack(">BBI", VERSION, kind, seq) + body
    return cobs_encode(head + hmac_sha256(key, head, context)[:TAG]) + b"\0"


def unseal(key: bytes, frame: bytes, context: bytes = b"") -> tuple[int, int, bytes]:
    """`(kind, seq, body)` of a frame without its delimiter.

    Raises:
        LinkError: not a frame, of another version, or not made with `key`.
    """
    if len(frame) > MAX_FRAME:
        raise LinkError("too long")
    data = cobs_decode(frame)
    if len(data) < HEAD + TAG:
        raise LinkError("too short")
    head, tag = data[:-TAG], data[-TAG:]
    if not same(tag, hmac_sha256(key, head, context)[:TAG]):
        raise LinkError("tag")
    version, kind, seq = struct.unpack(">BBI", head[:HEAD])
    if version != VERSION:
        raise LinkError("version")
    return kind, seq, head[HEAD:]


class Reader:
    """From octets as they come to frames: noise costs at most the frame it falls into."""

    def __init__(self) -> None:
        self.dropped = 0
        self._held = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that `data` completes, without their delimiters."""
        frames = []
        for octet in data:
            if octet == 0:
                if self._held and not self._skipping:
                    frames.append(bytes(self._held))
                self._held = bytearray()
                self._skipping = False
            elif self._skipping:
                continue
            elif len(self._held) == MAX_FRAME:
                self.dropped += 1
                self._skipping = True
            else:
                self._held.append(octet)
        return frames


class Session:
    """Both directions of one session; `incoming` counts what came, so that nothing is taken twice."""

    def __init__(self, pairing_key: bytes, host_nonce: bytes, supervisor_nonce: bytes, is_host: bool) -> None:
        nonces = host_nonce + supervisor_nonce
        keys = [hmac_sha256(pairing_key, b"vedette mcu link 1 " + who, nonces) for who in (b"host", b"supervisor")]
        self._sending, self._receiving = keys if is_host else (keys[1], keys[0])
        self._parity = 1 if is_host else 0
        self.outgoing = 0
        self.incoming = 0

    def seal(self, kind: int, body: bytes = b"") -> bytes:
        """The next frame of ours."""
        self.outgoing += 1
        return seal(self._sending, kind, self.outgoing, body)

    def open(self, frame: bytes) -> tuple[int, bytes]:
        """`(kind, body)` of a frame of the peer's.

        Raises:
            LinkError: not the peer's, not of this session, or not newer than all before it.
        """
        kind, seq, body = unseal(self._receiving, frame)
        if seq <= self.incoming or kind & 1 != self._parity:
            raise LinkError("replay")
        self.incoming = seq
        return kind, body
