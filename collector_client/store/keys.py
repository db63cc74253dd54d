"""The keys of each sensor, one after another: a sensor keeps its id, the id of its first key, for as long as it lives.

    state        issued to it   may speak        may renew   becomes
    unused       yes            yes, by which it becomes current and ends the one before after the grace
    current      yes            yes              yes         superseded, when a later key is first used
    superseded   yes            until its end    no          refused for good
    (a key issued later than one that was never used ends that one at once: at most one key waits for its first use;
    a key that proves to live in hardware ends all others of its sensor at once)

Rules of this file: a key belongs to one sensor for ever, and its row is never deleted, so no certificate that was ever
issued is judged without knowing what came after it. What states mean is decided here; who may speak is the ingest's.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Literal, NamedTuple, TypeAlias

KeyState: TypeAlias = Literal["unused", "current", "superseded", "ended"]

_SELECT = "SELECT key_id, sensor_id, issued_ns, certificate, not_after_ns, first_used_ns, ends_ns FROM sensor_keys"


_ASKED_AT_ONCE = 500  # SQLite takes 999 values in a statement, or more


class KeyRecord(NamedTuple):
    """One key; `certificate` is the DER of the newest one issued to it, `ends_ns` is set once it is superseded."""

    key_id: str
    sensor_id: str
    issued_ns: int
    certificate: bytes | None
    not_after_ns: int | None
    first_used_ns: int | None
    ends_ns: int | None

    def state(self, now_ns: int) -> KeyState:
        """The table's row."""
        if self.ends_ns is not None:
            return "ended" if now_ns >= self.ends_ns else "superseded"
        return "unused" if self.first_used_ns is None else "current"


def find(connection: sqlite3.Connection, key_id: str) -> KeyRecord | None:
    """The key of that id (`wire.enrollment.sensor_id` of its SubjectPublicKeyInfo), or None."""
    row = connection.execute(f"{_SELECT} WHERE key_id = ?", (key_id,)).fetchone()
    return KeyRecord(*row) if row else None


def silenced(connection: sqlite3.Connection, key_ids: Iterable[str], now_ns: int) -> set[str]:
    """Those of the keys that may not speak any more: ended, or of a revoked sensor, or unknown."""
    asked = list(key_ids)
    found: set[str] = set()
    for start in range(0, len(asked), _ASKED_AT_ONCE):
        part = asked[start : start + _ASKED_AT_ONCE]
        rows = connection.execute(
            "SELECT key_id FROM sensor_keys JOIN sensors USING (sensor_id) WHERE revoked_ns IS NULL"  # noqa: S608 - marks
            f" AND (ends_ns IS NULL OR ends_ns > ?) AND key_id IN ({', '.join('?' * len(part))})",
            (now_ns, *part),
        )
        found.update(str(key_id) for (key_id,) in rows)
    return set(asked) - found


def issue(
    connection: sqlite3.Connection, key_id: str, sensor_id: str, certificate: bytes, not_after_ns: int, now_ns: int
) -> None:
    """Keep a certificate just issued: to a new key of the sensor, or anew to a key that it has.

    A key that still waited for its first use ends: what was issued to it is worth nothing from now on.
    """
    connection.execute(
        "UPDATE sensor_keys SET ends_ns = ? WHERE sensor_id = ? AND key_id != ? AND first_used_ns IS NULL"
        " AND ends_ns IS NULL",
        (now_ns, sensor_id, key_id),
    )
    connection.execute(
        "INSERT INTO sensor_keys (key_id, sensor_id, issued_ns, certificate, not_after_ns) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (key_id) DO UPDATE SET certificate = excluded.certificate, not_after_ns = excluded.not_after_ns",
        (key_id, sensor_id, now_ns, certificate, not_after_ns),
    )


def certificates_in_use(connection: sqlite3.Connection, now_ns: int) -> list[tuple[str, bytes]]:
    """Sensor id and certificate (DER), in date at `now_ns`, of every key that its sensor, which is not revoked, may
    need: the current one and one that was not used yet. A superseded one is not needed, even while it still may speak.
    """
    rows = connection.execute(
        "SELECT sensor_keys.sensor_id, sensor_keys.certificate FROM sensor_keys JOIN sensors USING (sensor_id)"
        " WHERE revoked_ns IS NULL AND sensor_keys.certificate IS NOT NULL AND not_after_ns > ?"
        " AND ends_ns IS NULL ORDER BY sensor_keys.sensor_id",
        (now_ns,),
    )
    return [(str(name), bytes(der)) for name, der in rows]


def end_others(connection: sqlite3.Connection, sensor_id: str, key_id: str, now_ns: int, *, but: str = "") -> list[str]:
    """End at once every other key of the sensor, also one in its grace; not the one named by `but`.

    Returns:
        The ids of those that could still speak, in order.
    """
    rows = connection.execute(
        "UPDATE sensor_keys SET ends_ns = ? WHERE sensor_id = ? AND key_id NOT IN (?, ?)"
        " AND (ends_ns IS NULL OR ends_ns > ?) RETURNING key_id",
        (now_ns, sensor_id, key_id, but, now_ns),
    ).fetchall()
    return sorted(str(key) for (key,) in rows)


def use(connection: sqlite3.Connection, key_id: str, now_ns: int, grace_ns: int) -> str | None:
    """A key speaks for the first time: it is current, and the one before it ends `grace_ns` from now.

    Returns:
        The id of the key that it supersedes; None when there was none, or the key had been used before.
    """
    changed = connection.execute(
        "UPDATE sensor_keys SET first_used_ns = ? WHERE key_id = ? AND first_used_ns IS NULL AND ends_ns IS NULL",
        (now_ns, key_id),
    ).rowcount
    if changed == 0:
        return None
    (before,) = connection.execute(
        "SELECT MAX(key_id) FROM sensor_keys WHERE ends_ns IS NULL AND key_id != ?"
        " AND sensor_id = (SELECT sensor_id FROM sensor_keys WHERE key_id = ?)",
        (key_id, key_id),
    ).fetchone()
    if before is not None:
        connection.execute("UPDATE sensor_keys SET ends_ns = ? WHERE key_id = ?", (now_ns + grace_ns, before))
    return None if before is None else str(before)
