"""What we encode validates against the DTD, comes back as the same model, and has one form only."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from appliance.wire.snml import (
    DTD_PATH,
    Detail,
    Encoding,
    Event,
    Facts,
    IpHeader,
    Message,
    Raw,
    Reference,
    RejectCode,
    Sensor,
    Signature,
    SnmlError,
    decode_event,
    decode_message,
    decode_message_lenient_events,
    encode_event,
    encode_message,
    encode_message_from_fragments,
)
from appliance.wire.snml.detail import to_fast
from appliance.wire.snml.octets import as_ascii
from tests.appliance.wire.snml.strategies import events, messages, sensors

DTD = etree.DTD(str(DTD_PATH))
SENSOR = Sensor(Encoding.BASE64, Detail.FULL, "sensor1", "192.0.2.10", 4)


def as_received(event: Event, sensor: Sensor) -> Event:
    """What a sensor's detail and encoding leave of an event."""
    if sensor.detail is Detail.FAST:
        event = to_fast(event)
    if sensor.encoding is not Encoding.ASCII:
        return event
    packet = event.packet
    if isinstance(packet, Raw):
        return replace(event, packet=Raw(as_ascii(packet.data)))
    return replace(event, packet=replace(packet, data=None if packet.data is None else as_ascii(packet.data)))


@given(messages)
def test_every_message_validates_and_comes_back(message: Message) -> None:
    document = encode_message(message)
    assert document.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n')
    assert DTD.validate(etree.fromstring(document)), DTD.error_log
    back = decode_message(document)
    assert back.sensor == message.sensor
    assert back.events == tuple(as_received(event, message.sensor) for event in message.events)
    assert decode_message_lenient_events(document) == (back.sensor, list(back.events))


@given(messages)
def test_a_model_has_one_form(message: Message) -> None:
    document = encode_message(message)
    assert encode_message(decode_message(document)) == document


@given(sensors(), st.lists(events(), min_size=1, max_size=3))
def test_fragments_are_lines_and_make_the_same_document(sensor: Sensor, several: list[Event]) -> None:
    fragments = [encode_event(event, sensor.encoding, sensor.detail) for event in several]
    assert all(fragment.count(b"\n") == 1 and fragment.endswith(b"\n") for fragment in fragments)
    assert encode_message_from_fragments(sensor, fragments) == encode_message(Message(sensor, tuple(several)))
    for event, fragment in zip(several, fragments, strict=True):
        assert decode_event(fragment, sensor.encoding) == as_received(event, sensor)


@given(st.text(min_size=1, max_size=3000), st.text(max_size=6000))
def test_any_text_goes_out_on_one_line_and_comes_back_without_controls(msg: str, fact: str) -> None:
    event = Event(
        Signature(msg, class_=msg),
        (Reference("url", msg),),
        0,
        IpHeader("192.0.2.1", None, 6),
        (Facts((("http.url", fact),)),),
    )
    fragment = encode_event(event, Encoding.HEX, Detail.FULL)
    back = decode_event(fragment, Encoding.HEX)
    for text in (back.signature.text, back.references[0].text, back.facts.items[0][1]):
        assert not any(c < " " or "\x7f" <= c <= "\x9f" or "\ud800" <= c <= "\udfff" for c in text)
    assert encode_event(back, Encoding.HEX, Detail.FULL) == fragment


def test_what_cannot_be_carried_is_shown_and_what_is_too_long_is_cut_visibly() -> None:
    event = Event(Signature("a\x00b\r\nc\ud800\ufffe]]>" + "x" * 2000), (), 0, Raw(b""))
    text = decode_event(encode_event(event, Encoding.HEX, Detail.FULL), Encoding.HEX).signature.text
    assert text.startswith("a\\x00b\\x0d\\x0ac\\ud800\\ufffe]]>xxx")
    assert len(text) == 1024
    assert text.endswith("…")


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (Event(Signature(""), (), 0, Raw(b"")), RejectCode.TEXT),
        (Event(Signature("m"), (), -1, Raw(b"")), RejectCode.TIMESTAMP),
        (Event(Signature("m"), (), 0, Raw(bytes(70_000))), RejectCode.DATA_TOO_LONG),
        (Event(Signature("m", priority=256), (), 0, Raw(b"")), RejectCode.NUMBER),
        (Event(Signature("m"), (), 0, IpHeader("a.example", None, 6)), RejectCode.ADDRESS),
        (Event(Signature("m"), (), 0, Raw(b""), (Facts(()),)), RejectCode.ELEMENT_MISSING),
        (Event(Signature("m"), (), 0, Raw(b""), (Facts((("A", ""),)),)), RejectCode.TEXT),
        (Event(Signature("m"), (Reference("url", "x"),) * 65, 0, Raw(b"")), RejectCode.ITEMS_TOO_MANY),
    ],
)
def test_the_encoder_refuses_what_the_decoder_would(event: Event, code: RejectCode) -> None:
    with pytest.raises(SnmlError) as caught:
        encode_event(event, Encoding.HEX, Detail.FULL)
    assert caught.value.code is code


def test_a_message_without_events_or_source_is_not_written() -> None:
    with pytest.raises(SnmlError, match="ELEMENT_MISSING"):
        encode_message(Message(SENSOR, ()))
    with pytest.raises(SnmlError, match="ELEMENT_MISSING"):
        encode_message(Message(replace(SENSOR, file="/x.pcap"), (Event(Signature("m"), (), 0, Raw(b"")),)))


def test_one_bad_event_does_not_take_its_neighbours_along() -> None:
    good = encode_event(Event(Signature("m"), (), 0, Raw(b"x")), Encoding.BASE64, Detail.FULL)
    bad_value = good.replace(b"1970-01", b"1970-13")
    bad_structure = good.replace(b"<packet>", b"<packet><iphdr/>")
    document = encode_message_from_fragments(SENSOR, [good, bad_value, good, bad_structure, good])
    _, results = decode_message_lenient_events(document)
    assert [isinstance(result, Event) for result in results] == [True, False, True, False, True]
    assert [(results[i].code, results[i].event_index) for i in (1, 3)] == [
        (RejectCode.TIMESTAMP, 1),
        (RejectCode.ELEMENT_UNEXPECTED, 3),
    ]
    with pytest.raises(SnmlError) as caught:
        decode_message(document)
    assert caught.value.event_index == 1


@given(st.text(max_size=400))
def test_a_host_may_be_called_anything(name: str) -> None:
    document = encode_message(Message(replace(SENSOR, hostname=name), (Event(Signature("m"), (), 0, Raw(b"")),)))
    assert encode_message(decode_message(document)) == document
