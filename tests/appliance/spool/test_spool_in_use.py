"""The spool in ordinary use: accepted, read in batches, acknowledged, dropped by name when the budget is full."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from appliance.spool import Loss, SpoolError, SpoolLockedError, verify
from tests.appliance.spool.events import EPOCH, OpenSpool, event, everything, expected


def test_events_come_back_in_order_under_their_numbers(open_spool: OpenSpool) -> None:
    spool = open_spool()
    assert spool.append([event(), event()]) == [1, 2]
    assert spool.append([event()]) == [3]
    assert everything(spool) == [(seq, expected(EPOCH, seq)) for seq in (1, 2, 3)]
    assert spool.depth().events == 0


def test_a_restart_goes_on_in_the_same_epoch_and_the_same_segment(open_spool: OpenSpool, tmp_path: Path) -> None:
    for seq in (1, 2, 3):
        with open_spool() as spool:
            assert spool.append([event()]) == [seq]
            assert not spool.notes
    assert len(list((tmp_path / "spool").glob("*.seg"))) == 1
    assert [seq for seq, _ in everything(open_spool())] == [1, 2, 3]


def test_a_batch_keeps_its_bounds_but_gives_at_least_one(open_spool: OpenSpool) -> None:
    spool = open_spool()
    spool.append([event(size=100) for _ in range(5)])
    assert spool.read(0, 2, 1 << 20).last_seq == 2
    assert len(spool.read(0, 500, 300).fragments) == 2
    assert len(spool.read(0, 500, 1).fragments) == 1
    assert spool.read(5, 500, 1).fragments == []


def test_reading_again_before_a_receipt_gives_the_same_batch(open_spool: OpenSpool) -> None:
    spool = open_spool()
    spool.append([event() for _ in range(200)])
    first = spool.read(spool.cursor, 70, 1 << 20)
    spool.read(first.last_seq, 70, 1 << 20)
    assert spool.read(spool.cursor, 70, 1 << 20) == first


def test_the_cursor_only_moves_forward_and_never_beyond_what_was_accepted(open_spool: OpenSpool) -> None:
    spool = open_spool()
    spool.append([event() for _ in range(4)])
    spool.acknowledge(EPOCH, 3)
    spool.acknowledge(EPOCH, 1)
    spool.acknowledge(EPOCH + 5, 4)
    assert spool.cursor == 3
    with pytest.raises(SpoolError, match="only 4 were accepted"):
        spool.acknowledge(EPOCH, 5)
    spool.close()
    assert open_spool().cursor == 3


def test_drained_segments_are_deleted(open_spool: OpenSpool, tmp_path: Path) -> None:
    spool = open_spool()
    for _ in range(30):
        spool.append([event(size=500)])
    assert len(list((tmp_path / "spool").glob("*.seg"))) > 3
    assert len(everything(spool)) == 30
    assert len(list((tmp_path / "spool").glob("*.seg"))) == 1


def test_a_full_budget_drops_the_oldest_and_names_the_loss_until_it_is_answered(open_spool: OpenSpool) -> None:
    spool = open_spool(max_bytes=16_384)
    for _ in range(60):
        spool.append([event(size=500)])
    depth = spool.depth()
    assert depth.bytes <= 16_384
    lost = 60 - depth.events
    assert lost > 0
    assert spool.losses == [Loss(1, lost, "spool-full")]
    assert spool.lost_events == lost
    spool.close()
    spool = open_spool(max_bytes=16_384)
    batch = spool.read(spool.cursor, 5, 1 << 20)
    assert (batch.first_seq, batch.losses) == (lost + 1, [Loss(1, lost, "spool-full")])
    assert spool.read(spool.cursor, 5, 1 << 20).losses == batch.losses, "told until it is answered"
    spool.acknowledge(batch.epoch, batch.last_seq)
    assert spool.read(spool.cursor, 5, 1 << 20).losses == []
    assert spool.lost_events == lost
    assert [seq for seq, _ in everything(spool)] == list(range(batch.last_seq + 1, 61))


def test_the_budget_is_kept_to_the_byte(open_spool: OpenSpool, tmp_path: Path) -> None:
    """A new segment begins with a prefix; budgets for which those few bytes are too many are among these."""
    for max_bytes in range(8200, 8400, 4):
        folder = tmp_path / str(max_bytes)
        spool = open_spool(folder, max_bytes=max_bytes)
        for _ in range(6):
            spool.append([event(1980)])
            assert sum(path.stat().st_size for path in folder.glob("*.seg")) <= max_bytes


def test_a_batch_in_flight_whose_segment_is_dropped_is_no_loss_once_it_is_stored(open_spool: OpenSpool) -> None:
    spool = open_spool(max_bytes=8192)
    spool.append([event(size=900) for _ in range(3)])
    batch = spool.read(0, 500, 1 << 20)
    while not spool.losses:
        spool.append([event(size=900)])
    spool.acknowledge(batch.epoch, batch.last_seq)
    assert all(loss.first_seq > batch.last_seq for loss in spool.losses)


def test_depth_tells_events_and_the_age_of_the_oldest(open_spool: OpenSpool) -> None:
    spool = open_spool()
    assert spool.depth().oldest_ts_ns is None
    spool.append([event(), event()])
    spool.acknowledge(EPOCH, 1)
    assert spool.depth().events == 1
    assert spool.depth().oldest_ts_ns == 1_700_000_000_000_000_000


def test_a_render_function_that_fails_accepts_nothing(open_spool: OpenSpool) -> None:
    def broken(epoch: int, seq: int) -> bytes:
        raise ZeroDivisionError

    spool = open_spool()
    with pytest.raises(ZeroDivisionError):
        spool.append([event(), (1, broken)])
    assert spool.append([event()]) == [1]
    assert len(everything(spool)) == 1


def test_a_fragment_that_is_too_long_accepts_nothing(open_spool: OpenSpool) -> None:
    spool = open_spool(max_bytes=1 << 24)
    with pytest.raises(SpoolError, match="at most 1048576"):
        spool.append([event(), event(size=1 << 20)])
    assert spool.append([event()]) == [1]


def test_one_append_may_be_longer_than_a_segment(open_spool: OpenSpool) -> None:
    spool = open_spool()
    spool.append([event(size=400) for _ in range(100)])
    spool.close()
    assert len(everything(open_spool())) == 100


def test_a_second_opening_is_refused_with_the_first_ones_process(open_spool: OpenSpool, tmp_path: Path) -> None:
    open_spool()
    with pytest.raises(SpoolLockedError, match=r"process \d+ has the spool open"):
        open_spool()
    code = (
        "import sys; from pathlib import Path; from appliance.spool import *; from appliance.clock import SystemClock\n"
        "try:\n  Spool.open(Path(sys.argv[1]), max_bytes=1<<20, segment_bytes=4096, clock=SystemClock(),"
        " random_epoch=lambda: 1)\nexcept SpoolLockedError as e: print(e)"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "spool"], capture_output=True, text=True, check=True
    )  # fmt: skip
    assert "has the spool open" in out.stdout


def test_sizes_that_cannot_work_are_refused(open_spool: OpenSpool) -> None:
    with pytest.raises(SpoolError, match="allowed is two segments"):
        open_spool(max_bytes=5000)
    with pytest.raises(SpoolError, match="segment_bytes is 100"):
        open_spool(segment_bytes=100)


def test_the_same_input_again_learns_how_much_of_it_was_accepted(open_spool: OpenSpool) -> None:
    spool = open_spool()
    spool.append([event()])
    assert spool.source_mark("capture-a") == 0
    spool.append([event(), event()])
    spool.close()
    spool = open_spool()
    assert spool.source_mark("capture-a") == 2
    assert spool.source_mark("capture-b") == 0
    everything(spool)
    spool.close()
    assert open_spool().source_mark("capture-a") == 2


def test_a_source_mark_outlives_a_change_of_epoch(open_spool: OpenSpool, tmp_path: Path) -> None:
    spool = open_spool()
    spool.source_mark("capture-a")
    spool.append([event() for _ in range(3)])
    spool.close()
    (tmp_path / "spool" / "accepted").unlink()
    spool = open_spool()
    assert spool.epoch != EPOCH
    spool.append([event()])
    assert spool.source_mark("capture-a") == 4


def test_verify_reads_a_spool_that_is_in_use_and_finds_it_sound(open_spool: OpenSpool, tmp_path: Path) -> None:
    spool = open_spool()
    spool.append([event() for _ in range(4)])
    spool.acknowledge(EPOCH, 1)
    report = verify(tmp_path / "spool")
    assert report.sound
    assert (report.epoch, report.accepted_to, report.stored_to) == (EPOCH, 4, 1)
    assert [(s.first_seq, s.last_seq, s.waiting) for s in report.segments] == [(1, 4, 3)]


def test_verify_says_where_a_spool_would_be(tmp_path: Path) -> None:
    with pytest.raises(SpoolError, match="no spool there"):
        verify(tmp_path / "nowhere")


def test_a_closed_spool_refuses_work_by_name(open_spool: OpenSpool) -> None:
    spool = open_spool()
    spool.close()
    spool.close()
    for work in (lambda: spool.append([event()]), lambda: spool.read(0, 1, 1), lambda: spool.acknowledge(EPOCH, 1)):
        with pytest.raises(SpoolError, match="closed"):
            work()
