"""Any octets become a packet that the encoder takes; well-formed datagrams lose nothing on the way."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.engine.datagram import decode_datagram, header_only
from appliance.wire.snml import (
    Detail,
    Encoding,
    Event,
    IcmpHeader,
    IpHeader,
    Ipv6,
    Option,
    Packet,
    Raw,
    Signature,
    TcpHeader,
    UdpHeader,
    decode_event,
    encode_event,
)
from tests.appliance.engine.detections import ipv4, ipv6, tcp, udp

ADDRESSES = bytes.fromhex("c6336407c0000250")


def event(packet: Packet, extension: Ipv6 | None) -> Event:
    return Event(Signature("m"), (), 0, packet, () if extension is None else (extension,))


def check(octets: bytes) -> Event:
    """Decode, write, read back: the same."""
    made = event(*decode_datagram(octets))
    assert decode_event(encode_event(made, Encoding.HEX, Detail.FULL), Encoding.HEX) == made
    return made


@given(st.binary(max_size=200))
def test_any_octets_become_a_packet_that_can_be_sent(octets: bytes) -> None:
    check(octets)


@given(
    st.sampled_from([4, 6]),
    st.binary(min_size=60, max_size=200),
    st.sampled_from([0, 1, 6, 17, 43, 44, 51, 58, 60, 135]),
)
def test_any_header_of_the_right_version_becomes_a_packet(version: int, octets: bytes, proto: int) -> None:
    mutable = bytearray(octets)
    mutable[0] = version << 4 | (mutable[0] & 15)
    mutable[9 if version == 4 else 6] = proto
    check(bytes(mutable))


def test_a_tcp_segment_has_every_field() -> None:
    packet = check(ipv4(tcp(b"GET /", b"\x02\x04\x05\xb4\x01\x01\x04\x02"), 6, fragment=0x4000)).packet
    assert packet == IpHeader(
        "198.51.100.7", "192.0.2.80", 6, 4, 5, 0, 53, 4711, 2, 0, 117, 30521, (),
        TcpHeader(
            3012, 80, 0x18, 1000, 2000, 7, 0, 17520, 4660, 0,
            (Option(2, b"\x05\xb4"), Option(1), Option(1), Option(4)),
        ),
        b"GET /",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("payload", "proto", "header", "data"),
    [
        (udp(b"q"), 17, UdpHeader(53, 49152, 9, 0), b"q"),
        (b"\x08\x00\x12\x34\x00\x07\x00\x01ping", 1, IcmpHeader(8, 0, 0x1234, 7, 1), b"ping"),
        (b"\x03\x01\x12\x34\x00\x00\x05\xdcxyz", 1, IcmpHeader(3, 1, 0x1234), b"\x00\x00\x05\xdcxyz"),
        (b"\x00\x35", 17, None, b"\x00\x35"),
        (tcp()[:19], 6, None, tcp()[:19]),
        (b"gre", 47, None, b"gre"),
    ],
)
def test_each_transport_and_its_short_form(payload: bytes, proto: int, header: object, data: bytes) -> None:
    packet = check(ipv4(payload, proto)).packet
    assert isinstance(packet, IpHeader)
    assert (packet.l4, packet.data) == (header, data)


def test_a_tcp_header_whose_length_points_outside_is_data() -> None:
    segment = bytearray(tcp(b"abc"))
    for words in (0, 4, 15):
        segment[12] = words << 4
        packet = check(ipv4(bytes(segment), 6)).packet
        assert (packet.l4, packet.data) == (None, bytes(segment))


def test_a_later_fragment_has_no_transport_header() -> None:
    packet = check(ipv4(tcp(b"middle"), 6, fragment=0x2001)).packet
    assert (packet.flags, packet.off, packet.l4, packet.data) == (1, 1, None, tcp(b"middle"))
    assert check(ipv4(tcp(b"first"), 6, fragment=0x2000)).packet.l4 is not None


def test_octets_behind_the_total_length_are_no_payload_and_a_wrong_length_hides_none() -> None:
    assert check(ipv4(udp(b"q"), 17) + b"padding").packet.data == b"q"
    lying = bytearray(ipv4(udp(b"q"), 17))
    lying[2:4] = struct.pack("!H", 3)
    assert check(bytes(lying)).packet.data == b"q"
    lying[2:4] = struct.pack("!H", 60_000)
    assert check(bytes(lying)).packet.data == b"q"


@pytest.mark.parametrize(
    ("octets", "options"),
    [
        (b"\x01\x01\x01\x00", (Option(1), Option(1), Option(1), Option(0))),
        (b"\x94\x04\x00\x00", (Option(0x94, b"\x00\x00"),)),
        (b"\x00\x07\x00\x00", (Option(0, b"\x07\x00\x00"),)),
        (b"\x01\x07\x00\x09", (Option(1), Option(7, b"\x00\x09"))),
        (b"\x01\x07\x63\x09", (Option(1), Option(7, b"\x63\x09"))),
        (b"\x01\x01\x01\x07", (Option(1), Option(1), Option(1), Option(7))),
    ],
)
def test_options_end_where_they_stop_making_sense_and_keep_the_rest(octets: bytes, options: tuple[Option, ...]) -> None:
    assert check(ipv4(udp(), 17, options=octets)).packet.options == options


def test_ipv6_keeps_the_datagram_and_finds_the_transport_behind_its_extension_headers() -> None:
    hop = b"\x3c\x00\x05\x02\x00\x00\x01\x00"  # next: destination options
    destination = b"\x33\x00\x01\x04\x00\x00\x00\x00"  # next: authentication
    authentication = b"\x2c\x01" + bytes(10)  # next: fragment
    fragment = b"\x06\x00\x00\x01" + bytes(4)  # next: TCP, the first fragment
    octets = ipv6(hop + destination + authentication + fragment + tcp(b"GET"), 0)
    made = check(octets)
    header = made.ipv6.header
    assert made.packet == Raw(octets)
    assert (header.saddr, header.daddr, header.proto) == ("2001:db8::1", "2001:db8::2", 6)
    assert (header.tclass, header.flow_label, header.hop_limit, header.payload_len) == (3, 0x12345, 64, 59)
    assert header.l4 == TcpHeader(3012, 80, 0x18, 1000, 2000, 5, 0, 17520, 4660, 0)
    assert made.payload == b"GET"
    assert made.transport is header.l4


def test_a_later_ipv6_fragment_and_a_cut_chain_have_no_transport_header() -> None:
    later = ipv6(b"\x06\x00\x00\x09" + bytes(4) + tcp(b"GET"), 44)
    made = check(later)
    assert (made.ipv6.header.proto, made.ipv6.header.l4, made.payload) == (6, None, tcp(b"GET"))
    cut = check(ipv6(b"\x06\xff" + bytes(6), 0))
    assert (cut.ipv6.header.proto, cut.ipv6.header.l4) == (0, None)


def test_icmpv6_and_udp_over_ipv6() -> None:
    assert check(ipv6(b"\x80\x00\x12\x34\x00\x07\x00\x01ping", 58)).transport == IcmpHeader(128, 0, 0x1234, 7, 1)
    assert check(ipv6(udp(b"q"), 17)).payload == b"q"


@pytest.mark.parametrize(
    "octets", [b"", b"\x45", b"\x44" + bytes(40), b"\x4f" + bytes(30), b"\x60" + bytes(38), b"\x75" + bytes(40)]
)
def test_what_has_no_whole_header_is_raw(octets: bytes) -> None:
    assert decode_datagram(octets) == (Raw(octets), None)


def test_the_end_of_a_flow_has_addresses_and_ports() -> None:
    for src, dst in (("198.51.100.7", "192.0.2.80"), ("2001:db8::1", "2001:db8::2")):
        for proto, kind in ((6, TcpHeader), (17, UdpHeader), (1, type(None)), (132, type(None))):
            made = event(*header_only(src, dst, proto, 1, 2))
            assert made.endpoints == (src, dst, proto)
            assert isinstance(made.transport, kind)
            assert decode_event(encode_event(made, Encoding.HEX, Detail.FULL), Encoding.HEX) == made


@pytest.mark.data
def test_real_captures_round_trip(shared_data: Path) -> None:
    """Every datagram of some hundred Ethernet captures: written, read back, the same."""
    count = 0
    for path in sorted((shared_data / "pcap").glob("*.pcap"))[::5]:
        for octets in datagrams(path.read_bytes()[: 1 << 16]):
            check(octets)
            count += 1
    assert count > 1000


def datagrams(file: bytes) -> list[bytes]:
    """The IP datagrams of a classic little-endian Ethernet capture; nothing of any other file."""
    if file[:4] not in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") or struct.unpack_from("<I", file, 20)[0] != 1:
        return []
    found, at = [], 24
    while at + 16 <= len(file):
        size = struct.unpack_from("<I", file, at + 8)[0]
        frame = file[at + 16 : at + 16 + size]
        at += 16 + size
        if frame[12:14] in (b"\x08\x00", b"\x86\xdd"):
            found.append(frame[14:])
    return found
