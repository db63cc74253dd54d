"""Which alerts a question is about, and that as an SQL condition with bound values.

Rules of this file: no value ever becomes part of the SQL text. A tenant that does not exist matches nothing.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Every given field must hold. Times are the sensor's event times: `since_ns` <= ts < `until_ns`.

    `priority_max` 2 keeps priorities 1 and 2 (1 is the most urgent). `text` is looked for in the message, and equals a
    sid, an address or a Community ID as a whole.
    """

    tenant: str | None = None
    sensor_id: str | None = None
    sid: int | None = None
    src_ip: str | None = None
    dst_ip: str | None = None
    since_ns: int | None = None
    until_ns: int | None = None
    priority_max: int | None = None
    text: str | None = None
    gid: int | None = None


def condition(control: sqlite3.Connection, chosen: AlertFilter) -> tuple[str, list[object]]:
    """The WHERE condition over `alerts` and its values."""
    parts: list[str] = []
    values: list[object] = []
    if chosen.tenant is not None:
        row = control.execute("SELECT tenant_id FROM tenants WHERE name = ?", (chosen.tenant,)).fetchone()
        parts.append("alerts.tenant_id = ?")
        values.append(row[0] if row else -1)
    for column, operator, value in (
        ("sensor_id", "=", chosen.sensor_id),
        ("gid", "=", chosen.gid),
        ("sid", "=", chosen.sid),
        ("src_ip", "=", chosen.src_ip),
        ("dst_ip", "=", chosen.dst_ip),
        ("ts_ns", ">=", chosen.since_ns),
        ("ts_ns", "<", chosen.until_ns),
        ("priority", "<=", chosen.priority_max),
    ):
        if value is not None:
            parts.append(f"alerts.{column} {operator} ?")
            values.append(value)
    if chosen.text:
        parts.append(
            "(alerts.msg LIKE ? ESCAPE '\\' OR alerts.src_ip = ? OR alerts.dst_ip = ? OR alerts.sid = ?"
            " OR alerts.community_id = ?)"
        )
        pattern = chosen.text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        number = int(chosen.text) if chosen.text.isascii() and chosen.text.isdigit() and len(chosen.text) < 19 else -1
        values += [f"%{pattern}%", chosen.text, chosen.text, number, chosen.text]
    return " AND ".join(parts) or "1", values
