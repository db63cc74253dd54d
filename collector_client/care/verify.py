"""Is the store whole: every file readable, every stored element the one that came, every number accounted for.

Rules of this file: read-only, one alert at a time, so memory stays small however large the store. Damage is what
should not be (a changed byte, a row without its element, a number that control does not know, a broken audit chain);
gaps are numbers that never came; losses are those a sensor declared. Only damage and gaps make the answer no.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from appliance.wire.snml import Encoding, SnmlError, decode_event
from collector_client.store import audit, ranges, sensors
from collector_client.store.connect import months_present, open_control, open_month, translated
from collector_client.store.errors import UnknownSensorError
from collector_client.store.row import EVENT_COLUMNS, event_columns

_COLUMNS = ", ".join(f"alerts.{name}" for name in EVENT_COLUMNS)
MAX_NAMED = 1000
"""So many damaged things are named; beyond, they are only counted."""


@dataclass(slots=True)
class Report:
    """What was looked at and what was found. `gaps` and `losses`: (sensor, epoch, first, last)."""

    months: int = 0
    alerts: int = 0
    quarantined: int = 0
    damage_count: int = 0
    damage: list[str] = field(default_factory=list)
    gaps: list[tuple[str, int, int, int]] = field(default_factory=list)
    losses: list[tuple[str, int, int, int]] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Nothing damaged, nothing missing."""
        return not self.damage_count and not self.gaps

    def damaged(self, what: str) -> None:
        """Note one damaged thing."""
        self.damage_count += 1
        if len(self.damage) < MAX_NAMED:
            self.damage.append(what)


def verify_store(directory: Path, sensor_id: str | None, progress: Callable[[int], None] = lambda _: None) -> Report:
    """Look at everything, or at everything of one sensor; `progress` is told the alerts looked at so far.

    Raises:
        UnknownSensorError: there is no such sensor.
        StoreError: a file cannot be read at all.
    """
    report = Report()
    with translated(str(directory)), closing(open_control(directory, read_only=True)) as control:
        known = [record.sensor_id for record in sensors.list_all(control)]
        if sensor_id is not None and sensor_id not in known:
            raise UnknownSensorError(
                f"sensor {sensor_id} has no record here", advice="list them: vedette-collector sensors"
            )
        _check_file(control, "control.db", report)
        broken = audit.verify(control)
        if broken is not None:
            report.damaged(f"control.db: audit row {broken} does not follow from the one before it")
        for month in months_present(directory):
            report.months += 1
            with closing(open_month(directory, month, read_only=True)) as alerts:
                name = f"alerts-{month}.db"
                _check_file(alerts, name, report)
                _check_alerts(alerts, control, name, sensor_id, report, progress)
                _check_quarantine(alerts, name, sensor_id, report)
        for one in [sensor_id] if sensor_id is not None else known:
            _account(control, one, report)
    return report


def _check_file(connection: sqlite3.Connection, name: str, report: Report) -> None:
    """SQLite's own look at pages, indices and references."""
    for (line,) in connection.execute("PRAGMA quick_check(20)"):
        if line != "ok":
            report.damaged(f"{name}: {line}")
    for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        report.damaged(f"{name}: row {row} of {table} has no {parent}")


def _check_alerts(
    alerts: sqlite3.Connection,
    control: sqlite3.Connection,
    name: str,
    sensor_id: str | None,
    report: Report,
    progress: Callable[[int], None],
) -> None:
    query = (
        f"SELECT alert_id, sensor_id, epoch, seq, evidence.xml, evidence.sha256, body, {_COLUMNS} FROM alerts"  # noqa: S608 - our own names
        " LEFT JOIN evidence USING (alert_id) JOIN batches USING (batch_id, sensor_id, epoch)"
        " LEFT JOIN descriptions USING (description_id)"
    )
    rows = (
        alerts.execute(query + " ORDER BY sensor_id, epoch, seq")
        if sensor_id is None
        else alerts.execute(query + " WHERE sensor_id = ? ORDER BY epoch, seq", (sensor_id,))
    )
    for alert_id, sensor, epoch, seq, xml, digest, body, *columns in rows:
        report.alerts += 1
        if report.alerts % 10_000 == 0:
            progress(report.alerts)
        where = f"{name}: alert {alert_id} ({sensor}, epoch {epoch}, number {seq})"
        if xml is None:
            report.damaged(f"{where}: its element is gone")
        elif hashlib.sha256(xml).digest() != digest:
            report.damaged(f"{where}: the element is not the one that came (SHA-256 differs)")
        else:
            fault = _contradiction(xml, body, epoch, seq, tuple(columns))
            if fault:
                report.damaged(f"{where}: {fault}")
        if not ranges.near(control, sensor, epoch, ranges.STORED, (seq, seq)):
            report.damaged(f"{where}: control.db does not know this number")


def _contradiction(xml: bytes, body: str | None, epoch: int, seq: int, columns: tuple[object, ...]) -> str:
    """Where a row says other than its element, in words; empty when nowhere."""
    try:
        event = decode_event(xml, Encoding(json.loads(body or "{}").get("encoding")))
    except (SnmlError, ValueError) as error:
        return f"the element does not decode ({error})"
    found = event.sequence
    if found is None or (found.epoch, found.seq) != (epoch, seq):
        return "the element has another number"
    other = [name for name, row, said in zip(EVENT_COLUMNS, columns, event_columns(event), strict=True) if row != said]
    return f"the row says other than the element in {', '.join(other)}" if other else ""


def _check_quarantine(alerts: sqlite3.Connection, name: str, sensor_id: str | None, report: Report) -> None:
    for row_id, sensor, data, digest in alerts.execute(
        "SELECT quarantine_id, sensor_id, data, sha256 FROM quarantine ORDER BY quarantine_id"
    ):
        if sensor_id is None or sensor == sensor_id:
            report.quarantined += 1
            if hashlib.sha256(data).digest() != digest:
                report.damaged(f"{name}: quarantine row {row_id}: the bytes are not those that came")


def _account(control: sqlite3.Connection, sensor_id: str, report: Report) -> None:
    epochs = control.execute(
        "SELECT DISTINCT epoch FROM sequence_ranges WHERE sensor_id = ? ORDER BY epoch", (sensor_id,)
    ).fetchall()
    for (epoch,) in epochs:
        report.gaps += [(sensor_id, epoch, *gap) for gap in ranges.gaps(control, sensor_id, epoch)]
        report.losses += [(sensor_id, epoch, *lost) for lost in _lost(control, sensor_id, epoch)]


def _lost(control: sqlite3.Connection, sensor_id: str, epoch: int) -> Iterator[tuple[int, int]]:
    rows = control.execute(
        "SELECT first_seq, last_seq FROM sequence_ranges WHERE sensor_id = ? AND epoch = ? AND kind = ?"
        " ORDER BY first_seq LIMIT ?",
        (sensor_id, epoch, ranges.LOST, ranges.MAX_GAPS),
    ).fetchall()
    for lost in rows:
        yield from ranges.subtract(lost, ranges.near(control, sensor_id, epoch, ranges.STORED, lost))
