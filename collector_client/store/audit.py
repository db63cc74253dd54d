"""The audit log: who did what to which sensor or token, and when.

Rules of this file: rows are only added. Each row's digest covers its text and the digest before it; `verify` finds the
first row that was changed or after which one was taken out. (A cut-off end is seen only by who kept a later digest.)
"""

from __future__ import annotations

import hashlib
import json
import sqlite3

_START = bytes(32)


def record(connection: sqlite3.Connection, at_ns: int, actor: str, action: str, subject: str, detail: str = "") -> None:
    """Add one row; `actor` is a person or a part of the collector, `action` a verb, `subject` an id."""
    row = connection.execute("SELECT digest FROM audit ORDER BY audit_id DESC LIMIT 1").fetchone()
    digest = _digest(row[0] if row else _START, at_ns, actor, action, subject, detail)
    connection.execute(
        "INSERT INTO audit (at_ns, actor, action, subject, detail, digest) VALUES (?, ?, ?, ?, ?, ?)",
        (at_ns, actor, action, subject, detail, digest),
    )


def verify(connection: sqlite3.Connection) -> int | None:
    """The id of the first row that does not follow from the one before it, or None: the log is whole."""
    before = _START
    for audit_id, *fields, digest in connection.execute(
        "SELECT audit_id, at_ns, actor, action, subject, detail, digest FROM audit ORDER BY audit_id"
    ):
        before = _digest(before, *fields)
        if before != digest:
            return int(audit_id)
    return None


def _digest(before: bytes, at_ns: int, actor: str, action: str, subject: str, detail: str) -> bytes:
    text = json.dumps([at_ns, actor, action, subject, detail], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(before + text.encode()).digest()
