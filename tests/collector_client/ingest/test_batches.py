"""Batches come in once, whole, and are answered only when they are on disk."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from appliance.wire import session
from appliance.wire.session import BatchHeader, ContentEncoding, Loss
from collector_client.store import StoreBusyError, ranges
from collector_client.store.connect import month_of
from tests.collector_client.harness import Collector
from tests.fakes.sensor import NOON_NS, document, event


def test_a_batch_is_stored_and_receipted(collector: Collector) -> None:
    sensor = collector.sensor()
    receipt = sensor.send([event(seq) for seq in range(1, 6)]).receipt
    assert (receipt.epoch, receipt.accepted_to, receipt.stored_to, receipt.gaps) == (7, 5, 5, ())
    assert receipt.verdict.input == "400 INPUT_COMMIT_OK"
    assert abs(receipt.clock_ns - collector.clock.wall_ns()) < 60 * 10**9
    assert collector.numbers(sensor) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("encoding", session.CONTENT_ENCODINGS)
def test_every_compression_is_taken(collector: Collector, encoding: ContentEncoding) -> None:
    sensor = collector.sensor()
    assert sensor.send([event(1)], encoding=encoding).receipt.stored_to == 1


def test_a_replay_adds_nothing_and_gets_the_same_receipt(collector: Collector) -> None:
    sensor = collector.sensor()
    first = sensor.send([event(1), event(2)]).receipt
    again = sensor.send([event(1), event(2)]).receipt
    assert replace(again, clock_ns=first.clock_ns) == first
    assert collector.numbers(sensor) == [1, 2]


def test_a_replay_next_month_adds_nothing(collector: Collector) -> None:
    collector.clock.ahead_ns = 0
    sensor = collector.sensor()
    sensor.send([event(1), event(2)])
    collector.clock.ahead_ns = 29 * 86_400 * 10**9
    assert sensor.send([event(1), event(2), event(3)]).receipt.stored_to == 3
    assert collector.numbers(sensor) == [1, 2, 3]


def test_the_stored_element_is_the_bytes_that_came(collector: Collector) -> None:
    sensor = collector.sensor()
    body = document([event(1, text="<é & ü>")])
    sensor.send_document(body, BatchHeader(7, 1, 1, "0" * 64))
    ((xml,),) = collector.alerts("SELECT xml FROM evidence")
    assert isinstance(xml, bytes)
    assert xml in body
    assert xml.startswith(b"<event>")
    assert xml.endswith(b"</event>")


def test_a_hole_in_the_numbers_is_named_in_the_receipt(collector: Collector) -> None:
    sensor = collector.sensor()
    sensor.send([event(1)])
    receipt = sensor.send([event(5), event(7)]).receipt
    assert (receipt.stored_to, receipt.gaps) == (7, ((2, 4), (6, 6)))


def test_declared_losses_leave_no_gap(collector: Collector) -> None:
    sensor = collector.sensor()
    receipt = sensor.send([event(4)], losses=(Loss(1, 3, "spool-full"),)).receipt
    assert (receipt.stored_to, receipt.gaps) == (4, ())


def test_a_bad_event_goes_to_quarantine_and_the_good_ones_are_stored(collector: Collector) -> None:
    sensor = collector.sensor()
    body = document([event(1), event(2), event(3)]).replace(b'dport="4002"', b'dport="99999"')
    receipt = sensor.send_document(body, BatchHeader(7, 1, 3, "0" * 64)).receipt
    assert [(item.seq, item.code) for item in receipt.rejected] == [(2, "40406 NUMBER")]
    assert (receipt.stored_to, receipt.gaps) == (3, ())
    assert collector.numbers(sensor) == [1, 3]
    ((seq, code, data),) = collector.alerts("SELECT seq, code, data FROM quarantine")
    assert (seq, code) == (2, "40406 NUMBER")
    assert isinstance(data, bytes)
    assert b"99999" in data


def test_events_of_another_epoch_or_time_go_to_quarantine(collector: Collector) -> None:
    sensor = collector.sensor()
    ahead = collector.clock.wall_ns() + 10**13
    receipt = sensor.send([event(1, epoch=8), event(2, at_ns=0), event(3, at_ns=ahead)], span=(1, 3)).receipt
    codes = [item.code.split()[1] for item in receipt.rejected]
    assert codes == ["EPOCH_DIFFERS", "EVENT_TOO_OLD", "EVENT_IN_FUTURE"]
    assert collector.numbers(sensor) == []


def test_a_document_refused_whole_is_kept_with_the_reason(collector: Collector) -> None:
    sensor = collector.sensor()
    header = BatchHeader(7, 1, 1, "0" * 64)
    for body, code, status in (
        (b"<SNML-Message>", "INPUT_MALFORMED", 400),
        (b'<?xml version="1.0"?><!DOCTYPE a><a/>', "DOCTYPE_PRESENT", 400),
        (b'<?xml version="1.0"?><report/>', "ROOT_UNKNOWN", 422),
        (b"", "INPUT_EMPTY", 400),
    ):
        answer = sensor.send_document(body, header)
        assert (answer.code, answer.status) == (code, status)
        kept = collector.alerts("SELECT data, seq FROM quarantine WHERE code LIKE ?", f"% {code}")
        assert kept == [(body, None)]
    assert collector.numbers(sensor) == []


def test_other_content_under_a_stored_number_is_a_fork(collector: Collector) -> None:
    sensor = collector.sensor()
    sensor.send([event(1), event(2)])
    answer = sensor.send([event(2, text="other"), event(3)])
    assert (answer.status, answer.code) == (409, "SEQUENCE_FORK")
    assert "(2)" in answer.refusal.came
    assert collector.alerts("SELECT seq, msg FROM alerts ORDER BY seq") == [(1, "probe"), (2, "probe"), (3, "probe")]


def test_a_sensor_that_scatters_its_numbers_is_refused_before_they_fill_the_store(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Intervals outlive the months' files, so they are the one thing that only ever grows."""
    monkeypatch.setattr(ranges, "MAX_ROWS", 20)
    collector.stop()
    collector.start()
    sensor, neighbour = collector.sensor(), collector.sensor()
    statuses = [sensor.send([event(1, epoch=epoch)], epoch=epoch).status for epoch in range(1, 31)]
    assert statuses == [200] * 10 + [409] * 20
    losses = tuple(Loss(number, number, "spool-full") for number in range(10, 100, 2))
    answer = sensor.send([event(2, epoch=1)], epoch=1, losses=losses)
    assert (answer.status, answer.code) == (409, "SEQUENCE_SCATTERED")
    assert collector.control("SELECT COUNT(*) FROM sequence_ranges") == [(20,)]
    assert sensor.send([event(2, epoch=1)], epoch=1).receipt.stored_to == 2, "what goes on in order is taken"
    assert neighbour.send([event(1)]).status == 200


