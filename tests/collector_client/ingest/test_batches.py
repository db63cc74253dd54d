"""Batches come in once, whole, and are answered only when they are on disk."""

from __future__ import annotations

from tests.collector_client.harness import Collector
from tests.fakes.sensor import event


def test_a_batch_is_stored_and_receipted(collector: Collector) -> None:
    sensor = collector.sensor()
    receipt = sensor.send([event(seq) for seq in range(1, 6)]).receipt
    assert (receipt.epoch, receipt.accepted_to, receipt.stored_to, receipt.gaps) == (7, 5, 5, ())
    assert receipt.verdict.input == "400 INPUT_COMMIT_OK"
    assert abs(receipt.clock_ns - collector.clock.wall_ns()) < 60 * 10**9
    assert collector.numbers(sensor) == [1, 2, 3, 4, 5]
