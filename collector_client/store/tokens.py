"""Enrollment tokens: single use, expiring, bound to a site and, where the operator wants it, to one TPM or to
one key in a secure element.

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
    " used_ns, made_by, ek_sha256, revoked_ns, revoked_by, for_sensor, key_sha256, secret_sha256"
    " FROM tokens JOIN sites USING (site_id) JOIN tenants USING (tenant_id)"
)


class TokenRecord(NamedTuple):
    """One token; `used_by` is the id of the sensor that enrolled with it, `made_by` and `revoked_by` are operators.

    `ek_sha256`: the digest of the endorsement key of the one TPM that it is for, as `pki/tpm-allowed` lists them.
    `key_sha256`: of the SubjectPublicKeyInfo of the one key in a secure element that it is for, by the operator's word.
    `for_sensor`: the sensor whose record goes on with the key that enrolls; None: a new sensor.
    """

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
    made_by: str
    ek_sha256: bytes | None
    revoked_ns: int | None
    revoked_by: str
    for_sensor: str | None
    key_sha256: bytes | None
    secret_sha256: bytes

    def state(self, now_ns: int) -> str:
        """`used`, `revoked`, `expired` or `open`."""
        if self.used_ns is not None:
            return "used"
        if self.revoked_ns is not None:
            return "revoked"
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
    made_by: str = "",
    ek_sha256: bytes | None = None,
    for_sensor: str | None = None,
    key_sha256: bytes | None = None,
) -> None:
    """Keep a new token.

    Raises:
        ConflictError: the id is taken.
    """
    try:
        connection.execute(
            "INSERT INTO tokens (token_id, secret_sha256, site_id, label, created_ns, expires_ns, made_by, ek_sha256,"
            " for_sensor, key_sha256) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (token_id, _digest(secret), site_id, label, now_ns, expires_ns, made_by, ek_sha256, for_sensor, key_sha256),
        )
    except sqlite3.IntegrityError as error:
        raise ConflictError(f"token {token_id} exists already", advice="make it again") from error


def check(connection: sqlite3.Connection, token_id: str, secret: str) -> TokenRecord | None:
    """The token, if there is one of that id and the secret is its own; whatever its state."""
    row = connection.execute(f"{_SELECT} WHERE token_id = ?", (token_id,)).fetchone()
    if not hmac.compare_digest(_digest(secret), row[-1] if row else bytes(32)):
        return None
    return TokenRecord(*row) if row else None


def use(connection: sqlite3.Connection, token_id: str, sensor_id: str, now_ns: int) -> None:
    """Mark a token used; call it in the transaction that enrolls the sensor.

    Raises:
        ConflictError: it is unknown, used, revoked or expired.
    """
    changed = connection.execute(
        "UPDATE tokens SET used_by = ?, used_ns = ? WHERE token_id = ?"
        " AND used_ns IS NULL AND revoked_ns IS NULL AND expires_ns > ?",
        (sensor_id, now_ns, token_id, now_ns),
    ).rowcount
    if changed == 0:
        raise ConflictError(
            f"token {token_id} is unknown, used, revoked or expired; an open one is needed",
            advice="make one: vedette-collector token new",
        )


def revoke(connection: sqlite3.Connection, token_id: str, revoked_by: str, now_ns: int) -> None:
    """Take a token back; one that was taken back before stays as it was, and so does an expired one.

    Raises:
        ConflictError: there is none of that id, or a sensor has used it.
    """
    row = connection.execute("SELECT used_by FROM tokens WHERE token_id = ?", (token_id,)).fetchone()
    if row is None:
        raise ConflictError(f"token {token_id}: no such token", advice="list them: vedette-collector token list")
    if row[0] is not None:
        raise ConflictError(
            f"token {token_id} is used: sensor {row[0]} enrolled with it",
            advice=f"revoke the sensor: vedette-collector revoke DIR {row[0]}",
        )
    connection.execute(
        "UPDATE tokens SET revoked_ns = ?, revoked_by = ? WHERE token_id = ? AND revoked_ns IS NULL",
        (now_ns, revoked_by, token_id),
    )


def list_all(connection: sqlite3.Connection) -> list[TokenRecord]:
    """Every token, newest first."""
    return [TokenRecord(*row) for row in connection.execute(f"{_SELECT} ORDER BY tokens.created_ns DESC, token_id")]


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()
