"""Sensors' heartbeats: the newest and a bounded history of each, as the checked JSON text that came."""

from __future__ import annotations

import sqlite3

KEPT_PER_SENSOR = 2_880  # a day at one every 30 seconds


def record(
    connection: sqlite3.Connection, sensor_id: str, received_ns: int, body: str, keep: int = KEPT_PER_SENSOR
) -> None:
    """Keep one heartbeat and drop the sensor's oldest ones beyond `keep`."""
    connection.execute(
        "INSERT INTO heartbeats (sensor_id, received_ns, body) VALUES (?, ?, ?)", (sensor_id, received_ns, body)
    )
    connection.execute(
        "DELETE FROM heartbeats WHERE sensor_id = ? AND heartbeat_id <= ("
        " SELECT heartbeat_id FROM heartbeats WHERE sensor_id = ? ORDER BY heartbeat_id DESC LIMIT 1 OFFSET ?)",
        (sensor_id, sensor_id, keep),
    )


def latest(connection: sqlite3.Connection, sensor_id: str) -> tuple[int, str] | None:
    """When the newest one came and its text, or None."""
    row = connection.execute(
        "SELECT received_ns, body FROM heartbeats WHERE sensor_id = ?"
        " ORDER BY received_ns DESC, heartbeat_id DESC LIMIT 1",
        (sensor_id,),
    ).fetchone()
    return (row[0], row[1]) if row else None
