"""The session's words round-trip, and hostile ones end in SessionError and nothing else."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.wire import session
from appliance.wire.fields import MAX_INT63, format_clock, parse_clock, plain
from appliance.wire.session import (
    BatchHeader,
    ConfigAnswer,
    Loss,
    Receipt,
    Refusal,
    RejectedEvent,
    SessionError,
    Verdict,
)

DIGEST = "ab" * 32
seqs = st.integers(1, MAX_INT63)
ranges = st.tuples(seqs, seqs).map(lambda pair: (min(pair), max(pair)))
losses = st.builds(lambda span, why: Loss(*span, why), ranges, st.from_regex(r"[a-z][a-z0-9-]{0,31}", fullmatch=True))
headers = st.builds(
    lambda epoch, span, encoding, lost: BatchHeader(epoch, *span, DIGEST, encoding, tuple(lost)),
    st.integers(0, MAX_INT63),
    ranges,
    st.sampled_from(session.CONTENT_ENCODINGS),
    st.lists(losses, max_size=session.MAX_LOSSES),
)
clocks = st.integers(0, 4_000_000_000 * 10**9)
receipts = st.builds(
    lambda epoch, top, clock, gaps, rejected, slow: Receipt(
        epoch, top, top, clock, tuple(gaps), tuple(rejected), slow, Verdict(input="401 INPUT_COMMIT_ERROR")
    ),
    st.integers(0, MAX_INT63),
    seqs,
    clocks,
    st.lists(ranges, max_size=session.MAX_GAPS),
    st.lists(
        st.builds(RejectedEvent, st.none() | seqs, st.just("404 INPUT_INVALID"), st.text(), st.text()), max_size=20
    ),
    st.integers(0, session.MAX_SLOW_DOWN_MS),
)


@given(headers)
def test_a_batch_header_survives_the_way(header: BatchHeader) -> None:
    assert BatchHeader.from_headers({name.upper(): value for name, value in header.to_headers().items()}) == header


@given(receipts)
def test_a_receipt_survives_the_way(receipt: Receipt) -> None:
    assert Receipt.from_json(receipt.to_json()) == receipt
    assert len(receipt.to_json()) <= session.MAX_ANSWER_BYTES


def test_the_largest_receipt_fits_the_bound_that_its_reader_sets() -> None:
    event = RejectedEvent(MAX_INT63, "404 INPUT_INVALID", "\U0001f4a3" * 999, "\U0001f4a3" * 999)
    gap = (MAX_INT63, MAX_INT63)
    receipt = Receipt(MAX_INT63, MAX_INT63, MAX_INT63, 0, (gap,) * 500, (event,) * 900)
    assert len(receipt.to_json()) <= session.MAX_ANSWER_BYTES
    assert Receipt.from_json(receipt.to_json()).rejected == (event,) * session.MAX_BATCH_EVENTS


@given(st.text(), st.text(), st.text(), st.none() | st.integers(0, session.MAX_RETRY_AFTER_S))
def test_a_refusal_survives_the_way(came: str, allowed: str, do: str, wait: int | None) -> None:
    refusal = Refusal(429, "502 THROTTLE_QUENCH", came, allowed, do, wait)
    assert Refusal.from_answer(429, refusal.to_headers(), refusal.to_json()) == refusal


@given(clocks)
def test_the_clock_survives_the_way_to_the_nanosecond(wall_ns: int) -> None:
    assert parse_clock("clock", format_clock(wall_ns)) == wall_ns


@given(st.integers(1, 10**6))
def test_a_config_answer_survives_the_way(version: int) -> None:
    for answer in (ConfigAnswer(version, 1), ConfigAnswer(version, 1, "since noon: two boxes")):
        assert ConfigAnswer.from_json(answer.to_json()) == answer


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Vedette-Epoch", "-1"),
        ("Vedette-Epoch", "+1"),
        ("Vedette-Epoch", "01"),
        ("Vedette-Epoch", "1_0"),
        ("Vedette-Epoch", "٣"),
        ("Vedette-Epoch", str(2**63)),
        ("Vedette-Epoch", "9" * 5000),
        ("Vedette-Sequence", "0-1"),
        ("Vedette-Sequence", "2-1"),
        ("Vedette-Sequence", "1"),
        ("Vedette-Sequence", "1-2-3"),
        ("Vedette-SHA256", DIGEST.upper()),
        ("Vedette-SHA256", DIGEST + "0"),
        ("Content-Encoding", "br"),
        ("Content-Encoding", "gzip, gzip"),
        ("Vedette-Losses", "1-2"),
        ("Vedette-Losses", "1-2:Spool"),
        ("Vedette-Losses", "1-2:spool-full,"),
        ("Vedette-Losses", ",".join(["1-2:x"] * (session.MAX_LOSSES + 1))),
        ("VEDETTE-EPOCH", "1"),
    ],
)
def test_a_header_in_another_form_is_refused(name: str, value: str) -> None:
    good = BatchHeader(1, 1, 2, DIGEST, "gzip").to_headers()
    with pytest.raises(SessionError):
        BatchHeader.from_headers({**good, name: value})


@pytest.mark.parametrize("name", ["Vedette-Epoch", "Vedette-Sequence", "Vedette-SHA256"])
def test_a_missing_header_is_named(name: str) -> None:
    good = BatchHeader(1, 1, 2, DIGEST).to_headers()
    del good[name]
    with pytest.raises(SessionError, match=name):
        BatchHeader.from_headers(good)


@given(
    st.dictionaries(
        st.sampled_from(["Vedette-Epoch", "Vedette-Sequence", "Vedette-SHA256", "Vedette-Losses", "Content-Encoding"]),
        st.text() | st.sampled_from(["1", "1-2", DIGEST, "zstd", "1-2:spool-full"]),
    )
)
def test_any_headers_give_a_value_or_the_one_error(found: dict[str, str]) -> None:
    with contextlib.suppress(SessionError):
        assert BatchHeader.from_headers(BatchHeader.from_headers(found).to_headers())


RECEIPT = Receipt(1, 9, 9, 0, ((2, 3),), (RejectedEvent(4, "404 INPUT_INVALID", "a", "b"),)).to_json()
REFUSAL = Refusal(400, "403 INPUT_MALFORMED", "a", "b", "c").to_json()


@given(st.data())
def test_a_damaged_answer_gives_a_value_or_the_one_error(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from([RECEIPT, REFUSAL]))
    at = data.draw(st.integers(0, len(whole)))
    until = data.draw(st.integers(at, len(whole)))
    damaged = whole[:at] + data.draw(st.binary(max_size=8)) + whole[until:]
    for read in (Receipt.from_json, ConfigAnswer.from_json, lambda body: Refusal.from_answer(400, {}, body)):
        with contextlib.suppress(SessionError):
            read(damaged)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(json.loads(RECEIPT))), json_values)
def test_a_receipt_with_any_other_value_in_a_field_gives_a_value_or_the_one_error(name: str, value: object) -> None:
    with contextlib.suppress(SessionError):
        Receipt.from_json(json.dumps({**json.loads(RECEIPT), name: value}).encode())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"<html>502 Bad Gateway</html>",
        b'{"epoch":1,"epoch":2}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"version":NaN}',
        b'{"version":1e999,"clock":"2026-11-24T00:00:00Z"}',
        b'{"version":' + b"9" * 10_000 + b"}",
        b"\xff\xfe{}",
        b" " * (session.MAX_ANSWER_BYTES + 1),
    ],
    ids=lambda body: repr(body[:20]),
)
def test_what_is_no_answer_is_refused_with_the_one_error(body: bytes) -> None:
    with pytest.raises(SessionError):
        ConfigAnswer.from_json(body)


def test_a_receipt_that_stored_more_than_it_took_is_refused() -> None:
    with pytest.raises(SessionError, match="accepted_to"):
        Receipt.from_json(Receipt(1, 5, 6, 0).to_json())


def test_a_field_of_a_newer_collector_is_passed_over() -> None:
    body = json.loads(RECEIPT) | {"from_the_future": {"x": [1]}}
    assert Receipt.from_json(json.dumps(body).encode()) == Receipt.from_json(RECEIPT)


@given(st.text())
def test_plain_text_is_short_and_printable(text: str) -> None:
    shown = plain(text)
    assert len(shown) <= 256
    assert shown.isprintable()
    shown.encode()
