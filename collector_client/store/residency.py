"""Challenges to TPMs, and what was proved: which TPM and attestation key belong to which key and certificate.

Rules of this file: of a challenge's secret only the SHA-256 is kept. A challenge is taken once, by the asker it was
made for; a few are kept for each, so that the table is bounded by the tokens and keys there are. A residency row is
written in the transaction that issues the certificate and never changed; it ties EK, AK, LDevID, certificate, and the
token or the key that vouched for the LDevID.
"""

from __future__ import annotations

import sqlite3
from typing import Literal, NamedTuple, TypeAlias

KEPT_PER_ASKER = 8
"""Challenges of one token or key; the oldest is forgotten."""

FORGOTTEN_NS = 86_400 * 10**9
"""A challenge whose time was over this long ago is forgotten when another is made."""

Purpose: TypeAlias = Literal["enroll", "renew", "recover"]

_CHALLENGE = (
    "challenge_id, purpose, asker, secret_sha256, nonce, pcrs, ek_sha256, ek_public, ek_certificate, ak_public,"
    " ldevid_public, assurance, voucher, created_ns, expires_ns, used_ns"
)


class ChallengeRecord(NamedTuple):
    """One challenge and the claim it was made for. `pcrs`: numbers with commas; the keys are TPM2B_PUBLIC.

    `asker`: the id of the token (`enroll`) or of the key (`renew`, `recover`) that it was given to.
    """

    challenge_id: str
    purpose: Purpose
    asker: str
    secret_sha256: bytes
    nonce: bytes
    pcrs: str
    ek_sha256: bytes
    ek_public: bytes
    ek_certificate: bytes | None
    ak_public: bytes
    ldevid_public: bytes
    assurance: str
    voucher: str
    created_ns: int
    expires_ns: int
    used_ns: int | None = None


class Statements(NamedTuple):
    """What the TPM signed, as it came."""

    certify_attest: bytes
    certify_signature: bytes
    quote_attest: bytes
    quote_signature: bytes
    pcr_values: str


class Bound(NamedTuple):
    """The TPM that a key was proved to live in."""

    ek_sha256: bytes
    ak_public: bytes


class OtherSensor(NamedTuple):
    """A sensor that the same TPM enrolled as."""

    sensor_id: str
    tenant_id: int
    revoked_ns: int | None


def add_challenge(connection: sqlite3.Connection, record: ChallengeRecord) -> None:
    """Keep a challenge; of one asker only the newest `KEPT_PER_ASKER` stay."""
    marks = ", ".join("?" * len(record))
    connection.execute(f"INSERT INTO challenges ({_CHALLENGE}) VALUES ({marks})", record)  # noqa: S608 - our columns
    connection.execute(
        "DELETE FROM challenges WHERE asker = ? AND challenge_id NOT IN"
        " (SELECT challenge_id FROM challenges WHERE asker = ? ORDER BY created_ns DESC, rowid DESC LIMIT ?)",
        (record.asker, record.asker, KEPT_PER_ASKER),
    )
    connection.execute("DELETE FROM challenges WHERE expires_ns < ?", (record.created_ns - FORGOTTEN_NS,))


def take_challenge(connection: sqlite3.Connection, challenge_id: str, now_ns: int) -> ChallengeRecord | None:
    """The challenge of that id as it was before, marked used from now on; None when there is none."""
    row = connection.execute(f"SELECT {_CHALLENGE} FROM challenges WHERE challenge_id = ?", (challenge_id,)).fetchone()  # noqa: S608 - our columns
    connection.execute(
        "UPDATE challenges SET used_ns = COALESCE(used_ns, ?) WHERE challenge_id = ?", (now_ns, challenge_id)
    )
    return ChallengeRecord(*row) if row else None


def bind(
    connection: sqlite3.Connection,
    challenge: ChallengeRecord,
    statements: Statements,
    sensor_id: str,
    key_id: str,
    certificate_sha256: bytes,
    now_ns: int,
) -> None:
    """Write down what was proved, and let the sensor's record say so. Call it in the transaction that issues."""
    token_id, by_key = (challenge.asker, None) if challenge.purpose == "enroll" else (None, challenge.asker)
    connection.execute(
        "INSERT INTO residencies (sensor_id, key_id, token_id, by_key, challenge_id, certificate_sha256, assurance,"
        " voucher, ek_sha256, ek_public, ek_certificate, ak_public, ldevid_public, nonce, certify_attest,"
        " certify_signature, quote_attest, quote_signature, pcr_values, bound_ns)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            sensor_id, key_id, token_id, by_key, challenge.challenge_id, certificate_sha256, challenge.assurance,
            challenge.voucher, challenge.ek_sha256, challenge.ek_public, challenge.ek_certificate, challenge.ak_public,
            challenge.ldevid_public, challenge.nonce, *statements, now_ns,
        ),
    )  # fmt: skip
    connection.execute("UPDATE sensors SET assurance = ? WHERE sensor_id = ?", (challenge.assurance, sensor_id))


def of_key(connection: sqlite3.Connection, key_id: str) -> Bound | None:
    """The TPM that a key was last proved to live in, or None when it never was."""
    row = connection.execute(
        "SELECT ek_sha256, ak_public FROM residencies WHERE key_id = ? ORDER BY residency_id DESC LIMIT 1", (key_id,)
    ).fetchone()
    return Bound(*row) if row else None


def sensors_of_tpm(connection: sqlite3.Connection, ek_sha256: bytes) -> list[OtherSensor]:
    """The sensors that a TPM has enrolled as, newest first."""
    rows = connection.execute(
        "SELECT sensor_id, tenant_id, revoked_ns FROM residencies JOIN sensors USING (sensor_id)"
        " JOIN sites USING (site_id) WHERE ek_sha256 = ? GROUP BY sensor_id ORDER BY MAX(residency_id) DESC",
        (ek_sha256,),
    )
    return [OtherSensor(*row) for row in rows]


def sensors_in_tpm(connection: sqlite3.Connection, ek_sha256: bytes) -> list[OtherSensor]:
    """The sensors whose last proof was by this TPM: what `sensors_of_tpm` gives, without those that moved away.

    A sensor whose record says less than its last proof has since enrolled with a key that proved nothing.
    """
    rows = connection.execute(
        "SELECT sensor_id, tenant_id, revoked_ns FROM residencies JOIN sensors USING (sensor_id)"
        " JOIN sites USING (site_id) WHERE ek_sha256 = ? AND residencies.assurance = sensors.assurance"
        " AND residency_id = (SELECT MAX(newest.residency_id) FROM residencies AS newest"
        " WHERE newest.sensor_id = residencies.sensor_id) ORDER BY residency_id DESC",
        (ek_sha256,),
    )
    return [OtherSensor(*row) for row in rows]


def tpm_of(connection: sqlite3.Connection, sensor_id: str) -> bytes | None:
    """The SHA-256 of the EK of the TPM that the sensor is in; None when its present key proved none."""
    row = connection.execute(
        "SELECT ek_sha256 FROM residencies JOIN sensors USING (sensor_id) WHERE sensor_id = ?"
        " AND residencies.assurance = sensors.assurance ORDER BY residency_id DESC LIMIT 1",
        (sensor_id,),
    ).fetchone()
    return None if row is None else bytes(row[0])
