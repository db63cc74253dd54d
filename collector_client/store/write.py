"""The one writer: batches go in, each event once, and the answer exists only when it is on disk.

Why an event can be neither lost nor doubled, whatever dies when:

1. A batch's rows (alerts, evidence, quarantine, and in `batch_ranges` the numbers they account for) are ONE transaction
   in ONE file, that month's. SQLite makes it atomic and, with synchronous=FULL, durable.
2. control.db says for each sensor and epoch which numbers are known, across all months. That is an index over the
   `batch_ranges` of the month files, and `months.applied_batch_id` says how far it got in each. SQLite does not promise
   that two WAL files commit together when the power goes, so nothing relies on it: month first, control second.
3. If the process dies between the two, the month holds batches above `applied_batch_id`. `open` (and the next batch,
   should a commit fail in a process that lives on) applies them before anything is accepted. So when a batch is checked
   against control, control is complete: a resend of it, in whatever month, finds its numbers known and adds nothing.
4. One writer at a time (a kernel lock), so nobody writes between the check and the commit. UNIQUE(sensor_id, epoch,
   seq) in each month is the second bar.
5. `Stored` is returned after both commits. A sensor that never hears it sends again: see 3.

A whole month may be deleted (retention): control still knows its numbers, so a late resend does not come back as new.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from collector_client.store import audit, insert, ranges
from collector_client.store.clock import Clock
from collector_client.store.connect import (
    lock_for_writing,
    month_of,
    month_path,
    months_present,
    open_control,
    open_month,
    translated,
)
from collector_client.store.errors import TooScatteredError, UnknownSensorError
from collector_client.store.model import BatchToStore, Loss, Rejected, Stored, StoredEvent


class Writer:
    """Stores batches. Thread-safe; opened once per process and store."""

    def __init__(self, directory: Path, clock: Clock, lock: int, control: sqlite3.Connection) -> None:
        self._directory = directory
        self._clock = clock
        self._lock_descriptor = lock
        self._control = control
        self._month: tuple[str, sqlite3.Connection] | None = None
        self._behind = True
        self._mutex = threading.Lock()
        self._max_rows = ranges.MAX_ROWS

    @classmethod
    def open(cls, directory: Path, clock: Clock) -> Writer:
        """Take the writer's place in an existing store and finish what a killed writer left between its two commits.

        Raises:
            StoreBusyError: another process writes here.
            StoreError: there is no store here, or it is damaged or newer than this program.
        """
        lock = lock_for_writing(directory)
        try:
            control = open_control(directory)
        except BaseException:
            os.close(lock)
            raise
        writer = cls(directory, clock, lock, control)
        try:
            with translated(str(directory)):
                writer._catch_up()
        except BaseException:
            writer.close()
            raise
        return writer

    def close(self) -> None:
        """Close the files and give the writer's place back."""
        with self._mutex:
            if self._month:
                self._month[1].close()
                self._month = None
            self._control.close()
            os.close(self._lock_descriptor)

    def store_batch(self, batch: BatchToStore) -> Stored:
        """Store one batch; see `store_batches`."""
        return self.store_batches([batch])[0]

    def store_batches(self, batches: Sequence[BatchToStore]) -> list[Stored]:
        """Store batches in order, those of one month in one transaction; returns when all of them are on disk.

        Storing a batch again adds nothing and gives the receipt again.

        Raises:
            UnknownSensorError: a sensor has no record; nothing of that month's group is stored.
            StoreError: the disk or a file failed; nothing is known to be stored, so the sensor must send again.
        """
        out: list[Stored] = []
        with self._mutex, translated(str(self._directory)):
            for month, group in groupby(batches, key=lambda batch: month_of(batch.received_ns)):
                self._catch_up()
                out += self._store_group(month, list(group))
        return out

    def quarantine(self, sensor_id: str, received_ns: int, refused: Rejected) -> None:
        """Keep bytes that belong to no batch (a document refused as a whole). The same bytes are kept once a month.

        Raises:
            UnknownSensorError: the sensor has no record.
            StoreError: the disk or the file failed.
        """
        with self._mutex, translated(str(self._directory)):
            record = self._record_of(sensor_id)
            insert.quarantine_row(
                self._open_month(month_of(received_ns)), None, record, sensor_id, None, received_ns, refused
            )

    def drop_month(self, month: str) -> None:
        """Delete one month's alerts for good. Their numbers stay known, so a late resend does not bring them back.

        Raises:
            StoreError: a file cannot be removed.
        """
        with self._mutex, translated(str(month_path(self._directory, month))):
            self._catch_up()
            if self._is_open(month) and self._month:
                self._month[1].close()
                self._month = None
            path = month_path(self._directory, month)
            for name in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
                name.unlink(missing_ok=True)
            self._control.execute("BEGIN IMMEDIATE")
            try:
                self._control.execute("DELETE FROM months WHERE month = ?", (month,))
                audit.record(self._control, self._clock.wall_ns(), "store", "drop month", month)
                self._control.execute("COMMIT")
            except BaseException:
                self._control.execute("ROLLBACK")
                raise

    def _store_group(self, month: str, batches: Sequence[BatchToStore]) -> list[Stored]:
        alerts = self._open_month(month)
        control = self._control
        control.execute("BEGIN IMMEDIATE")
        try:
            alerts.execute("BEGIN IMMEDIATE")
            out = [self._store(alerts, batch) for batch in batches]
            self._mark_applied(month, alerts)
            self._behind = True
            alerts.execute("COMMIT")
            self._commit_control()
        except BaseException:
            for connection in (alerts, control):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            raise
        self._behind = False
        return out

    def _commit_control(self) -> None:
        self._control.execute("COMMIT")

    def _store(self, alerts: sqlite3.Connection, batch: BatchToStore) -> Stored:
        record = self._record_of(batch.sensor_id)
        key = (batch.sensor_id, batch.epoch)
        fresh, rejected, known = self._sort_out(batch)
        conflicts = self._conflicts(batch, known)
        stored = ranges.compress(
            [event.seq for event in fresh] + [item.seq for item in rejected if item.seq is not None]
        )
        quarantined = insert.not_yet_quarantined(alerts, batch.sensor_id, [*rejected, *conflicts])
        lost = self._new_losses(batch)
        if stored or quarantined or lost:
            batch_id = insert.batch_row(alerts, batch, record, fresh, quarantined)
            for event in fresh:
                insert.event_rows(alerts, batch_id, record, batch, event)
            for item in quarantined:
                insert.quarantine_row(alerts, batch_id, record, batch.sensor_id, batch.epoch, batch.received_ns, item)
            alerts.executemany(
                "INSERT INTO batch_ranges VALUES (?, ?, ?, ?, ?)",
                [(batch_id, ranges.STORED, first, last, "") for first, last in stored]
                + [(batch_id, ranges.LOST, loss.first_seq, loss.last_seq, loss.reason) for loss in lost],
            )
            self._apply(alerts, batch_id)
            self._check_scatter(batch.sensor_id)
        reached = ranges.accounted_to(self._control, *key, batch.first_seq)
        return Stored(
            accepted_to=reached,
            stored_to=reached,
            gaps=tuple(ranges.gaps(self._control, *key)),
            duplicates=len(known),
            conflicts=tuple(sorted(item.seq for item in conflicts if item.seq is not None)),
        )

    def _check_scatter(self, sensor_id: str) -> None:
        """After a batch was applied: undo it all where it made the sensor's numbers too scattered to keep.

        Not done by `_catch_up`: what a month has committed is applied whatever it is.
        """
        if ranges.rows_of(self._control, sensor_id, self._max_rows + 1) > self._max_rows:
            raise TooScatteredError(
                f"{sensor_id}: more than {self._max_rows} intervals of numbers",
                advice="find why the sensor begins new epochs or leaves numbers out, then give it a new key",
            )

    def _new_losses(self, batch: BatchToStore) -> list[Loss]:
        """The declared losses without the numbers that were declared before, here or earlier."""
        out: list[Loss] = []
        for loss in batch.losses:
            span = (loss.first_seq, loss.last_seq)
            taken = ranges.near(self._control, batch.sensor_id, batch.epoch, ranges.LOST, span)
            taken += [(other.first_seq, other.last_seq) for other in out]
            out += [Loss(first, last, loss.reason) for first, last in ranges.subtract(span, sorted(taken))]
        return out

    def _sort_out(self, batch: BatchToStore) -> tuple[list[StoredEvent], list[Rejected], list[StoredEvent]]:
        """Split a batch into new events, new refusals, and events already stored (or twice in this batch)."""
        numbers = [event.seq for event in batch.events] + [item.seq for item in batch.rejected if item.seq is not None]
        seen: set[int] = set()
        if numbers:
            span = (min(numbers), max(numbers))
            intervals = ranges.near(self._control, batch.sensor_id, batch.epoch, ranges.STORED, span)
            seen = {number for number in numbers if any(low <= number <= high for low, high in intervals)}
        fresh: list[StoredEvent] = []
        known: list[StoredEvent] = []
        for event in batch.events:
            (known if event.seq in seen else fresh).append(event)
            seen.add(event.seq)
        rejected = []
        for item in batch.rejected:
            if item.seq is None or item.seq not in seen:
                rejected.append(item)
            if item.seq is not None:
                seen.add(item.seq)
        return fresh, rejected, known

    def _conflicts(self, batch: BatchToStore, known: Sequence[StoredEvent]) -> list[Rejected]:
        """Those of `known` whose stored bytes are others. A number whose month is gone cannot be compared."""
        left = {event.seq: event.xml for event in known}
        out: list[Rejected] = []
        for month in reversed(months_present(self._directory)) if left else ():
            if not left:
                break
            alerts = (
                self._open_month(month) if self._is_open(month) else open_month(self._directory, month, read_only=True)
            )
            rows = alerts.execute(
                "SELECT seq, sha256 FROM alerts JOIN evidence USING (alert_id)"
                " WHERE sensor_id = ? AND epoch = ? AND seq BETWEEN ? AND ?",
                (batch.sensor_id, batch.epoch, min(left), max(left)),
            ).fetchall()
            if not self._is_open(month):
                alerts.close()
            for seq, digest in rows:
                data = left.pop(seq, None)
                if data is not None and hashlib.sha256(data).digest() != digest:
                    allowed = f"the event stored as {seq} (SHA-256 {digest.hex()})"
                    out.append(Rejected(seq, insert.CONFLICT_CODE, f"other bytes for number {seq}", allowed, data))
        return out

    def _is_open(self, month: str) -> bool:
        return self._month is not None and self._month[0] == month

    def _record_of(self, sensor_id: str) -> insert.SensorRecord:
        row = self._control.execute(
            "SELECT tenant_id, site_id, assurance FROM sensors JOIN sites USING (site_id) WHERE sensor_id = ?",
            (sensor_id,),
        ).fetchone()
        if row is None:
            raise UnknownSensorError(
                f"sensor {sensor_id} has no record here", advice="enroll it: vedette-collector token new"
            )
        return insert.SensorRecord(*row)

    def _open_month(self, month: str) -> sqlite3.Connection:
        if self._month and self._month[0] != month:
            self._month[1].close()
            self._month = None
        if self._month is None:
            self._month = (month, open_month(self._directory, month))
        return self._month[1]

    def _catch_up(self) -> None:
        """Apply to control the batches that a month committed and control did not."""
        if not self._behind:
            return
        present = months_present(self._directory)
        for (gone,) in self._control.execute("SELECT month FROM months").fetchall():
            if gone not in present:
                self._control.execute("DELETE FROM months WHERE month = ?", (gone,))
        for month in present:
            alerts = self._open_month(month)
            row = self._control.execute("SELECT applied_batch_id FROM months WHERE month = ?", (month,)).fetchone()
            self._control.execute("BEGIN IMMEDIATE")
            try:
                for (batch_id,) in alerts.execute(
                    "SELECT batch_id FROM batches WHERE batch_id > ? ORDER BY batch_id", (row[0] if row else 0,)
                ).fetchall():
                    self._apply(alerts, batch_id)
                self._mark_applied(month, alerts)
                self._control.execute("COMMIT")
            except BaseException:
                self._control.execute("ROLLBACK")
                raise
        self._behind = False

    def _mark_applied(self, month: str, alerts: sqlite3.Connection) -> None:
        (newest,) = alerts.execute("SELECT COALESCE(MAX(batch_id), 0) FROM batches").fetchone()
        self._control.execute("INSERT OR REPLACE INTO months VALUES (?, ?)", (month, newest))

    def _apply(self, alerts: sqlite3.Connection, batch_id: int) -> None:
        """Tell control what one batch accounts for; the same code for a new batch and for one found at `open`."""
        sensor_id, epoch, received_ns, last_alert_ns, count, conflicts = alerts.execute(
            "SELECT sensor_id, epoch, received_ns, last_alert_ns, alerts, conflicts FROM batches WHERE batch_id = ?",
            (batch_id,),
        ).fetchone()
        for kind, first, last in alerts.execute(
            "SELECT kind, first_seq, last_seq FROM batch_ranges WHERE batch_id = ?", (batch_id,)
        ).fetchall():
            ranges.add(self._control, sensor_id, epoch, kind, (first, last))
            ranges.add(self._control, sensor_id, epoch, ranges.ACCOUNTED, (first, last))
        self._control.execute(
            "INSERT INTO sensor_state VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (sensor_id) DO UPDATE SET"
            " epoch = excluded.epoch, last_received_ns = MAX(last_received_ns, excluded.last_received_ns),"
            " last_alert_ns = MAX(COALESCE(last_alert_ns, excluded.last_alert_ns),"
            " COALESCE(excluded.last_alert_ns, last_alert_ns)),"
            " alerts = alerts + excluded.alerts, conflicts = conflicts + excluded.conflicts",
            (sensor_id, epoch, received_ns, last_alert_ns, count, conflicts),
        )
