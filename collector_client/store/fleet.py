"""The questions about sensors: who is there, how they are, and what is missing.

Rules of this file: read-only. A sensor's state is computed when asked, from the last time it was heard (a heartbeat or
a batch): nothing has to run for a silent sensor to show as lost.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from collector_client.store import ranges
from collector_client.store.connect import translated
from collector_client.store.heartbeats import latest
from collector_client.store.reader import Reader
from collector_client.store.sensors import SensorRecord, list_all

State: TypeAlias = Literal["never seen", "on time", "late", "lost", "quarantined", "revoked"]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How long a sensor may be silent before it is late, and before it is lost."""

    late_after_s: int = 180
    lost_after_s: int = 900


@dataclass(frozen=True, slots=True)
class SensorRow:
    """One sensor as the operator sees it. `health` is its newest heartbeat as sent, {} before the first.

    `gaps` are numbers that never came and that nobody explained; `losses` are those the sensor declared lost.
    """

    sensor_id: str
    label: str
    tenant: str
    site: str
    assurance: str
    state: State
    cert_not_after_ns: int | None
    last_alert_ts_ns: int | None
    last_heartbeat_ts_ns: int | None
    health: dict[str, Any] = field(default_factory=dict)
    epoch: int | None = None
    stored_to: int = 0
    gaps: list[tuple[int, int]] = field(default_factory=list)
    losses: list[tuple[int, int]] = field(default_factory=list)
    last_seen_ts_ns: int | None = None
    alerts: int = 0
    conflicts: int = 0
    revoked_reason: str = ""
    quarantine_reason: str = ""


def tenants(reader: Reader) -> dict[int, str]:
    """Every tenant's name by its number."""
    with translated("reading tenants"):
        return dict(reader.control.execute("SELECT tenant_id, name FROM tenants ORDER BY name"))


def sensors(reader: Reader, thresholds: Thresholds = Thresholds()) -> list[SensorRow]:
    """Every sensor, by tenant, site and label.

    Raises:
        StoreError: control.db cannot be read.
    """
    with translated("reading sensors"):
        return [_row(reader, record, thresholds) for record in list_all(reader.control)]


def refused_events(reader: Reader) -> dict[str, int]:
    """How many refused events and documents of each sensor are in quarantine, over all months that are kept.

    Raises:
        StoreError: a file cannot be read.
    """
    out: dict[str, int] = defaultdict(int)
    with translated("counting refused events"):
        for _, file in reader.months(all_files=True):
            for sensor_id, count in file.execute("SELECT sensor_id, COUNT(*) FROM quarantine GROUP BY sensor_id"):
                out[sensor_id] += count
    return dict(out)


def _row(reader: Reader, record: SensorRecord, thresholds: Thresholds) -> SensorRow:
    control, sensor_id = reader.control, record.sensor_id
    epoch, last_received_ns, last_alert_ns, alerts, conflicts = control.execute(
        "SELECT epoch, last_received_ns, last_alert_ns, alerts, conflicts FROM sensor_state WHERE sensor_id = ?",
        (sensor_id,),
    ).fetchone() or (None, None, None, 0, 0)
    heartbeat_ns, body = latest(control, sensor_id) or (None, "{}")
    seen = [when for when in (last_received_ns, heartbeat_ns) if when is not None]
    last_seen_ns = max(seen) if seen else None
    stored = _kind(reader, sensor_id, epoch, ranges.STORED)
    return SensorRow(
        sensor_id=sensor_id,
        label=record.label,
        tenant=record.tenant,
        site=record.site,
        assurance=record.assurance,
        state=_state(record, last_seen_ns, reader.now_ns, thresholds),
        cert_not_after_ns=record.cert_not_after_ns,
        last_alert_ts_ns=last_alert_ns,
        last_heartbeat_ts_ns=heartbeat_ns,
        health=json.loads(body),
        epoch=epoch,
        stored_to=stored[-1][1] if stored else 0,
        gaps=[] if epoch is None else ranges.gaps(control, sensor_id, epoch),
        losses=[
            rest for lost in _kind(reader, sensor_id, epoch, ranges.LOST) for rest in ranges.subtract(lost, stored)
        ],
        last_seen_ts_ns=last_seen_ns,
        alerts=alerts,
        conflicts=conflicts,
        revoked_reason=record.revoked_reason,
        quarantine_reason=record.quarantine_reason,
    )


def _kind(reader: Reader, sensor_id: str, epoch: int | None, kind: str) -> list[ranges.Interval]:
    """The newest intervals of a kind, ascending, at most `MAX_GAPS` of them."""
    if epoch is None:
        return []
    rows = reader.control.execute(
        "SELECT first_seq, last_seq FROM sequence_ranges WHERE sensor_id = ? AND epoch = ? AND kind = ?"
        " ORDER BY first_seq DESC LIMIT ?",
        (sensor_id, epoch, kind, ranges.MAX_GAPS),
    ).fetchall()
    return rows[::-1]


def _state(record: SensorRecord, last_seen_ns: int | None, now_ns: int, thresholds: Thresholds) -> State:
    if record.revoked_ns is not None:
        return "revoked"
    if record.quarantined_ns is not None:
        return "quarantined"
    if last_seen_ns is None:
        return "never seen"
    silent_s = (now_ns - last_seen_ns) / 1_000_000_000
    if silent_s > thresholds.lost_after_s:
        return "lost"
    return "late" if silent_s > thresholds.late_after_s else "on time"
