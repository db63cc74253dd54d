"""What the writer promises: every event once, whatever is sent again, and receipts that say the truth."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from collector_client.store import BatchToStore, Loss, Rejected, StoreBusyError, StoredEvent, UnknownSensorError, Writer
from tests.fakes.clock import FakeClock
from tests.fakes.events import KINDS, NS, EventSource, enroll, event

NOVEMBER = 1_795_500_000 * NS  # 2026-11-24
DECEMBER = 1_796_500_000 * NS  # 2026-12-05


@pytest.fixture
def sensor(tmp_path: Path) -> EventSource:
    return enroll(tmp_path, "s-one")


@pytest.fixture
def writer(tmp_path: Path, sensor: EventSource) -> Iterator[Writer]:
    writer = Writer.open(tmp_path, FakeClock())
    yield writer
    writer.close()


def some(count: int, ts_ns: int = NOVEMBER) -> list[object]:
    return [event(KINDS[number % len(KINDS)], ts_ns + number) for number in range(count)]


def rows(directory: Path, table: str = "alerts") -> int:
    total = 0
    for path in directory.glob("alerts-*.db"):
        connection = sqlite3.connect(path)
        total += connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]  # noqa: S608
        connection.close()
    return total


def moved(batch: BatchToStore, received_ns: int) -> BatchToStore:
    return replace(batch, received_ns=received_ns)


def test_a_batch_is_stored_and_the_receipt_covers_it(tmp_path: Path, writer: Writer, sensor: EventSource) -> None:
    stored = writer.store_batch(sensor.batch(some(10), NOVEMBER))
    assert (stored.accepted_to, stored.stored_to, stored.gaps, stored.duplicates) == (10, 10, (), 0)
    assert rows(tmp_path) == 10 == rows(tmp_path, "evidence")


def test_a_batch_sent_again_adds_no_row_and_gets_its_receipt_again(
    tmp_path: Path, writer: Writer, sensor: EventSource
) -> None:
    batch = sensor.batch(some(10), NOVEMBER, rejected=[Rejected(11, "c", "came", "allowed", b"<x/>")])
    first, again = writer.store_batch(batch), writer.store_batch(batch)
    assert (again.stored_to, again.gaps) == (first.stored_to, first.gaps) == (11, ())
    assert again.duplicates == 10
    assert [rows(tmp_path, table) for table in ("alerts", "batches", "quarantine")] == [10, 1, 1]


def test_a_batch_sent_again_in_the_next_month_adds_no_row(tmp_path: Path, writer: Writer, sensor: EventSource) -> None:
    batch = sensor.batch(some(10), NOVEMBER)
    writer.store_batch(batch)
    assert writer.store_batch(moved(batch, DECEMBER)).duplicates == 10
    assert rows(tmp_path) == 10


def test_batches_cut_differently_when_sent_again_add_only_what_is_new(
    tmp_path: Path, writer: Writer, sensor: EventSource
) -> None:
    batch = sensor.batch(some(10), NOVEMBER)
    writer.store_batch(replace(batch, last_seq=6, events=batch.events[:6]))
    stored = writer.store_batch(moved(replace(batch, first_seq=4, events=batch.events[3:]), DECEMBER))
    assert (stored.duplicates, stored.stored_to, stored.conflicts) == (3, 10, ())
    assert rows(tmp_path) == 10


def test_one_commit_for_many_batches_still_finds_the_repeat_among_them(
    tmp_path: Path, writer: Writer, sensor: EventSource
) -> None:
    one, two = sensor.batch(some(5), NOVEMBER), sensor.batch(some(5), NOVEMBER)
    receipts = writer.store_batches([one, two, one, moved(two, DECEMBER)])
    assert [(receipt.stored_to, receipt.duplicates) for receipt in receipts] == [(5, 0), (10, 0), (10, 5), (10, 5)]
    assert rows(tmp_path) == 10


def test_the_same_number_twice_in_one_batch_is_stored_once(tmp_path: Path, writer: Writer, sensor: EventSource) -> None:
    batch = sensor.batch(some(2), NOVEMBER)
    stored = writer.store_batch(replace(batch, events=[batch.events[0], batch.events[0], batch.events[1]]))
    assert (stored.stored_to, stored.duplicates) == (2, 1)
    assert rows(tmp_path) == 2


def test_two_sensors_and_two_epochs_do_not_share_numbers(tmp_path: Path, writer: Writer, sensor: EventSource) -> None:
    writer.store_batch(sensor.batch(some(3), NOVEMBER))
    writer.store_batch(enroll(tmp_path, "s-two").batch(some(3), NOVEMBER))
    stored = writer.store_batch(EventSource("s-one", epoch=6).batch(some(3), NOVEMBER))
    assert (stored.duplicates, rows(tmp_path)) == (0, 9)


def test_a_clone_that_uses_stored_numbers_is_named_and_kept_apart(
    tmp_path: Path, writer: Writer, sensor: EventSource
) -> None:
    writer.store_batch(sensor.batch(some(4), NOVEMBER))
    clone = EventSource("s-one").batch(some(4, NOVEMBER + 500), DECEMBER)
    for _ in range(2):
        stored = writer.store_batch(clone)
        assert (stored.conflicts, stored.duplicates, stored.stored_to) == ((1, 2, 3, 4), 4, 4)
    assert (rows(tmp_path), rows(tmp_path, "quarantine")) == (4, 4)


def test_a_hole_is_a_gap_until_it_is_filled(writer: Writer, sensor: EventSource) -> None:
    early, late = sensor.batch(some(5), NOVEMBER), sensor.batch(some(5), NOVEMBER)
    stored = writer.store_batch(late)
    assert (stored.stored_to, stored.gaps) == (10, ((1, 5),))
    stored = writer.store_batch(early)
    assert (stored.stored_to, stored.gaps) == (10, ())


def test_a_receipt_stops_before_an_event_that_the_batch_lacks(writer: Writer, sensor: EventSource) -> None:
    batch = sensor.batch(some(5), NOVEMBER)
    stored = writer.store_batch(replace(batch, events=[item for item in batch.events if item.seq != 3]))
    assert (stored.stored_to, stored.gaps) == (2, ((3, 3),))
    nothing = writer.store_batch(replace(batch, first_seq=3, events=()))
    assert nothing.stored_to == 2


def test_declared_losses_are_no_gap_and_may_overlap(tmp_path: Path, writer: Writer, sensor: EventSource) -> None:
    sensor.seq = 8
    losses = [Loss(1, 6, "spool-full"), Loss(5, 8, "damaged")]
    batch = sensor.batch(some(2), NOVEMBER, losses=losses)
    assert writer.store_batch(batch).gaps == ()
    assert rows(tmp_path, "batch_ranges") == 3
    writer.store_batch(batch)
    assert rows(tmp_path, "batch_ranges") == 3


def test_a_refused_event_counts_as_stored_and_its_bytes_are_kept(
    tmp_path: Path, writer: Writer, sensor: EventSource
) -> None:
    refused = [Rejected(3, "40406 NUMBER", "99999", "0-65535", b"<event>3</event>"), Rejected(None, "x", "", "", b"?")]
    batch = sensor.batch(some(2), NOVEMBER, rejected=refused)
    assert writer.store_batch(replace(batch, last_seq=3)).stored_to == 3
    assert (rows(tmp_path), rows(tmp_path, "quarantine")) == (2, 2)


def test_a_refused_document_is_quarantined_once(tmp_path: Path, writer: Writer, sensor: EventSource) -> None:
    for _ in range(2):
        writer.quarantine("s-one", NOVEMBER, Rejected(None, "40303 DOCTYPE_PRESENT", "a DOCTYPE", "none", b"<!DOCTYPE"))
    assert rows(tmp_path, "quarantine") == 1


def test_a_sensor_without_a_record_stores_nothing(tmp_path: Path, writer: Writer, sensor: EventSource) -> None:
    good = sensor.batch(some(1), NOVEMBER)
    with pytest.raises(UnknownSensorError, match="s-nobody"):
        writer.store_batches([good, EventSource("s-nobody").batch(some(1), NOVEMBER)])
    assert rows(tmp_path) == 0
    assert writer.store_batch(good).duplicates == 0


def test_two_writers_of_one_store_are_refused(tmp_path: Path, writer: Writer) -> None:
    with pytest.raises(StoreBusyError, match="another process writes"):
        Writer.open(tmp_path, FakeClock())


def test_the_stored_bytes_are_the_sent_bytes(tmp_path: Path, writer: Writer, sensor: EventSource) -> None:
    batch = sensor.batch(some(8), NOVEMBER)
    writer.store_batch(batch)
    connection = sqlite3.connect(tmp_path / "alerts-2026-11.db")
    stored = connection.execute("SELECT seq, xml FROM alerts JOIN evidence USING (alert_id) ORDER BY seq").fetchall()
    connection.close()
    assert stored == [(item.seq, item.xml) for item in batch.events if isinstance(item, StoredEvent)]
