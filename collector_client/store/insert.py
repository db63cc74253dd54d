"""The rows of one batch in a month's file: plain inserts, no decisions.

Rules of this file: called inside the writer's transaction; what is new and what is known was decided before.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from collector_client.store.model import BatchToStore, Rejected, StoredEvent
from collector_client.store.row import EVENT_COLUMNS, describe_sensor, event_columns

# Under this code the store itself quarantines bytes that claim the number of a different stored event.
CONFLICT_CODE = "store: sequence conflict"

_ALERT_COLUMNS = ("batch_id", "tenant_id", "sensor_id", "epoch", "seq", *EVENT_COLUMNS)
# The names are this file's own constants; every value is bound.
_INSERT_ALERT = f"INSERT INTO alerts ({', '.join(_ALERT_COLUMNS)}) VALUES ({', '.join('?' * len(_ALERT_COLUMNS))})"  # noqa: S608


class SensorRecord(NamedTuple):
    """What of a sensor's record is written beside its batches, as it was when they came."""

    tenant_id: int
    site_id: int
    assurance: str


def not_yet_quarantined(alerts: sqlite3.Connection, sensor_id: str, items: Sequence[Rejected]) -> list[Rejected]:
    """What a resend brings again is already there, byte for byte."""
    return [
        item
        for item in items
        if alerts.execute(
            "SELECT 1 FROM quarantine WHERE sensor_id = ? AND sha256 = ? AND code = ?",
            (sensor_id, hashlib.sha256(item.data).digest(), item.code),
        ).fetchone()
        is None
    ]


def batch_row(
    alerts: sqlite3.Connection,
    batch: BatchToStore,
    record: SensorRecord,
    fresh: Sequence[StoredEvent],
    quarantined: Sequence[Rejected],
) -> int:
    """Insert a batch and, where it is new, its sensor's description; returns the batch's id."""
    body = describe_sensor(batch.sensor)
    alerts.execute("INSERT OR IGNORE INTO descriptions (body) VALUES (?)", (body,))
    (description_id,) = alerts.execute("SELECT description_id FROM descriptions WHERE body = ?", (body,)).fetchone()
    (batch_id,) = alerts.execute(
        "INSERT INTO batches (sensor_id, epoch, first_seq, last_seq, sha256, received_ns, tenant_id, site_id,"
        " assurance, description_id, last_alert_ns, alerts, conflicts)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING batch_id",
        (
            batch.sensor_id, batch.epoch, batch.first_seq, batch.last_seq, batch.sha256, batch.received_ns,
            record.tenant_id, record.site_id, record.assurance, description_id,
            max((event.event.timestamp_ns for event in fresh), default=None), len(fresh),
            sum(item.code == CONFLICT_CODE for item in quarantined),
        ),
    ).fetchone()  # fmt: skip
    return int(batch_id)


def event_rows(
    alerts: sqlite3.Connection, batch_id: int, record: SensorRecord, batch: BatchToStore, event: StoredEvent
) -> None:
    """Insert one alert and its evidence."""
    cursor = alerts.execute(
        _INSERT_ALERT,
        (batch_id, record.tenant_id, batch.sensor_id, batch.epoch, event.seq, *event_columns(event.event)),
    )
    alerts.execute(
        "INSERT INTO evidence VALUES (?, ?, ?)", (cursor.lastrowid, event.xml, hashlib.sha256(event.xml).digest())
    )


def quarantine_row(
    alerts: sqlite3.Connection,
    batch_id: int | None,
    record: SensorRecord,
    sensor_id: str,
    epoch: int | None,
    received_ns: int,
    item: Rejected,
) -> None:
    """Insert refused bytes; the same bytes under the same code stay one row."""
    alerts.execute(
        "INSERT OR IGNORE INTO quarantine (batch_id, tenant_id, sensor_id, epoch, seq, received_ns, code, came,"
        " allowed, data, sha256) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            batch_id, record.tenant_id, sensor_id, epoch, item.seq, received_ns, item.code, item.came, item.allowed,
            item.data, hashlib.sha256(item.data).digest(),
        ),
    )  # fmt: skip
