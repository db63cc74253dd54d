"""Writes the vectors beside it from the standard library alone: the oracle must not be the code that it judges.

Rules of this file: HMAC is `hmac`, COBS is the paper's sentence in its slow form, numbers are octets; nothing of
`appliance` is imported. Every octet that comes out is fixed by what stands here.
"""

from __future__ import annotations

import hmac
import sys
from pathlib import Path

HERE = Path(__file__).parent
KEY = bytes(range(32))
OTHER = bytes(range(1, 33))
HOST_NONCE = bytes(range(0x40, 0x50))
SUPERVISOR_NONCE = bytes(range(0x50, 0x60))


def cobs(data: bytes) -> bytes:
    """Each run without a zero, preceded by its length plus one; a run of 254 stands for no zero."""
    out = b""
    runs = data.split(b"\0")
    for index, run in enumerate(runs):
        rest = run
        while len(rest) >= 254:
            out += b"\xff" + rest[:254]
            rest = rest[254:]
            if not rest and index == len(runs) - 1:
                return out + b"\x01"
        out += bytes([len(rest) + 1]) + rest
    return out


def frame(key: bytes, kind: int, seq: int, body: bytes, context: bytes = b"", version: int = 1) -> bytes:
    """One frame without its delimiter."""
    head = bytes([version, kind]) + seq.to_bytes(4, "big") + body
    return cobs(head + hmac.digest(key, head + context, "sha256")[:8])


def opened(why: str, kind: int, seq: int, body: bytes, key: bytes = KEY, context: bytes = b"") -> list[str]:
    octets = frame(key, kind, seq, body, context)
    return [
        "expect: open",
        f"why: {why}",
        f"key: {key.hex()}",
        f"context: {context.hex()}",
        f"kind: {kind}",
        f"seq: {seq}",
        f"body: {body.hex()}",
        f"octets: {octets.hex()}",
    ]


def refused(why: str, reason: str, octets: bytes, context: bytes = b"") -> list[str]:
    return [
        f"expect: refuse {reason}",
        f"why: {why}",
        f"key: {KEY.hex()}",
        f"context: {context.hex()}",
        f"octets: {octets.hex()}",
    ]


def word(why: str, name: str, kind: int, body: str, *fields: str, expect: str = "word") -> list[str]:
    head = f"expect: {expect} {name}"
    return [head, f"why: {why}", f"kind: {kind}", f"body: {body}", *(f"field: {field}" for field in fields)]


def refused_word(why: str, reason: str, kind: int, body: str) -> list[str]:
    return [f"expect: refuse-word {reason}", f"why: {why}", f"kind: {kind}", f"body: {body}"]


def stream(why: str, dropped: int, octets: bytes, *frames: bytes) -> list[str]:
    return [
        f"expect: stream {dropped}",
        f"why: {why}",
        f"octets: {octets.hex()}",
        *(f"frame: {f.hex()}" for f in frames),
    ]


def session(why: str) -> list[str]:
    """A session of six frames with everything refused that is not the next."""
    nonces = HOST_NONCE + SUPERVISOR_NONCE
    host, supervisor = (
        hmac.digest(KEY, b"vedette mcu link 1 " + who + nonces, "sha256") for who in (b"host", b"supervisor")
    )
    beat, status = bytes.fromhex("010f00000007"), bytes.fromhex("02")
    lines = ["expect: session", f"why: {why}", f"key: {KEY.hex()}", f"host: {HOST_NONCE.hex()}"]
    lines += [f"supervisor: {SUPERVISOR_NONCE.hex()}"]
    first = frame(host, 0x10, 1, beat)
    lines.append(f"host-says: 16 {beat.hex()} = {first.hex()}")
    lines.append(f"refuse: host {first.hex()}")
    lines.append(f"refuse: supervisor {first.hex()}")
    lines.append(f"supervisor-says: 17 {status.hex()} = {frame(supervisor, 0x11, 1, status).hex()}")
    lines.append(f"refuse: host {frame(host, 0x11, 2, status).hex()}")
    lines.append(f"refuse: host {frame(OTHER, 0x10, 2, beat).hex()}")
    lines.append(f"refuse: host {frame(host, 0x10, 0, beat).hex()}")
    lines.append(f"host-says: 18 00 = {frame(host, 0x12, 2, b'').hex()}".replace("18 00", "18 "))
    lines.append(f"refuse: host {first.hex()}")
    return lines


