"""kill -9 at every step of a commit: afterwards each event is in the store once, and the next receipt is right.

A child process stores batches and kills itself at a named step; the parent opens the store again and sends everything
again, as a sensor does that never got its receipt, in the same month and in the next one.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from collector_client.store import StoreError, Writer
from tests.fakes.clock import FakeClock
from tests.fakes.events import KINDS, NS, EventSource, enroll, event

ROOT = Path(__file__).parents[3]
NOVEMBER = 1_795_500_000 * NS
DECEMBER = 1_796_500_000 * NS

CHILD = textwrap.dedent(
    """
    import os, signal, sys
    from pathlib import Path
    from collector_client.store import Writer
    from collector_client.store import write
    from tests.collector_client.store.test_store_kill import batches
    from tests.fakes.clock import FakeClock

    directory, step = Path(sys.argv[1]), sys.argv[2]
    die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    writer = Writer.open(directory, FakeClock())
    first, second = batches(int(sys.argv[3]))
    writer.store_batch(first)
    if step == "before the month's commit":
        Writer._mark_applied = die
    elif step == "between the commits":
        Writer._commit_control = die
    writer.store_batch(second)
    die()
    """
)


def batches(received_ns: int) -> tuple[object, object]:
    sensor = EventSource("s-one")
    events = [event(KINDS[number % 8], NOVEMBER + number) for number in range(40)]
    return sensor.batch(events[:20], received_ns), sensor.batch(events[20:], received_ns)


def numbers(directory: Path) -> list[int]:
    found: list[int] = []
    for path in sorted(directory.glob("alerts-*.db")):
        connection = sqlite3.connect(path)
        found += [row[0] for row in connection.execute("SELECT seq FROM alerts")]
        connection.close()
    return sorted(found)


@pytest.mark.parametrize("again_ns", [NOVEMBER, DECEMBER], ids=["same month", "next month"])
@pytest.mark.parametrize(
    ("step", "survives"),
    [("before the month's commit", 20), ("between the commits", 40), ("after both commits", 40)],
)
def test_killed_at_any_step_every_event_is_there_once(tmp_path: Path, step: str, survives: int, again_ns: int) -> None:
    enroll(tmp_path, "s-one")
    command = [sys.executable, "-c", CHILD, str(tmp_path), step, str(NOVEMBER)]
    child = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    assert numbers(tmp_path) == list(range(1, survives + 1))

    writer = Writer.open(tmp_path, FakeClock())
    receipts = [writer.store_batch(batch) for batch in batches(again_ns)]  # type: ignore[arg-type]
    writer.close()

    assert numbers(tmp_path) == list(range(1, 41))
    assert sum(receipt.duplicates for receipt in receipts) == survives
    assert (receipts[-1].stored_to, receipts[-1].gaps, receipts[-1].conflicts) == (40, (), ())


def test_a_failed_second_commit_in_a_living_process_is_caught_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enroll(tmp_path, "s-one")
    writer = Writer.open(tmp_path, FakeClock())
    first, second = batches(NOVEMBER)

    def fail(_: Writer) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "_commit_control", fail)
        with pytest.raises(StoreError, match="disk I/O error"):
            writer.store_batch(first)  # type: ignore[arg-type]
    receipts = [writer.store_batch(batch) for batch in batches(DECEMBER)]  # type: ignore[arg-type]
    writer.close()
    assert [(receipt.stored_to, receipt.duplicates) for receipt in receipts] == [(20, 20), (40, 0)]
    assert numbers(tmp_path) == list(range(1, 41))
    assert second is not None


def test_a_control_file_restored_from_an_older_backup_learns_from_the_months(tmp_path: Path) -> None:
    enroll(tmp_path, "s-one")
    writer = Writer.open(tmp_path, FakeClock())
    first, second = batches(NOVEMBER)
    writer.store_batch(first)  # type: ignore[arg-type]
    backup = sqlite3.connect(tmp_path / "backup.db")
    source = sqlite3.connect(tmp_path / "control.db")
    source.backup(backup)
    writer.store_batch(second)  # type: ignore[arg-type]
    writer.close()
    source.close()
    backup.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    backup.close()
    for suffix in ("-wal", "-shm"):
        (tmp_path / f"control.db{suffix}").unlink(missing_ok=True)
    (tmp_path / "backup.db").replace(tmp_path / "control.db")

    writer = Writer.open(tmp_path, FakeClock())
    assert writer.store_batch(second).duplicates == 20  # type: ignore[arg-type]
    writer.close()
    assert numbers(tmp_path) == list(range(1, 41))


def test_dropping_a_month_forgets_its_alerts_but_not_its_numbers(tmp_path: Path) -> None:
    enroll(tmp_path, "s-one")
    writer = Writer.open(tmp_path, FakeClock())
    first, second = batches(NOVEMBER)
    writer.store_batch(first)  # type: ignore[arg-type]
    writer.drop_month("2026-11")
    assert not list(tmp_path.glob("alerts-2026-11.db*"))
    control = sqlite3.connect(tmp_path / "control.db")
    assert control.execute("SELECT action, subject FROM audit").fetchall()[-1] == ("drop month", "2026-11")
    control.close()
    again = batches(DECEMBER)
    assert writer.store_batch(again[0]).duplicates == 20  # type: ignore[arg-type]
    assert writer.store_batch(again[1]).stored_to == 40  # type: ignore[arg-type]
    writer.close()
    Writer.open(tmp_path, FakeClock()).close()
    assert numbers(tmp_path) == list(range(21, 41))
    assert second is not None


def test_a_month_removed_by_hand_and_begun_anew_is_caught_up_from_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enroll(tmp_path, "s-one")
    first, second = batches(NOVEMBER)
    writer = Writer.open(tmp_path, FakeClock())
    for batch in (first, EventSource("s-one", epoch=6).batch([event(KINDS[0], NOVEMBER)], NOVEMBER)):
        writer.store_batch(batch)  # type: ignore[arg-type]
    writer.close()
    for path in tmp_path.glob("alerts-2026-11.db*"):
        path.unlink()

    def fail(_: Writer) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    writer = Writer.open(tmp_path, FakeClock())
    with monkeypatch.context() as patch:
        patch.setattr(Writer, "_commit_control", fail)
        with pytest.raises(StoreError, match="disk I/O error"):
            writer.store_batch(second)  # type: ignore[arg-type]
    writer.close()
    writer = Writer.open(tmp_path, FakeClock())
    assert writer.store_batch(batches(DECEMBER)[1]).duplicates == 20  # type: ignore[arg-type]
    writer.close()
    assert numbers(tmp_path) == list(range(21, 41))
