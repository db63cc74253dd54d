"""The link between the appliance and its supervisor: frames, session, bodies; both roles, without I/O.

    frame    COBS(version kind seq body tag) 0x00            at most MAX_FRAME octets before the zero
    version  1 octet   kind  1 octet   seq  4 octets, big endian, grows within a session
    tag      8 octets: HMAC-SHA256 over everything before it, cut (RFC 2104, section 5)

    host        HELLO  nonce, lowest and highest version, features     tag: pairing key
    supervisor  HELLO  nonce, version, features, reset reason, boots    tag: pairing key, over the host's nonce as well
    then both   seq from 1, one key for each direction: HMAC(pairing key, both nonces and the direction)

Rules of this file: the firmware freezes it as it is, so it uses only what MicroPython has and the same words mean the
same on both sides. Any octets end in a value or `LinkError`; a frame that is not the peer's, or not new, changes
nothing but a counter. A session is in force only when the host has spoken in it: a HELLO that is replayed never ends
the one before. The link authorises power and watchdog actions, nothing else.
"""

import hashlib
import struct

VERSION = 1
"""The newest version of this file; `HELLO` settles which one is spoken."""

NONCE = 16
KEY = 32
TAG = 8
HEAD = 6
MAX_BODY = 192
MAX_FRAME = HEAD + MAX_BODY + TAG + 2
"""With the two octets that COBS adds to up to 508."""

# Kinds. Host to supervisor is even, supervisor to host is odd: a frame that is reflected has no meaning.
HELLO = 0x00
PAIR = 0x02
BEAT = 0x10
POWER = 0x12
HOLD = 0x14
LEDS = 0x16
ACK = 0x18
SECURE = 0x20
UPGRADE_BEGIN = 0x30
UPGRADE_BLOCK = 0x32
UPGRADE_END = 0x34

WELCOME = 0x01
PAIRED = 0x03
STATUS = 0x11
DONE = 0x13
EVENT = 0x19
SECURE_ANSWER = 0x21
UPGRADE_STATE = 0x31
REFUSED = 0x7F

# Features: what a board has. Both sides use what both name.
HAS_SECURE = 1
HAS_UPGRADE = 2
HAS_SENSORS = 4
HAS_TAMPER = 8
HAS_BUTTON = 16

# Phases of the host, in BEAT.
BOOTING = 0
RUNNING = 1
DRAINING = 2

# Health of the host, in BEAT: a bit is set when that part moves.
CAPTURE_ALIVE = 1
ENGINE_ALIVE = 2
SPOOL_ALIVE = 4
UPLINK_ALIVE = 8
ALL_ALIVE = 15

# States of the supervisor's policy, in STATUS.
STATES = ("OFF", "BOOT", "UP", "WARN", "HOLD", "DRAIN", "CYCLE", "LOCKOUT")

# Why the host was last started, in WELCOME and STATUS.
RESETS = ("power-on", "boot-timeout", "beats-stopped", "asked", "button", "under-voltage", "supervisor-reset")

# Actions, in POWER. There is no "off": nothing on the link can leave a site's box dark.
CYCLE_NOW = 1
CYCLE_AFTER_DRAIN = 2

# Flags, in STATUS.
ROLLBACK_ASKED = 1
TAMPERED = 2
UPGRADE_ON_TRIAL = 4

# Events, in EVENT.
EVENTS = ("button-enroll", "button-factory-reset", "tamper", "warned", "cycled", "hold-ended", "upgrade-reverted")

# Why something was refused, in REFUSED.
REFUSALS = ("not-now", "not-known", "too-long", "bad-value", "no-part", "busy")


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
