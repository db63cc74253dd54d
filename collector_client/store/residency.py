"""Challenges to TPMs, and what was proved: which TPM, attestation key and token belong to which certificate.

Rules of this file: of a challenge's secret only the SHA-256 is kept. A challenge is taken once, by the token it was
made for; a few are kept for each token, so that the table is bounded by the tokens there are. A residency row is
written in the transaction that enrolls the sensor and never changed; it ties EK, AK, LDevID, token and certificate.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

KEPT_PER_TOKEN = 8
"""Challenges of one token; the oldest is forgotten."""

_CHALLENGE = (
    "challenge_id, token_id, secret_sha256, nonce, pcrs, ek_sha256, ek_public, ek_certificate, ak_public,"
    " ldevid_public, assurance, voucher, created_ns, expires_ns, used_ns"
)


class ChallengeRecord(NamedTuple):
    """One challenge and the claim it was made for. `pcrs`: numbers with commas; the keys are TPM2B_PUBLIC."""

    challenge_id: str
    token_id: str
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


class OtherSensor(NamedTuple):
    """A sensor that the same TPM enrolled as."""

    sensor_id: str
    tenant_id: int
    revoked_ns: int | None


def add_challenge(connection: sqlite3.Connection, record: ChallengeRecord) -> None:
    """Keep a challenge; of one token only the newest `KEPT_PER_TOKEN` stay."""
    marks = ", ".join("?" * len(record))
    connection.execute(f"INSERT INTO challenges ({_CHALLENGE}) VALUES ({marks})", record)  # noqa: S608 - our columns
    connection.execute(
        "DELETE FROM challenges WHERE token_id = ? AND challenge_id NOT IN"
        " (SELECT challenge_id FROM challenges WHERE token_id = ? ORDER BY created_ns DESC, rowid DESC LIMIT ?)",
        (record.token_id, record.token_id, KEPT_PER_TOKEN),
    )


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
    certificate_sha256: bytes,
    now_ns: int,
) -> None:
    """Write down what was proved, and let the sensor's record say so. Call it in the transaction that enrolls."""
    connection.execute(
        "INSERT INTO residencies (sensor_id, token_id, challenge_id, certificate_sha256, assurance, voucher, ek_sha256,"
        " ek_public, ek_certificate, ak_public, ldevid_public, nonce, certify_attest, certify_signature, quote_attest,"
        " quote_signature, pcr_values, bound_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            sensor_id, challenge.token_id, challenge.challenge_id, certificate_sha256, challenge.assurance,
            challenge.voucher, challenge.ek_sha256, challenge.ek_public, challenge.ek_certificate, challenge.ak_public,
            challenge.ldevid_public, challenge.nonce, *statements, now_ns,
        ),
    )  # fmt: skip
    connection.execute("UPDATE sensors SET assurance = ? WHERE sensor_id = ?", (challenge.assurance, sensor_id))


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
