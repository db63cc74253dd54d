"""What is said on the link to the supervisor: kinds of frames, closed catalogues, and the body of each kind.

    word             from         body, big endian (octets, 1 if not said)
    HELLO            host         nonce 16, oldest and newest version of the words, features 2
    WELCOME          supervisor   nonce 16, version in force (0: none in common), oldest, newest, features 2, board,
                                  reset, boots, flags, firmware 3, limits of a beat 2, a boot 2 and a hold 2 (s),
                                  octets of an UPGRADE_BLOCK 2, serial 8
    BEAT             host         phase, health bits, generation 4 (another one: the daemon began anew)
    STATUS           supervisor   state, flags, reset, boots, firmware 3; time left, uptime and age of the beat 4 each
                                  (ms); supply 2 (mV), temperature 2 (0.1 degrees, signed), free 4, dropped frames 4
    POWER            host         action                         DONE or REFUSED
    HOLD             host         seconds 2, reason              DONE (seconds granted) or REFUSED; 0 ends it
    LEDS             host         pattern, seconds 2             DONE or REFUSED
    EVENT            supervisor   number 4, what, detail 2, age 4 (s); said again until its ACK
    ACK              host         number 4
    PAIR             host         key 32                         PAIRED: its fingerprint 8; REFUSED if there is one
    SECURE           host         opcode, p1, p2 2, data         SECURE_ANSWER: status, data
    MEASURE          host         nothing                        MEASUREMENTS: SenML in CBOR (RFC 8428, section 6)
    UPGRADE_BEGIN    host         size 4, firmware 3, SHA-256 32     each of the three: UPGRADE_STATE
    UPGRADE_BLOCK    host         offset 4, data                       with the stage and the offset wanted next 4
    UPGRADE_END      host         nothing
    DONE             supervisor   kind, value 4
    REFUSED          supervisor   kind, why, what was allowed 4

A BEAT is answered by STATUS. Rules of this file: the firmware freezes it as it is. Numbers are never reused, and a new
number in a catalogue is a new version of the words. A body that is longer than it has to be is read as far as it is
known, so that a newer side may say more; one that is shorter, or has a number outside its catalogue, is `LinkError`.
Kinds from the host are even, from the supervisor odd: a frame that is reflected has no meaning.
"""

import struct
from collections import namedtuple

from appliance.wire.mcu_link import MAX_BODY, LinkError

OLDEST = 1
NEWEST = 1
"""The versions of the words that this file knows."""

HELLO = 0x00
PAIR = 0x02
BEAT = 0x10
POWER = 0x12
HOLD = 0x14
LEDS = 0x16
ACK = 0x18
MEASURE = 0x1A
SECURE = 0x20
UPGRADE_BEGIN = 0x30
UPGRADE_BLOCK = 0x32
UPGRADE_END = 0x34

WELCOME = 0x01
PAIRED = 0x03
STATUS = 0x11
DONE = 0x13
EVENT = 0x19
MEASUREMENTS = 0x1B
SECURE_ANSWER = 0x21
UPGRADE_STATE = 0x31
REFUSED = 0x7F

# Features: what a side has. Both use what both name.
HAS_SECURE = 1
HAS_UPGRADE = 2
HAS_SENSORS = 4
HAS_TAMPER = 8
HAS_BUTTON = 16

BOARDS = ("simulated", "rp2040", "rp2350")

PHASES = ("booting", "running", "draining")
BOOTING, RUNNING, DRAINING = range(3)

# Health of the host: a bit is set when that part moves.
CAPTURE_ALIVE = 1
ENGINE_ALIVE = 2
SPOOL_ALIVE = 4
UPLINK_ALIVE = 8
ALL_ALIVE = 15

STATES = ("OFF", "BOOT", "UP", "WARN", "HOLD", "DRAIN", "CYCLE", "LOCKOUT")

# Why the host was last started.
RESETS = ("power-on", "boot-timeout", "beats-stopped", "asked", "button", "under-voltage", "supervisor-reset")

# There is no "off": nothing on the link can leave a site's box dark.
POWERS = ("cycle-now", "cycle-after-drain")
CYCLE_NOW, CYCLE_AFTER_DRAIN = range(2)

HOLDS = ("update", "install", "service")

PATTERNS = ("own", "locate", "enrolling", "enrolled", "fault")
"""`own` gives the lights back to the supervisor."""

# Flags of the supervisor.
ROLLBACK_ASKED = 1
TAMPERED = 2
UPGRADE_ON_TRIAL = 4
UNPAIRED = 8
OWN_WATCHDOG = 16
"""The supervisor's own last reset was its watchdog's."""

EVENTS = (
    "button-enroll",
    "button-factory-reset",
    "tamper",
    "warned",
    "cycled",
    "hold-ended",
    "lockout",
    "supply-low",
    "too-hot",
    "upgrade-good",
    "upgrade-reverted",
    "supervisor-reset",
)

REFUSALS = ("not-now", "not-known", "too-long", "bad-value", "no-part", "busy")

STAGES = ("idle", "receiving", "written", "damaged", "full", "not-ours")
"""Of an upgrade: `written` starts at the supervisor's next reset, on trial; the last three end it."""

NO_AGE = 0xFFFFFFFF
NO_SUPPLY = 0xFFFF
NO_TEMPERATURE = -0x8000