def cases() -> dict[str, list[str]]:
    """File name -> lines."""
    beat = bytes.fromhex("010f00000007")
    good = frame(KEY, 0x10, 1, beat)
    longest = bytes(range(1, 193))
    last = good[:-1] + bytes([good[-1] ^ 1 or 2])
    welcome = (
        "505152535455565758595a5b5c5d5e5f"
        + "01"
        + "0101"
        + "001f"
        + "020201"
        + "08"
        + "000100"
        + "000a00780e10"
        + "0080"
    )
    status = (
        "02"
        + "11"
        + "01"
        + "02"
        + "000100"
        + "00001388"
        + "0001d4c0"
        + "000003e8"
        + "1388"
        + "ff38"
        + "00020000"
        + "00000003"
    )
    return {
        "open-beat": opened("A healthy beat.", 0x10, 1, beat),
        "open-empty": opened("A body may be empty.", 0x1A, 2, b""),
        "open-zeros": opened("A body of zeros: every octet is a block of its own.", 0x14, 3, bytes(24)),
        "open-longest": opened("The longest body, without a zero.", 0x32, 0xFFFFFFFF, longest),
        "open-longest-zeros": opened("The longest body, of zeros.", 0x32, 4, bytes(192)),
        "open-welcome-with-context": opened(
            "The tag of WELCOME covers the host's nonce, which the frame does not carry.",
            0x01,
            0,
            b"\x01\x02",
            context=HOST_NONCE,
        ),
        "open-long-key": opened(
            "A key longer than a block of SHA-256 is hashed first (RFC 2104).", 0x10, 1, beat, bytes(65)
        ),
        "refuse-tag": refused("One bit of the tag differs.", "tag", last),
        "refuse-context": refused(
            "A WELCOME to another's nonce.", "tag", frame(KEY, 1, 0, b"\x01", HOST_NONCE), SUPERVISOR_NONCE
        ),
        "refuse-other-key": refused("Made with another key.", "tag", frame(OTHER, 0x10, 1, beat)),
        "refuse-version": refused(
            "A frame of version 2, by who has the key.", "version", frame(KEY, 0x10, 1, beat, version=2)
        ),
        "refuse-empty": refused("Nothing.", "too short", b""),
        "refuse-short": refused("Thirteen octets: no place for a tag.", "too short", cobs(bytes(13))),
        "refuse-long": refused("Longer than any frame.", "too long", b"\x01" * 209),
        "refuse-cobs-claims-more": refused("A block that claims more than there is.", "cobs", b"\x05\x01\x02"),
        "refuse-cobs-zero": refused("A zero inside.", "cobs", b"\x03\x01\x00"),
        "word-hello": word(
            "What the host says first.",
            "Hello",
            0,
            HOST_NONCE.hex() + "0101001f",
            f"nonce = {HOST_NONCE.hex()}",
            "oldest = 1",
            "newest = 1",
            "features = 31",
        ),
        "word-welcome": word(
            "What the supervisor answers.",
            "Welcome",
            1,
            welcome + "0011223344556677",
            f"nonce = {SUPERVISOR_NONCE.hex()}",
            "version = 1",
            "oldest = 1",
            "newest = 1",
            "features = 31",
            "board = 2",
            "reset = 2",
            "boots = 1",
            "flags = 8",
            "firmware_major = 0",
            "firmware_minor = 1",
            "firmware_patch = 0",
            "beat_limit_s = 10",
            "boot_limit_s = 120",
            "hold_limit_s = 3600",
            "block_bytes = 128",
            "serial = 0011223344556677",
        ),
        "word-beat": word(
            "All parts of the host move.", "Beat", 0x10, beat.hex(), "phase = 1", "health = 15", "generation = 7"
        ),
        "word-status": word(
            "Twenty degrees of frost.",
            "Status",
            0x11,
            status,
            "state = 2",
            "flags = 17",
            "reset = 1",
            "boots = 2",
            "firmware_major = 0",
            "firmware_minor = 1",
            "firmware_patch = 0",
            "left_ms = 5000",
            "uptime_ms = 120000",
            "beat_age_ms = 1000",
            "supply_mv = 5000",
            "temperature_dc = -200",
            "free_bytes = 131072",
            "dropped = 3",
        ),
        "word-power": word("A power cycle after an orderly end.", "Power", 0x12, "01", "action = 1"),
        "word-hold": word("Ten minutes for an update.", "Hold", 0x14, "025800", "seconds = 600", "reason = 0"),
        "word-leds": word(
            "Blink for a minute, so that a hand finds the box.", "Leds", 0x16, "01003c", "pattern = 1", "seconds = 60"
        ),
        "word-event": word(
            "The button was held to enroll, two seconds ago.",
            "Event",
            0x19,
            "0000000900000000000002",
            "number = 9",
            "what = 0",
            "detail = 0",
            "age_s = 2",
        ),
        "word-ack": word("Heard.", "Ack", 0x18, "00000009", "number = 9"),
        "word-pair": word("At manufacture, once.", "Pair", 0x02, KEY.hex(), f"key = {KEY.hex()}"),
        "word-paired": word(
            "The key's fingerprint.",
            "Paired",
            0x03,
            hmac.digest(KEY, b"vedette mcu fingerprint 1", "sha256")[:8].hex(),
            f"fingerprint = {hmac.digest(KEY, b'vedette mcu fingerprint 1', 'sha256')[:8].hex()}",
        ),
        "word-measure": word("Asks for the measurements.", "Measure", 0x1A, ""),
        "word-measurements": word("An empty SenML pack.", "Measurements", 0x1B, "80", "data = 80"),
        "word-secure": word(
            "The secure element's revision.",
            "Secure",
            0x20,
            "300000000a",
            "opcode = 48",
            "p1 = 0",
            "p2 = 0",
            "data = 0a",
        ),
        "word-secure-answer": word("Its answer.", "SecureAnswer", 0x21, "0000006002", "status = 0", "data = 00006002"),
        "word-upgrade-begin": word(
            "A new firmware is announced.",
            "UpgradeBegin",
            0x30,
            "00010000" + "000200" + OTHER.hex(),
            "size = 65536",
            "major = 0",
            "minor = 2",
            "patch = 0",
            f"sha256 = {OTHER.hex()}",
        ),
        "word-upgrade-block": word(
            "Four octets of it.", "UpgradeBlock", 0x32, "00000080deadbeef", "offset = 128", "data = deadbeef"
        ),
        "word-upgrade-end": word("That was all.", "UpgradeEnd", 0x34, ""),
        "word-upgrade-state": word(
            "Go on from there.", "UpgradeState", 0x31, "0100000084", "stage = 1", "wanted = 132"
        ),
        "word-done": word(
            "The hold was granted, for less than was asked.", "Done", 0x13, "1400000e10", "kind = 20", "value = 3600"
        ),
        "word-refused": word(
            "An answer to a kind that is not known.",
            "Refused",
            0x7F,
            "600100000000",
            "kind = 96",
            "why = 1",
            "allowed = 0",
        ),
        "read-longer-beat": word(
            "A newer host says more; what is known is read.",
            "Beat",
            0x10,
            beat.hex() + "ffff",
            "phase = 1",
            "health = 15",
            "generation = 7",
            expect="read",
        ),
        "refuse-word-short": refused_word("A beat without its generation.", "too short", 0x10, "010f"),
        "refuse-word-phase": refused_word("A phase that there is not.", "value", 0x10, "030f00000007"),
        "refuse-word-power-off": refused_word("There is no power-off.", "value", 0x12, "02"),
        "refuse-word-kind": refused_word("A kind that there is not.", "kind", 0x60, ""),
        "refuse-word-key": refused_word("A pairing key of 31 octets.", "too short", 0x02, KEY[:31].hex()),
        "stream-two": stream(
            "Two frames, and delimiters that end nothing.", 0, b"\0\0" + good + b"\0\0" + good + b"\0", good, good
        ),
        "stream-unfinished": stream("What has no delimiter is no frame yet.", 0, good),
        "stream-noise": stream(
            "Noise costs the frame that it falls into.", 0, b"\xff" + good + b"\0" + good + b"\0", b"\xff" + good, good
        ),
        "stream-too-long": stream(
            "A run longer than any frame is dropped and counted once.", 1, b"\x55" * 600 + b"\0" + good + b"\0", good
        ),
        "session": session("Each side takes what is the peer's, of this session and newer than all before it."),
    }


def main() -> int:
    """Write, or with --verify tell which files are not what would be written."""
    wanted = {f"{name}.txt": "\n".join(lines) + "\n" for name, lines in cases().items()}
    present = {path.name: path.read_text(encoding="utf-8") for path in HERE.glob("*.txt")}
    different = sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))
    if "--verify" in sys.argv[1:]:
        for name in different:
            print(f"{name}: not as generate.py writes it")
        return 1 if different else 0
    for name in different:
        if name in wanted:
            (HERE / name).write_text(wanted[name], encoding="utf-8")
        else:
            (HERE / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
