"""Nothing of a hidden address or of its payload is left in the bytes that leave the box."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.engine.alerting import EventBuilder
from appliance.engine.pseudonym import CryptoPan
from appliance.wire.snml import Detail, Encoding, IpHeader, Raw, Sanitizer, Sensor, decode_event
from tests.appliance.engine.detections import FakeDetection, FakeRule, ipv4, ipv6, tcp, udp

SENSOR = Sensor(Encoding.HEX, Detail.FULL, "sensor1", "192.0.2.10", 4)
PAN = CryptoPan(bytes(range(32)))
NETWORKS = [ipaddress.ip_network("198.51.100.0/24"), ipaddress.ip_network("2001:db8:1::/48")]
SECRET = b"SECRETPAYLOAD"


def sent(detection: FakeDetection, sanitizer: Sanitizer) -> tuple[bytes, object]:
    octets = EventBuilder("s", SENSOR, sanitizer).render(detection, FakeRule(), 1, 1)
    return octets, decode_event(octets, Encoding.HEX)


def detection_v4(src: str, dst: str) -> FakeDetection:
    route = b"\x07\x07\x04" + ipaddress.IPv4Address(src).packed + b"\x00"
    return FakeDetection(
        src_ip=src, dest_ip=dst, packet=ipv4(tcp(SECRET), 6, src, dst, options=route),
        facts=[("http.host", src.encode()), ("http.url", SECRET)]
    )  # fmt: skip


def detection_v6(src: str, dst: str) -> FakeDetection:
    return FakeDetection(
        src_ip=src, dest_ip=dst, proto=17, packet=ipv6(udp(SECRET), 17, src, dst), facts=[("dns.rrname", SECRET)]
    )


def leaks(octets: bytes, address: str) -> bool:
    packed = ipaddress.ip_address(address).packed
    return address.encode() in octets or packed.hex().upper().encode() in octets


@pytest.mark.parametrize("pseudonym", [None, PAN])
@pytest.mark.parametrize(
    ("make", "hidden", "other"),
    [(detection_v4, "198.51.100.7", "192.0.2.80"), (detection_v6, "2001:db8:1::7", "2001:db8:2::8")],
)
@pytest.mark.parametrize("to_hidden", [False, True])
def test_neither_address_nor_payload_leaves(make, hidden: str, other: str, pseudonym, to_hidden: bool) -> None:
    detection = make(other, hidden) if to_hidden else make(hidden, other)
    octets, event = sent(detection, Sanitizer(NETWORKS, pseudonym))
    assert not leaks(octets, hidden)
    assert SECRET not in octets
    assert SECRET.hex().upper().encode() not in octets
    assert event.facts is None
    assert event.flow.community_id is None
    assert b"csum" not in octets
    assert b"http.host" not in octets
    new = None if pseudonym is None else PAN(hidden)
    assert event.endpoints[:2] == ((other, new) if to_hidden else (new, other))
    assert not event.payload


def test_events_of_other_networks_are_left_alone() -> None:
    detection = detection_v4("192.0.2.1", "192.0.2.2")
    builder = EventBuilder("s", SENSOR)
    event = builder.build(detection, FakeRule())
    assert Sanitizer(NETWORKS).apply(event) is event
    assert Sanitizer([]).apply(event) is event


def test_an_ipv4_mapped_address_is_the_ipv4_address() -> None:
    detection = detection_v6("::ffff:198.51.100.7", "2001:db8:2::8")
    octets, event = sent(detection, Sanitizer(NETWORKS))
    assert event.endpoints[0] is None
    assert b"C6336407" not in octets


def test_what_does_not_decode_is_dropped_for_nobody_knows_whose_it_is() -> None:
    octets, event = sent(FakeDetection(packet=b"\x05" + SECRET), Sanitizer(NETWORKS))
    assert event.packet == Raw(b"")
    assert SECRET.hex().upper().encode() not in octets


def test_ports_and_flags_stay() -> None:
    _, event = sent(detection_v4("198.51.100.7", "192.0.2.80"), Sanitizer(NETWORKS))
    assert isinstance(event.packet, IpHeader)
    assert (event.transport.sport, event.transport.dport, event.transport.flags) == (3012, 80, 0x18)


@given(st.binary(max_size=120), st.sampled_from([None, PAN]))
def test_with_every_network_hidden_no_packet_keeps_an_address(packet: bytes, pseudonym) -> None:
    everything = [ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")]
    octets, event = sent(FakeDetection(packet=packet), Sanitizer(everything, pseudonym))
    assert b"<data>" not in octets
    assert b"<raw></raw>" in octets or b"<iphdr" in octets
    if pseudonym is None and event.endpoints is not None:
        assert event.endpoints[:2] == (None, None)
