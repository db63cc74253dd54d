"""Make the benchmark capture: real traces and generated flows, interleaved packet by packet as on a busy link.

    python -m tests.bench.make_pcap [--megabytes N] [--seed N] FOLDER_OF_CAPTURES OUTPUT

Three tenths of the bytes are real traces, given again and again with other addresses (all checksums kept as right or as
wrong as they were); the rest are TLS-shaped, HTTP/1.1 and DNS flows. The same seed and traces give the same file.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import random
import re
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.bench import flows
from tests.cases.craft import PCAP_HEADER, START_S, ethernet

REAL_SHARE = 0.3
OPEN_FLOWS = 300
# Traces about decoding errors and floods are no everyday traffic: they would measure error paths.
LEFT_OUT = re.compile(
    r"evader|evasion|flood|security-|decode|defrag|ipv6-|stream-|tcp-|overlap|fuzz|geneve|vxlan|teredo|erspan|async"
    r"|midstream|invalid|malformed|exceptions|trunc|bug-|issue-"
)
TRACE_PACKETS_LEAST, TRACE_BYTES_MOST, FRAME_BYTES_MOST = 4, 3_000_000, 9200
LINE_BITS_PER_S = 2e9


def read_trace(path: Path) -> list[bytes]:
    """The whole Ethernet frames of a pcap file; empty when it is of another kind."""
    data = path.read_bytes()
    order = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">", b"\x4d\x3c\xb2\xa1": "<"}.get(data[:4])
    if order is None or len(data) < 24 or struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF != 1:
        return []
    frames, at = [], 24
    while at + 16 <= len(data):
        captured, original = struct.unpack_from(order + "II", data, at + 8)
        if captured > FRAME_BYTES_MOST or at + 16 + captured > len(data):
            break
        if captured == original:
            frames.append(data[at + 16 : at + 16 + captured])
        at += 16 + captured
    return frames


def traces(folder: Path) -> list[list[bytes]]:
    """The distinct traces of a folder that fit a benchmark."""
    seen: dict[bytes, list[bytes]] = {}
    for path in sorted(folder.rglob("*.pcap")):
        if LEFT_OUT.search(path.name):
            continue
        frames = read_trace(path)
        if len(frames) >= TRACE_PACKETS_LEAST and sum(map(len, frames)) <= TRACE_BYTES_MOST:
            seen.setdefault(hashlib.sha256(b"".join(frames)).digest(), frames)
    return list(seen.values())


def moved_address(address: bytes, turn: int) -> bytes:
    """Another address of the same kind (private stays private) for each turn; turn 0, multicast and local ones stay."""
    first = address[0]
    if turn == 0 or first in (0, 127, 169) or first >= 224:
        return address
    digest = hashlib.blake2s(address + turn.to_bytes(4, "big"), digest_size=4).digest()
    private = first == 10 or address[:2] == b"\xc0\xa8" or (first == 172 and 16 <= address[1] < 32)
    return b"\x0a" + digest[1:] if private else bytes((17 + digest[0] % 100,)) + digest[1:]


def adjusted(value: int, old: bytes, new: bytes) -> int:
    """A checksum after `old` became `new` (RFC 1624, equation 3): wrong stays as wrong as it was."""
    total = ~value & 0xFFFF
    for (before,), (after,) in zip(struct.iter_unpack(">H", old), struct.iter_unpack(">H", new), strict=True):
        total += (~before & 0xFFFF) + after
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def moved(frame: bytes, turn: int) -> bytes:
    """The frame with the addresses of its IPv4 header moved; frames of other kinds as they are."""
    kind, at = frame[12:14], 14
    while kind in (b"\x81\x00", b"\x88\xa8") and len(frame) > at + 4:
        kind, at = frame[at + 2 : at + 4], at + 4
    if turn == 0 or kind != b"\x08\x00" or len(frame) < at + 20:
        return frame
    out = bytearray(frame)
    first_fragment = struct.unpack_from(">H", frame, at + 6)[0] & 0x1FFF == 0
    inner = {6: 16, 17: 6}.get(frame[at + 9]) if first_fragment else None
    places = [at + 10]
    if inner is not None:
        place = at + (frame[at] & 15) * 4 + inner
        no_checksum = frame[at + 9] == 17 and frame[place : place + 2] == b"\0\0"
        if place + 2 <= len(frame) and not no_checksum:
            places.append(place)
    for field in (at + 12, at + 16):
        old = frame[field : field + 4]
        new = moved_address(old, turn)
        out[field : field + 4] = new
        for place in places:
            struct.pack_into(">H", out, place, adjusted(struct.unpack_from(">H", out, place)[0], old, new))
    return bytes(out)


def real_flows(found: list[list[bytes]], chance: random.Random) -> Iterator[Iterator[bytes]]:
    """The traces in ever new order, with other addresses at every turn."""
    for turn in itertools.count():
        for frames in chance.sample(found, len(found)):
            yield (moved(frame, turn) for frame in frames)


def generated_flows(chance: random.Random) -> Iterator[Iterator[bytes]]:
    """Flows of the three kinds, most of them small."""
    while True:
        yield map(ethernet, flows.one(chance))


def make(folder: Path, output: Path, size_bytes: int, seed: int) -> dict[str, int]:
    """Write the capture; gives its counts. The file appears under its name only when complete."""
    chance = random.Random(seed)
    found = traces(folder)
    sources = (real_flows(found, chance) if found else None, generated_flows(chance))
    written = {True: 0, False: 0}
    active: list[tuple[bool, Iterator[bytes]]] = []
    packets, clock_s, size = 0, float(START_S), len(PCAP_HEADER)
    partial = output.with_name(output.name + ".partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    with partial.open("wb") as file:
        file.write(PCAP_HEADER)
        while size < size_bytes:
            while len(active) < OPEN_FLOWS:
                real = sources[0] is not None and written[True] <= REAL_SHARE * (written[True] + written[False] + 1)
                source = sources[0] if real else sources[1]
                assert source is not None
                active.append((real, next(source)))
            index = chance.randrange(len(active))
            real, flow = active[index]
            burst = list(itertools.islice(flow, chance.randrange(1, 12)))
            if not burst:
                active[index] = active[-1]
                active.pop()
            for frame in burst:
                clock_s += 10e-6 + len(frame) * 8 / LINE_BITS_PER_S
                seconds = int(clock_s)
                stamp = (seconds, int((clock_s - seconds) * 1e6))
                file.write(struct.pack("<4I", *stamp, len(frame), len(frame)) + frame)
                written[real] += len(frame)
                packets += 1
                size += 16 + len(frame)
    partial.rename(output)
    return {"bytes": size, "packets": packets, "traces": len(found), "real_bytes": written[True]}


def main(argv: list[str] | None = None) -> int:
    """Make one capture and print its counts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--megabytes", type=int, default=450)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    print(make(options.folder, options.output, options.megabytes * 1_000_000, options.seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
