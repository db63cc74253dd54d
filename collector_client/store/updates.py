"""Updates that are offered to boxes, and how they ended there.

Rules of this file: an offer is never changed, only withdrawn; a sensor gets the newest offer that is for it, whoever it
is for. An outcome is kept once, however often a box tells it, and is in the audit log from then on.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from appliance.wire.heartbeat import UpdateOutcome
from collector_client.store import audit
from collector_client.store.errors import ConflictError
from collector_client.store.sensors import SensorRecord

_ALL = (
    "SELECT update_id, version, architecture, size_bytes, sha256, older, tenant_id, site_id, sensor_id, offered_ns,"
    " offered_by, withdrawn_ns FROM updates ORDER BY update_id DESC"
)
KEPT_OUTCOMES = 1000
"""Of each sensor: one that restarts every few minutes must not fill the disk."""


class UpdateRecord(NamedTuple):
    """One offer; tenant, site and sensor are None where it is not bound to one."""

    update_id: int
    version: str
    architecture: str
    size_bytes: int
    sha256: str
    older: int
    tenant_id: int | None
    site_id: int | None
    sensor_id: str | None
    offered_ns: int
    offered_by: str
    withdrawn_ns: int | None

    def is_for(self, sensor: SensorRecord) -> bool:
        """Whether it is for that sensor."""
        return (
            self.withdrawn_ns is None
            and self.tenant_id in (None, sensor.tenant_id)
            and self.site_id in (None, sensor.site_id)
            and self.sensor_id in (None, sensor.sensor_id)
        )


class OutcomeRow(NamedTuple):
    """One outcome as the operator sees it."""

    sensor_id: str
    number: int
    at_ns: int
    kind: str
    version: str
    reason: str
    update_id: int
    received_ns: int


class Scope(NamedTuple):
    """Whom an offer is for; all None: everybody."""

    tenant_id: int | None = None
    site_id: int | None = None
    sensor_id: str | None = None


def offer(
    connection: sqlite3.Connection,
    *,
    version: str,
    architecture: str,
    size_bytes: int,
    sha256: str,
    scope: Scope,
    older: bool,
    by: str,
    now_ns: int,
) -> int:
    """Offer a bundle whose file is in its place; returns the offer's id."""
    values = (version, architecture, size_bytes, sha256, int(older), *scope, now_ns, by)
    row = connection.execute(
        "INSERT INTO updates (version, architecture, size_bytes, sha256, older, tenant_id, site_id, sensor_id,"
        " offered_ns, offered_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING update_id",
        values,
    ).fetchone()
    return int(row[0])


def withdraw(connection: sqlite3.Connection, update_id: int, now_ns: int) -> UpdateRecord:
    """Offer it no more; what a box has fetched already it may still install.

    Raises:
        ConflictError: there is no such offer, or it is withdrawn already.
    """
    changed = connection.execute(
        "UPDATE updates SET withdrawn_ns = ? WHERE update_id = ? AND withdrawn_ns IS NULL", (now_ns, update_id)
    ).rowcount
    if changed == 0:
        raise ConflictError(
            f"update {update_id} is not offered", advice="list the offers: vedette-collector update list"
        )
    return next(record for record in list_all(connection) if record.update_id == update_id)


def list_all(connection: sqlite3.Connection) -> list[UpdateRecord]:
    """Every offer, the newest first."""
    return [UpdateRecord(*row) for row in connection.execute(_ALL)]


def offered_to(connection: sqlite3.Connection, sensor: SensorRecord) -> UpdateRecord | None:
    """The newest offer for a sensor."""
    return next((record for record in list_all(connection) if record.is_for(sensor)), None)


def in_use(connection: sqlite3.Connection, sha256: str) -> bool:
    """Whether an offer that is open has that file."""
    row = connection.execute("SELECT 1 FROM updates WHERE sha256 = ? AND withdrawn_ns IS NULL LIMIT 1", (sha256,))
    return row.fetchone() is not None


def record_outcomes(
    connection: sqlite3.Connection, sensor_id: str, outcomes: tuple[UpdateOutcome, ...], received_ns: int
) -> int:
    """Keep those that are new, each with an audit row; how many."""
    new = 0
    for outcome in outcomes:
        values = (outcome.number, outcome.at_ns, outcome.kind, outcome.version, outcome.reason, outcome.update_id)
        inserted = connection.execute(
            "INSERT OR IGNORE INTO update_outcomes (sensor_id, number, at_ns, kind, version, reason, update_id,"
            " received_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (sensor_id, *values, received_ns),
        ).rowcount
        if inserted:
            new += 1
            detail = f"version {outcome.version}: {outcome.reason}" if outcome.reason else f"version {outcome.version}"
            audit.record(connection, received_ns, "sensor", outcome.kind, sensor_id, detail)
    if new:
        connection.execute(
            "DELETE FROM update_outcomes WHERE sensor_id = ? AND received_ns < (SELECT received_ns FROM update_outcomes"
            " WHERE sensor_id = ? ORDER BY received_ns DESC LIMIT 1 OFFSET ?)",
            (sensor_id, sensor_id, KEPT_OUTCOMES - 1),
        )
    return new


def list_outcomes(connection: sqlite3.Connection, limit: int) -> list[OutcomeRow]:
    """The last outcomes of all sensors, the newest first."""
    rows = connection.execute(
        "SELECT sensor_id, number, at_ns, kind, version, reason, update_id, received_ns FROM update_outcomes"
        " ORDER BY received_ns DESC, number DESC LIMIT ?",
        (limit,),
    )
    return [OutcomeRow(*row) for row in rows]
