"""Sensors' records: which site one belongs to, what its key is worth, its certificate, and whether it is revoked.

Rules of this file: a record is never deleted (its alerts refer to it), only revoked. `assurance` is what the collector
proved about the key when it enrolled (`software`, later `tpm`), never what a sensor says.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from collector_client.store.errors import ConflictError, UnknownSensorError

_COLUMNS = (
    "sensor_id, site_id, tenant_id, tenants.name, sites.name, label, assurance, enrolled_ns, token_id, certificate,"
    " cert_not_after_ns, revoked_ns, revoked_reason, quarantined_ns, quarantine_reason"
)
_FROM = "FROM sensors JOIN sites USING (site_id) JOIN tenants USING (tenant_id)"


class SensorRecord(NamedTuple):
    """One sensor as it was enrolled; `certificate` is the DER of the newest one issued to it."""

    sensor_id: str
    site_id: int
    tenant_id: int
    tenant: str
    site: str
    label: str
    assurance: str
    enrolled_ns: int
    token_id: str | None
    certificate: bytes | None
    cert_not_after_ns: int | None
    revoked_ns: int | None
    revoked_reason: str
    quarantined_ns: int | None
    quarantine_reason: str


def add(
    connection: sqlite3.Connection,
    sensor_id: str,
    site_id: int,
    *,
    label: str,
    assurance: str,
    now_ns: int,
    token_id: str | None = None,
    certificate: bytes | None = None,
    cert_not_after_ns: int | None = None,
) -> None:
    """Enroll a new sensor.

    Raises:
        ConflictError: its id is taken.
    """
    try:
        connection.execute(
            "INSERT INTO sensors (sensor_id, site_id, label, assurance, enrolled_ns, token_id, certificate,"
            " cert_not_after_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (sensor_id, site_id, label, assurance, now_ns, token_id, certificate, cert_not_after_ns),
        )
    except sqlite3.IntegrityError as error:
        if find(connection, sensor_id) is None:
            raise
        raise ConflictError(
            f"sensor {sensor_id} is enrolled already", advice="revoke it first, or make a new key on the sensor"
        ) from error


def find(connection: sqlite3.Connection, sensor_id: str) -> SensorRecord | None:
    """The record of that id, or None."""
    row = connection.execute(f"SELECT {_COLUMNS} {_FROM} WHERE sensor_id = ?", (sensor_id,)).fetchone()
    return SensorRecord(*row) if row else None


def list_all(connection: sqlite3.Connection) -> list[SensorRecord]:
    """Every sensor, by tenant, site and label."""
    order = "ORDER BY tenants.name, sites.name, label, sensor_id"
    return [SensorRecord(*row) for row in connection.execute(f"SELECT {_COLUMNS} {_FROM} {order}")]


def set_certificate(connection: sqlite3.Connection, sensor_id: str, certificate: bytes, not_after_ns: int) -> None:
    """Keep the certificate just issued.

    Raises:
        UnknownSensorError: no such record.
    """
    _change(
        connection, sensor_id, "UPDATE sensors SET certificate = ?, cert_not_after_ns = ? WHERE sensor_id = ?",
        (certificate, not_after_ns, sensor_id),
    )  # fmt: skip


def revoke(connection: sqlite3.Connection, sensor_id: str, reason: str, now_ns: int) -> None:
    """Refuse the sensor from now on; revoking again keeps the first time and reason.

    Raises:
        UnknownSensorError: no such record.
    """
    _change(
        connection, sensor_id,
        "UPDATE sensors SET revoked_reason = CASE WHEN revoked_ns IS NULL THEN ? ELSE revoked_reason END,"
        " revoked_ns = COALESCE(revoked_ns, ?) WHERE sensor_id = ?",
        (reason, now_ns, sensor_id),
    )  # fmt: skip


def quarantine(connection: sqlite3.Connection, sensor_id: str, reason: str, now_ns: int) -> bool:
    """Take no batches of the sensor until it is released.

    Returns:
        Whether it was not in quarantine before; the first time and reason stay.

    Raises:
        UnknownSensorError: no such record.
    """
    changed = connection.execute(
        "UPDATE sensors SET quarantined_ns = ?, quarantine_reason = ? WHERE sensor_id = ? AND quarantined_ns IS NULL",
        (now_ns, reason, sensor_id),
    ).rowcount
    if changed == 0 and find(connection, sensor_id) is None:
        raise _unknown(sensor_id)
    return changed > 0


def release(connection: sqlite3.Connection, sensor_id: str) -> None:
    """Take batches again.

    Raises:
        UnknownSensorError: no such record.
        ConflictError: it is not in quarantine.
    """
    record = find(connection, sensor_id)
    if record is None:
        raise _unknown(sensor_id)
    if record.quarantined_ns is None:
        raise ConflictError(f"sensor {sensor_id} is not in quarantine", advice="list them: vedette-collector sensors")
    connection.execute(
        "UPDATE sensors SET quarantined_ns = NULL, quarantine_reason = '' WHERE sensor_id = ?", (sensor_id,)
    )


def readmit(connection: sqlite3.Connection, sensor_id: str, assurance: str) -> list[str]:
    """A key that the operator allowed goes on with the record: what was held against the keys before is over.

    Returns:
        What was lifted, in words.

    Raises:
        UnknownSensorError: no such record.
    """
    record = find(connection, sensor_id)
    if record is None:
        raise _unknown(sensor_id)
    connection.execute(
        "UPDATE sensors SET assurance = ?, revoked_ns = NULL, revoked_reason = '', quarantined_ns = NULL,"
        " quarantine_reason = '' WHERE sensor_id = ?",
        (assurance, sensor_id),
    )
    lifted = []
    if record.revoked_ns is not None:
        lifted.append(f"the revocation ({record.revoked_reason or 'no reason'})")
    if record.quarantined_ns is not None:
        lifted.append(f"the quarantine ({record.quarantine_reason})")
    return lifted


def _change(connection: sqlite3.Connection, sensor_id: str, statement: str, values: tuple[object, ...]) -> None:
    if connection.execute(statement, values).rowcount == 0:
        raise _unknown(sensor_id)


def _unknown(sensor_id: str) -> UnknownSensorError:
    return UnknownSensorError(
        f"sensor {sensor_id} has no record here", advice="list them: vedette-collector sensors"
    )  # fmt: skip