# What each kind carries. MicroPython has no `typing`, so the words are plain named tuples.
Hello = namedtuple("Hello", "nonce oldest newest features")
Welcome = namedtuple(
    "Welcome",
    "nonce version oldest newest features board reset boots flags firmware_major firmware_minor firmware_patch "
    "beat_limit_s boot_limit_s hold_limit_s block_bytes serial",
)
Beat = namedtuple("Beat", "phase health generation")
Status = namedtuple(
    "Status",
    "state flags reset boots firmware_major firmware_minor firmware_patch left_ms uptime_ms beat_age_ms supply_mv "
    "temperature_dc free_bytes dropped",
)
Power = namedtuple("Power", "action")
Hold = namedtuple("Hold", "seconds reason")
Leds = namedtuple("Leds", "pattern seconds")
Event = namedtuple("Event", "number what detail age_s")
Ack = namedtuple("Ack", "number")
Pair = namedtuple("Pair", "key")
Paired = namedtuple("Paired", "fingerprint")
Secure = namedtuple("Secure", "opcode p1 p2 data")
SecureAnswer = namedtuple("SecureAnswer", "status data")
Measure = namedtuple("Measure", "")
Measurements = namedtuple("Measurements", "data")
UpgradeBegin = namedtuple("UpgradeBegin", "size major minor patch sha256")
UpgradeBlock = namedtuple("UpgradeBlock", "offset data")
UpgradeEnd = namedtuple("UpgradeEnd", "")
UpgradeState = namedtuple("UpgradeState", "stage wanted")
Done = namedtuple("Done", "kind value")
Refused = namedtuple("Refused", "kind why allowed")

LEAST_AND_MOST = {"B": (0, 0xFF), "H": (0, 0xFFFF), "h": (-0x8000, 0x7FFF), "I": (0, 0xFFFFFFFF)}

# kind: (its word, a struct code for each field). The code `*` is all octets that follow.
BODIES = {
    HELLO: (Hello, "16s B B H"),
    WELCOME: (Welcome, "16s B B B H B B B B B B B H H H H 8s"),
    BEAT: (Beat, "B B I"),
    STATUS: (Status, "B B B B B B B I I I H h I I"),
    POWER: (Power, "B"),
    HOLD: (Hold, "H B"),
    LEDS: (Leds, "B H"),
    EVENT: (Event, "I B H I"),
    ACK: (Ack, "I"),
    PAIR: (Pair, "32s"),
    PAIRED: (Paired, "8s"),
    SECURE: (Secure, "B B H *"),
    SECURE_ANSWER: (SecureAnswer, "B *"),
    MEASURE: (Measure, ""),
    MEASUREMENTS: (Measurements, "*"),
    UPGRADE_BEGIN: (UpgradeBegin, "I B B B 32s"),
    UPGRADE_BLOCK: (UpgradeBlock, "I *"),
    UPGRADE_END: (UpgradeEnd, ""),
    UPGRADE_STATE: (UpgradeState, "B I"),
    DONE: (Done, "B I"),
    REFUSED: (Refused, "B B I"),
}

# (kind, field): what the number may be.
CATALOGUES = {
    (WELCOME, 5): BOARDS,
    (WELCOME, 6): RESETS,
    (BEAT, 0): PHASES,
    (STATUS, 0): STATES,
    (STATUS, 2): RESETS,
    (POWER, 0): POWERS,
    (HOLD, 1): HOLDS,
    (LEDS, 0): PATTERNS,
    (EVENT, 1): EVENTS,
    (UPGRADE_STATE, 0): STAGES,
    (REFUSED, 1): REFUSALS,
}


def size_of(code: str) -> int:
    """Octets of a field; 0 of `*`."""
    return 0 if code == "*" else struct.calcsize(">" + code)


def pack(kind: int, *values: "int | bytes") -> bytes:
    """The body of one word, its fields in their order: `pack(HOLD, 60, 0)`.

    Raises:
        LinkError: a kind, a number of fields, a value or a length that the word does not have.
    """
    if kind not in BODIES:
        raise LinkError("kind")
    codes = BODIES[kind][1].split()
    if len(values) != len(codes):
        raise LinkError("fields")
    out = bytearray()
    for at, code in enumerate(codes):
        value = values[at]
        if code in LEAST_AND_MOST:
            least, most = LEAST_AND_MOST[code]
            if (kind, at) in CATALOGUES:
                most = len(CATALOGUES[kind, at]) - 1
            # MicroPython's struct cuts a number that is too large.
            if not isinstance(value, int) or not least <= value <= most:
                raise LinkError("value")
            out.extend(struct.pack(">" + code, value))
        else:
            if isinstance(value, int) or (code != "*" and len(value) != size_of(code)):
                raise LinkError("length")
            out.extend(value)
    if len(out) > MAX_BODY:
        raise LinkError("too long")
    return bytes(out)


def unpack(kind: int, body: bytes) -> object:
    """The word that `body` is; `isinstance` says which.

    Raises:
        LinkError: a kind that is not known, a body that is too short, a number outside its catalogue.
    """
    if kind not in BODIES:
        raise LinkError("kind")
    word, layout = BODIES[kind]
    values = []
    at = 0
    for index, code in enumerate(layout.split()):
        end = len(body) if code == "*" else at + size_of(code)
        if end > len(body):
            raise LinkError("too short")
        if code in LEAST_AND_MOST:
            value = struct.unpack(">" + code, body[at:end])[0]
            if (kind, index) in CATALOGUES and value >= len(CATALOGUES[kind, index]):
                raise LinkError("value")
            values.append(value)
        else:
            values.append(bytes(body[at:end]))
        at = end
    return word(*values)


def version_in_common(oldest: int, newest: int) -> int:
    """The newest version of the words that both sides know; 0 when there is none."""
    most = min(newest, NEWEST)
    return most if most >= max(oldest, OLDEST) and most > 0 else 0
