"""Enrollment tokens: single use, expiring, bound to a site.

Rules of this file: only the SHA-256 of a secret is kept (it has 128 random bits or more: a plain hash is enough).
The secret is compared before the state is told, so that only its holder learns whether a token is used or expired.
"""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
from typing import NamedTuple

from collector_client.store.errors import ConflictError

_SELECT = (
    "SELECT token_id, site_id, tenant_id, tenants.name, sites.name, label, tokens.created_ns, expires_ns, used_by,"
    " used_ns, secret_sha256 FROM tokens JOIN sites USING (site_id) JOIN tenants USING (tenant_id)"
)


class TokenRecord(NamedTuple):
    """One token; `used_by` is the id of the sensor that enrolled with it."""

    token_id: str
    site_id: int
    tenant_id: int
    tenant: str
    site: str
    label: str
    created_ns: int
    expires_ns: int
    used_by: str | None
    used_ns: int | None
    secret_sha256: bytes

    def state(self, now_ns: int) -> str:
        """`used`, `expired` or `open`."""
        if self.used_ns is not None:
            return "used"
        return "expired" if now_ns >= self.expires_ns else "open"


def add(
    connection: sqlite3.Connection,
    token_id: str,
    secret: str,
    site_id: int,
    *,
    label: str,
    now_ns: int,
    expires_ns: int,
) -> None:
    """Keep a new token.

    Raises:
        ConflictError: the id is taken.
    """
    try:
        connection.execute(
            "INSERT INTO tokens (token_id, secret_sha256, site_id, label, created_ns, expires_ns)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (token_id, hashlib.sha256(secret.encode()).digest(), site_id, label, now_ns, expires_ns),
        )
    except sqlite3.IntegrityError as error:
        raise ConflictError(f"token {token_id} exists already", advice="make it again") from error


def check(connection: sqlite3.Connection, token_id: str, secret: str) -> TokenRecord | None:
    """The token, if there is one of that id and the secret is its own; whatever its state."""
    row = connection.execute(f"{_SELECT} WHERE token_id = ?", (token_id,)).fetchone()
    came = hashlib.sha256(secret.encode(errors="surrogatepass")).digest()
    if not hmac.compare_digest(came, row[-1] if row else bytes(32)):
        return None
    return TokenRecord(*row) if row else None


def use(connection: sqlite3.Connection, token_id: str, sensor_id: str, now_ns: int) -> None:
    """Mark a token used; call it in the transaction that enrolls the sensor.

    Raises:
        ConflictError: it is unknown, used or expired.
    """
    changed = connection.execute(
        "UPDATE tokens SET used_by = ?, used_ns = ? WHERE token_id = ? AND used_ns IS NULL AND expires_ns > ?",
        (sensor_id, now_ns, token_id, now_ns),
    ).rowcount
    if changed == 0:
        raise ConflictError(
            f"token {token_id} is unknown, used or expired; an open one is needed",
            advice="make one: vedette-collector token new",
        )


def list_all(connection: sqlite3.Connection) -> list[TokenRecord]:
    """Every token, newest first."""
    return [TokenRecord(*row) for row in connection.execute(f"{_SELECT} ORDER BY tokens.created_ns DESC, token_id")]
