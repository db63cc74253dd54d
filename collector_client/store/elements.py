"""The keys in secure elements that sensors are named by; each signs for its sensor's short-lived keys.

Rules of this file: a row is never deleted. Such a key has no certificate and is none of `sensor_keys`, so that it can
neither speak nor renew as those do. A sensor has one that counts at most; which one is the operator's word.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple


class ElementRecord(NamedTuple):
    """One key: its id, the sensor it signs for, SubjectPublicKeyInfo in DER, the token that pinned it; `ended_ns` is
    set once the sensor goes on with another key.
    """

    key_id: str
    sensor_id: str
    spki: bytes
    token_id: str
    bound_ns: int
    ended_ns: int | None


def find(connection: sqlite3.Connection, key_id: str) -> ElementRecord | None:
    """The key of that id, or None."""
    row = connection.execute(
        "SELECT key_id, sensor_id, spki, token_id, bound_ns, ended_ns FROM elements WHERE key_id = ?", (key_id,)
    ).fetchone()
    return ElementRecord(*row) if row else None


def of_sensor(connection: sqlite3.Connection, sensor_id: str) -> ElementRecord | None:
    """The key that signs for the sensor now, or None."""
    row = connection.execute(
        "SELECT key_id, sensor_id, spki, token_id, bound_ns, ended_ns FROM elements WHERE sensor_id = ?"
        " AND ended_ns IS NULL ORDER BY bound_ns DESC LIMIT 1",
        (sensor_id,),
    ).fetchone()
    return ElementRecord(*row) if row else None


def bind(connection: sqlite3.Connection, key_id: str, sensor_id: str, spki: bytes, token_id: str, now_ns: int) -> None:
    """A key signs for a sensor from now on; one that is bound already stays as it is."""
    connection.execute(
        "INSERT INTO elements (key_id, sensor_id, spki, token_id, bound_ns) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (key_id) DO NOTHING",
        (key_id, sensor_id, spki, token_id, now_ns),
    )


def end_others(connection: sqlite3.Connection, sensor_id: str, key_id: str, now_ns: int) -> list[str]:
    """End every other key of the sensor; `key_id` empty: all.

    Returns:
        The ids of those that could still sign, in order.
    """
    rows = connection.execute(
        "UPDATE elements SET ended_ns = ? WHERE sensor_id = ? AND key_id != ? AND ended_ns IS NULL RETURNING key_id",
        (now_ns, sensor_id, key_id),
    ).fetchall()
    return sorted(str(key) for (key,) in rows)
