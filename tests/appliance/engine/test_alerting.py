"""A detection becomes an event that says what the engine said, whatever rule files and networks put into it."""

from __future__ import annotations

import ast
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.engine.alerting import EventBuilder, build_event, event_uuid
from appliance.wire.snml import (
    Detail,
    Encoding,
    Facts,
    Flow,
    IpHeader,
    Reference,
    Rule,
    Sensor,
    Sequence,
    Signature,
    decode_event,
    decode_message,
    encode_message_from_fragments,
)
from tests.appliance.engine.detections import FakeDetection, FakeRule, ipv4, ipv6, tcp, udp

SENSOR = Sensor(Encoding.BASE64, Detail.FULL, "sensor1", "192.0.2.10", 4, "eth0")
STUB = Path(__file__).parents[3] / "appliance/native/py/python/vedette_engine/__init__.pyi"


def test_an_event_says_what_the_engine_said() -> None:
    detection = FakeDetection(
        packet=ipv4(tcp(b"GET /"), 6), app_proto="http", facts=[("http.host", b"a.example"), ("http.url", b"/\xff")]
    )
    event = build_event(detection, FakeRule())
    assert event.signature == Signature("probe", 1002, 5, "web-application-attack", 1)
    assert event.references == (Reference("cve", "2000-0884"),)
    assert event.timestamp_ns == detection.ts_ns
    assert isinstance(event.packet, IpHeader)
    assert event.rule == Rule(1, 1002, 5)
    assert event.flow == Flow(77, "1:" + event.flow.community_id[2:], True, "http")
    assert event.facts == Facts((("http.host", "a.example"), ("http.url", "/\\xff")))


def test_ipv6_and_the_end_of_a_flow() -> None:
    pair = {"src_ip": "2001:db8::1", "dest_ip": "2001:db8::2", "proto": 17, "src_port": 53, "dest_port": 49152}
    for packet in (ipv6(udp(b"q"), 17), b""):
        event = build_event(FakeDetection(packet=packet, **pair), FakeRule())
        assert event.endpoints == ("2001:db8::1", "2001:db8::2", 17)
        assert (event.transport.sport, event.transport.dport) == (53, 49152)


def test_rendered_events_make_a_message_that_decodes() -> None:
    builder = EventBuilder("s-abc", SENSOR)
    detections = [FakeDetection(packet=ipv4(tcp(b"x"), 6)), FakeDetection(), FakeDetection(packet=b"\x00")]
    fragments = [builder.render(d, FakeRule(), 1_700_000_000, seq) for seq, d in enumerate(detections, 1)]
    message = decode_message(encode_message_from_fragments(SENSOR, fragments))
    assert [event.sequence for event in message.events] == [Sequence(1_700_000_000, seq) for seq in (1, 2, 3)]
    assert len({event.event_id for event in message.events}) == 3


def test_an_event_has_the_same_name_each_time_it_is_written() -> None:
    assert event_uuid("s-abc", 1, 2) == event_uuid("s-abc", 1, 2)
    others = {event_uuid("s-abc", 1, 3), event_uuid("s-abc", 2, 2), event_uuid("s-abd", 1, 2)}
    assert len(others | {event_uuid("s-abc", 1, 2)}) == 4
    assert uuid.UUID(event_uuid("s-abc", 1, 2)).version == 5


@pytest.mark.parametrize(
    "rule",
    [
        FakeRule(msg="", classtype="", references=[]),
        FakeRule(
            msg="\x00\x1b[31m\n" * 500,
            classtype="c" * 500,
            references=[("", "x"), ("url", ""), ("u" * 99, "x" * 9999)] * 99,
        ),
        FakeRule(gid=2**32 - 1, sid=2**32 - 1, rev=2**32 - 1, priority=2**31),
    ],
)
def test_a_strange_rule_does_not_cost_the_alert(rule: FakeRule) -> None:
    builder = EventBuilder("s-abc", SENSOR)
    event = decode_event(builder.render(FakeDetection(), rule, 1, 1), Encoding.BASE64)
    assert event.rule == Rule(rule.gid, rule.sid, rule.rev)


@given(
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**64 - 1),
    st.integers(0, 255),
    st.lists(st.tuples(st.text(max_size=20) | st.just("http.url"), st.binary(max_size=6000)), max_size=80),
    st.text(max_size=20),
    st.binary(max_size=80),
    st.text(max_size=2000),
)
def test_any_detection_can_be_written_and_read(
    ts_ns: int, flow_id: int, proto: int, facts: list[tuple[str, bytes]], app_proto: str, packet: bytes, msg: str
) -> None:
    detection = FakeDetection(
        ts_ns=ts_ns, flow_id=flow_id, proto=proto, facts=facts, app_proto=app_proto, packet=packet
    )
    event = decode_event(EventBuilder("s", SENSOR).render(detection, FakeRule(msg=msg), 1, 1), Encoding.BASE64)
    assert event.flow.flow_id == flow_id & (2**63 - 1)


@pytest.mark.parametrize(("name", "fake"), [("Detection", FakeDetection), ("Rule", FakeRule)])
def test_the_fakes_have_the_attributes_of_the_engine(name: str, fake: type) -> None:
    (node,) = (n for n in ast.parse(STUB.read_text()).body if isinstance(n, ast.ClassDef) and n.name == name)
    assert {n.target.id for n in node.body if isinstance(n, ast.AnnAssign)} == set(fake.__dataclass_fields__)
