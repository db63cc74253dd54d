"""Pieces are the exact bytes of each event, as many as the decoder sees."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.wire import snml
from collector_client.validate.pieces import event_pieces
from tests.fakes.sensor import SENSOR, document, event

texts = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]), min_size=1, max_size=60
) | st.sampled_from(
    ["<event>", "</event>", "<![CDATA[</event>]]>", "<!-- <event> -->", "a > b", "'\"", "<event a='>'/>"]
)


@given(st.lists(texts, min_size=1, max_size=5))
def test_pieces_are_the_fragments_that_the_sensor_wrote(messages: list[str]) -> None:
    events = [event(seq, text=text) for seq, text in enumerate(messages, 1)]
    fragments = [snml.encode_event(item, SENSOR.encoding, SENSOR.detail) for item in events]
    whole = snml.encode_message_from_fragments(SENSOR, fragments)
    assert event_pieces(whole) == [fragment.rstrip(b"\n") for fragment in fragments]


@pytest.mark.parametrize(
    ("inside", "count"),
    [
        (b"<event/>", 1),
        (b"<event />", 1),
        (b"<event></event >", 1),
        (b"<event a='>' b=\"/>\">x</event>", 1),
        (b"<event><event/></event>", 1),
        (b"<event><event>1</event><event>2</event></event><event>3</event>", 2),
        (b"<events/><eventual>1</eventual><x:event/>", 0),
        (b"<event\n\ta='1'\n>&lt;event></event>", 1),
        (b"", 0),
    ],
)
def test_only_outermost_events_count(inside: bytes, count: int) -> None:
    pieces = event_pieces(b"<?xml version='1.0'?><m>" + inside + b"</m>")
    assert len(pieces) == count
    assert all(piece.startswith(b"<event") and piece.endswith(b">") for piece in pieces)


@given(
    st.binary(max_size=300)
    | st.lists(st.sampled_from([b"<event>", b"</event>", b"<event/>", b"<event a='"])).map(b"".join)
)
def test_any_bytes_give_pieces_in_order_and_never_an_exception(data: bytes) -> None:
    at = 0
    for piece in event_pieces(data):
        at = data.index(piece, at) + len(piece)


def test_a_megabyte_of_open_tags_takes_linear_time() -> None:
    assert event_pieces(b"<event a='" * 100_000) == []
    assert event_pieces(b"<event " + b"a=''" * 250_000) == []
    assert event_pieces(b"<event " + b"a='' " * 200_000) == []


def test_a_document_of_many_events_is_cut_into_all_of_them() -> None:
    events = [event(seq, text=quoteattr(f"<event {seq}>")) for seq in range(1, 501)]
    assert len(event_pieces(document(events))) == 500