def test_two_boxes_with_one_key_are_found_out(collector: Collector) -> None:
    first = collector.sensor()
    second = collector.box(first.key)
    second.ca_pem, second.certificate = first.ca_pem, first.certificate
    assert first.send([event(1)]).status == 200
    assert second.send([event(1, at_ns=NOON_NS + 10**9)]).code == "SEQUENCE_FORK"


def test_a_new_epoch_begins_at_one_again(collector: Collector) -> None:
    sensor = collector.sensor()
    sensor.send([event(1)])
    assert sensor.send([event(1, epoch=8, text="other")], epoch=8).receipt.stored_to == 1
    assert collector.numbers(sensor, 7) == collector.numbers(sensor, 8) == [1]


def test_tenants_come_from_the_token_and_never_from_the_document(collector: Collector) -> None:
    one, other = collector.sensor(tenant="acme"), collector.sensor(tenant="umbrella")
    for sensor in (one, other):
        sensor.send([event(1)])
    query = (
        "SELECT tenants.name FROM sensors JOIN sites USING (site_id) JOIN tenants USING (tenant_id) WHERE sensor_id = ?"
    )
    assert [collector.control(query, sensor.sensor_id) for sensor in (one, other)] == [[("acme",)], [("umbrella",)]]
    assert len(collector.alerts("SELECT DISTINCT tenant_id FROM alerts")) == 2


def test_many_sensors_at_once_are_all_stored_once(collector: Collector) -> None:
    sensors = [collector.sensor() for _ in range(6)]

    def work(number: int) -> None:
        for first in range(1, 40, 4):
            batch = [event(seq) for seq in range(first, first + 4)]
            while (answer := sensors[number].send(batch)).status == 503:
                assert answer.refusal.retry_after_s
            assert answer.receipt.stored_to >= first + 3

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert [collector.numbers(sensor) for sensor in sensors] == [list(range(1, 41))] * 6


def test_what_was_receipted_is_there_after_a_restart(collector: Collector) -> None:
    sensor = collector.sensor()
    sensor.send([event(1), event(2)])
    collector.stop()
    collector.start()
    sensor.port = int(collector.address.rpartition(":")[2])
    assert sensor.send([event(2), event(3)]).receipt.stored_to == 3
    assert collector.numbers(sensor) == [1, 2, 3]


def test_a_second_collector_on_one_store_is_refused(collector: Collector) -> None:
    with pytest.raises(StoreBusyError):
        Collector(collector.directory).start()


def test_a_store_that_cannot_be_written_is_said_and_the_sensor_comes_back(collector: Collector) -> None:
    sensor = collector.sensor()
    in_the_way = collector.directory / f"alerts-{month_of(collector.clock.wall_ns())}.db"
    in_the_way.mkdir()
    for _ in range(2):
        answer = sensor.send([event(1)])
        assert (answer.status, answer.code) == (503, "STORE_FAILED")
        assert answer.refusal.retry_after_s
    in_the_way.rmdir()
    assert sensor.send([event(1)]).receipt.stored_to == 1
    assert collector.numbers(sensor) == [1]


def test_the_largest_batch_is_taken_and_one_more_event_is_refused(collector: Collector) -> None:
    sensor = collector.sensor()
    assert sensor.send([event(seq) for seq in range(1, 501)]).receipt.stored_to == 500
    answer = sensor.send([event(seq) for seq in range(501, 1002)])
    assert (answer.status, answer.code) == (400, "RANGE_TOO_WIDE")
    hidden = sensor.send([event(seq) for seq in range(501, 1002)], span=(501, 1000))
    assert hidden.status == 413
