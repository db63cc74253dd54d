"""The benchmark capture is the same for the same seed, and its checksums say what they said before addresses moved."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from tests.bench import flows, make_pcap
from tests.bench.bench import alert_set, difference
from tests.cases.craft import TCP, UDP, checksum, ethernet, udp

TRACES = Path(__file__).parents[1] / "traffic" / "pcaps"


def sums_up(frame: bytes) -> bool:
    """The IPv4 header's checksum and that of TCP or UDP above it are right."""
    datagram = frame[14:]
    head = (datagram[0] & 15) * 4
    segment = datagram[head : struct.unpack_from(">H", datagram, 2)[0]]
    pseudo = datagram[12:20] + struct.pack(">HH", datagram[9], len(segment))
    return checksum(datagram[:head]) in (0, 0xFFFF) and checksum(pseudo + segment) in (0, 0xFFFF)


def test_same_seed_gives_same_bytes(tmp_path: Path) -> None:
    made = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        make_pcap.make(TRACES, tmp_path / name, 3_000_000, seed)
        made.append((tmp_path / name).read_bytes())
    assert made[0] == made[1]
    assert made[0] != made[2]


def test_capture_is_as_large_as_asked_and_holds_real_traces(tmp_path: Path) -> None:
    told = make_pcap.make(TRACES, tmp_path / "x", 4_000_000, 1)
    assert 4_000_000 <= told["bytes"] == (tmp_path / "x").stat().st_size < 4_100_000
    assert told["real_bytes"] > 400_000
    assert len(make_pcap.read_trace(tmp_path / "x")) == told["packets"]


def test_generated_packets_have_right_checksums() -> None:
    chance = random.Random(5)
    frames = [ethernet(datagram) for _ in range(30) for datagram in flows.one(chance)]
    assert len(frames) > 100
    assert all(map(sums_up, frames))


def test_moved_trace_keeps_its_checksums_right() -> None:
    for path in sorted(TRACES.glob("*.pcap")):
        for frame in make_pcap.read_trace(path):
            if frame[12:14] == b"\x08\x00" and frame[23] in (TCP, UDP) and frame[20:22] in (b"\0\0", b"\x40\0"):
                moved = make_pcap.moved(frame, 3)
                assert moved[26:34] != frame[26:34]
                assert sums_up(moved) == sums_up(frame) is True


def test_moved_frame_with_wrong_checksum_stays_wrong() -> None:
    frame = bytearray(ethernet(udp(("192.0.2.1", 1), ("198.51.100.1", 2), b"payload")))
    frame[40] ^= 1
    assert not sums_up(bytes(frame))
    assert not sums_up(make_pcap.moved(bytes(frame), 1))


def test_private_addresses_stay_private_and_special_ones_stay() -> None:
    assert make_pcap.moved_address(bytes((192, 168, 3, 4)), 1)[0] == 10
    assert make_pcap.moved_address(bytes((172, 16, 3, 4)), 2)[0] == 10
    assert 17 <= make_pcap.moved_address(bytes((198, 51, 100, 4)), 1)[0] < 117
    for special in ((224, 0, 0, 1), (127, 0, 0, 1), (255, 255, 255, 255), (169, 254, 1, 1), (0, 0, 0, 0)):
        assert make_pcap.moved_address(bytes(special), 1) == bytes(special)


@pytest.mark.parametrize("cut", [0, 3, 24, 30, 41, 100, -1])
def test_broken_trace_gives_its_whole_frames_only(tmp_path: Path, cut: int) -> None:
    whole = (TRACES / "mining.pcap").read_bytes()
    (tmp_path / "cut.pcap").write_bytes(whole[:cut])
    frames = make_pcap.read_trace(tmp_path / "cut.pcap")
    assert frames == make_pcap.read_trace(TRACES / "mining.pcap")[: len(frames)]


def test_alerts_of_one_flow_are_one_whoever_spoke() -> None:
    asked = {
        "alert": {"signature_id": 7},
        "proto": "TCP",
        "src_ip": "2001:0db8::1",
        "src_port": 5,
        "dest_ip": "2001:db8::2",
    }
    turned = {
        "alert": {"signature_id": 7},
        "proto": "TCP",
        "dest_ip": "2001:db8::1",
        "dest_port": 5,
        "src_ip": "2001:db8::2",
    }
    assert len(alert_set([asked, turned])) == 1
    assert difference(alert_set([asked]), alert_set([])) == {
        "both": 0,
        "only_vedette": [[7, "TCP", ("2001:db8::1", 5), ("2001:db8::2", 0)]],
        "only_peer": [],
    }
