"""Tables and migrations: two append-only lists, one for control.db and one for a month's alert file.

Rules of this file: a migration that was ever released is never edited, a change is a new entry at the end;
`user_version` counts how many ran. Few indices: each one is written for every alert (the reasons stand beside them).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from collector_client.store.errors import StoreError

CONTROL_MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE tenants (
        tenant_id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created_ns INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE sites (
        site_id INTEGER PRIMARY KEY, tenant_id INTEGER NOT NULL REFERENCES tenants, name TEXT NOT NULL,
        created_ns INTEGER NOT NULL, UNIQUE (tenant_id, name)
    ) STRICT;
    CREATE TABLE tokens (
        token_id TEXT PRIMARY KEY, secret_sha256 BLOB NOT NULL, site_id INTEGER NOT NULL REFERENCES sites,
        label TEXT NOT NULL, created_ns INTEGER NOT NULL, expires_ns INTEGER NOT NULL,
        used_by TEXT, used_ns INTEGER, CHECK ((used_by IS NULL) = (used_ns IS NULL))
    ) STRICT;
    CREATE TABLE sensors (
        sensor_id TEXT PRIMARY KEY, site_id INTEGER NOT NULL REFERENCES sites, label TEXT NOT NULL,
        assurance TEXT NOT NULL, enrolled_ns INTEGER NOT NULL, token_id TEXT REFERENCES tokens,
        certificate BLOB, cert_not_after_ns INTEGER,
        revoked_ns INTEGER, revoked_reason TEXT NOT NULL DEFAULT ''
    ) STRICT;
    CREATE TABLE heartbeats (
        heartbeat_id INTEGER PRIMARY KEY, sensor_id TEXT NOT NULL REFERENCES sensors, received_ns INTEGER NOT NULL,
        body TEXT NOT NULL
    ) STRICT;
    CREATE INDEX heartbeats_of_sensor ON heartbeats (sensor_id, received_ns);
    -- Each row's digest covers the one before it, so a row changed or taken out later shows.
    CREATE TABLE audit (
        audit_id INTEGER PRIMARY KEY AUTOINCREMENT, at_ns INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
        subject TEXT NOT NULL, detail TEXT NOT NULL, digest BLOB NOT NULL
    ) STRICT;
    CREATE TRIGGER audit_keeps_rows BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'audit rows stay'); END;
    CREATE TRIGGER audit_keeps_text BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'audit rows stay'); END;
    -- kind: stored | lost | accounted (the union of both, so that one look-up answers "up to where"). Derived from the
    -- month files, so neither this nor sensor_state may depend on a sensor's record being there after a restore.
    CREATE TABLE sequence_ranges (
        sensor_id TEXT NOT NULL, epoch INTEGER NOT NULL, kind TEXT NOT NULL,
        first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL,
        PRIMARY KEY (sensor_id, epoch, kind, first_seq), CHECK (first_seq <= last_seq)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE sensor_state (
        sensor_id TEXT PRIMARY KEY, epoch INTEGER NOT NULL, last_received_ns INTEGER NOT NULL,
        last_alert_ns INTEGER, alerts INTEGER NOT NULL, conflicts INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE months (
        month TEXT PRIMARY KEY, applied_batch_id INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    """,
    """
    -- A sensor's keys; sensor_id is the id of the first one. See keys.py.
    CREATE TABLE sensor_keys (
        key_id TEXT PRIMARY KEY, sensor_id TEXT NOT NULL REFERENCES sensors, issued_ns INTEGER NOT NULL,
        certificate BLOB, not_after_ns INTEGER, first_used_ns INTEGER, ends_ns INTEGER
    ) STRICT;
    CREATE INDEX keys_of_sensor ON sensor_keys (sensor_id);
    INSERT INTO sensor_keys SELECT sensor_id, sensor_id, enrolled_ns, certificate, cert_not_after_ns, enrolled_ns, NULL
        FROM sensors;
    """,
    """
    -- What a TPM was asked, until it answers or the time is over; `secret_sha256`: only the TPM gets the secret.
    CREATE TABLE challenges (
        challenge_id TEXT PRIMARY KEY, token_id TEXT NOT NULL REFERENCES tokens, secret_sha256 BLOB NOT NULL,
        nonce BLOB NOT NULL, pcrs TEXT NOT NULL, ek_sha256 BLOB NOT NULL, ek_public BLOB NOT NULL, ek_certificate BLOB,
        ak_public BLOB NOT NULL, ldevid_public BLOB NOT NULL, assurance TEXT NOT NULL, voucher TEXT NOT NULL,
        created_ns INTEGER NOT NULL, expires_ns INTEGER NOT NULL, used_ns INTEGER
    ) STRICT;
    CREATE INDEX challenges_of_token ON challenges (token_id, created_ns);
    -- What a TPM proved, once for each token that enrolled with one.
    CREATE TABLE residencies (
        residency_id INTEGER PRIMARY KEY, sensor_id TEXT NOT NULL REFERENCES sensors,
        token_id TEXT NOT NULL UNIQUE REFERENCES tokens, challenge_id TEXT NOT NULL UNIQUE,
        certificate_sha256 BLOB NOT NULL, assurance TEXT NOT NULL, voucher TEXT NOT NULL, ek_sha256 BLOB NOT NULL,
        ek_public BLOB NOT NULL, ek_certificate BLOB, ak_public BLOB NOT NULL, ldevid_public BLOB NOT NULL,
        nonce BLOB NOT NULL, certify_attest BLOB NOT NULL, certify_signature BLOB NOT NULL,
        quote_attest BLOB NOT NULL, quote_signature BLOB NOT NULL, pcr_values TEXT NOT NULL, bound_ns INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX residencies_of_tpm ON residencies (ek_sha256);
    CREATE TRIGGER residencies_keep_rows BEFORE DELETE ON residencies
        BEGIN SELECT RAISE(ABORT, 'residency rows stay'); END;
    CREATE TRIGGER residencies_keep_text BEFORE UPDATE ON residencies
        BEGIN SELECT RAISE(ABORT, 'residency rows stay'); END;
    """,
    """
    -- A sensor of whose key there seem to be two holders: see ingest/clones.py.
    ALTER TABLE sensors ADD COLUMN quarantined_ns INTEGER;
    ALTER TABLE sensors ADD COLUMN quarantine_reason TEXT NOT NULL DEFAULT '';
    """,
    """
    -- Who made a token, the one TPM it is for, and that it was taken back.
    ALTER TABLE tokens ADD COLUMN made_by TEXT NOT NULL DEFAULT '';
    ALTER TABLE tokens ADD COLUMN ek_sha256 BLOB;
    ALTER TABLE tokens ADD COLUMN revoked_ns INTEGER;
    ALTER TABLE tokens ADD COLUMN revoked_by TEXT NOT NULL DEFAULT '';
    """,
    """
    -- The sensor whose record a token's key goes on with, where the operator said so: see ingest/enrollment.py.
    ALTER TABLE tokens ADD COLUMN for_sensor TEXT REFERENCES sensors;
    """,
    """
    -- Proofs for renewals too. purpose and asker: enroll with a token, renew or recover by a key. Open challenges are
    -- forgotten by this: they live two minutes, and a box asks again.
    DROP TABLE challenges;
    CREATE TABLE challenges (
        challenge_id TEXT PRIMARY KEY, purpose TEXT NOT NULL, asker TEXT NOT NULL, secret_sha256 BLOB NOT NULL,
        nonce BLOB NOT NULL, pcrs TEXT NOT NULL, ek_sha256 BLOB NOT NULL, ek_public BLOB NOT NULL, ek_certificate BLOB,
        ak_public BLOB NOT NULL, ldevid_public BLOB NOT NULL, assurance TEXT NOT NULL, voucher TEXT NOT NULL,
        created_ns INTEGER NOT NULL, expires_ns INTEGER NOT NULL, used_ns INTEGER
    ) STRICT;
    CREATE INDEX challenges_of_asker ON challenges (asker, created_ns);
    -- What a TPM proved, once for each key: key_id is the key proved, by a token or by the key before it.
    ALTER TABLE residencies RENAME TO residencies_by_token;
    CREATE TABLE residencies (
        residency_id INTEGER PRIMARY KEY, sensor_id TEXT NOT NULL REFERENCES sensors, key_id TEXT NOT NULL,
        token_id TEXT UNIQUE REFERENCES tokens, by_key TEXT REFERENCES sensor_keys, challenge_id TEXT NOT NULL UNIQUE,
        certificate_sha256 BLOB NOT NULL, assurance TEXT NOT NULL, voucher TEXT NOT NULL, ek_sha256 BLOB NOT NULL,
        ek_public BLOB NOT NULL, ek_certificate BLOB, ak_public BLOB NOT NULL, ldevid_public BLOB NOT NULL,
        nonce BLOB NOT NULL, certify_attest BLOB NOT NULL, certify_signature BLOB NOT NULL,
        quote_attest BLOB NOT NULL, quote_signature BLOB NOT NULL, pcr_values TEXT NOT NULL, bound_ns INTEGER NOT NULL,
        CHECK ((token_id IS NULL) != (by_key IS NULL))
    ) STRICT;
    -- Until now a proved key was never replaced by another, so it is its sensor's first one.
    INSERT INTO residencies SELECT residency_id, sensor_id, sensor_id, token_id, NULL, challenge_id, certificate_sha256,
        assurance, voucher, ek_sha256, ek_public, ek_certificate, ak_public, ldevid_public, nonce, certify_attest,
        certify_signature, quote_attest, quote_signature, pcr_values, bound_ns FROM residencies_by_token;
    DROP TABLE residencies_by_token;
    CREATE INDEX residencies_of_tpm ON residencies (ek_sha256);
    CREATE INDEX residencies_of_key ON residencies (key_id);
    CREATE TRIGGER residencies_keep_rows BEFORE DELETE ON residencies
        BEGIN SELECT RAISE(ABORT, 'residency rows stay'); END;
    CREATE TRIGGER residencies_keep_text BEFORE UPDATE ON residencies
        BEGIN SELECT RAISE(ABORT, 'residency rows stay'); END;
    """,
    """
    -- The one key in a secure element that a token is for, and the keys that tokens were for: see elements.py.
    ALTER TABLE tokens ADD COLUMN key_sha256 BLOB;
    CREATE TABLE elements (
        key_id TEXT PRIMARY KEY, sensor_id TEXT NOT NULL REFERENCES sensors, spki BLOB NOT NULL,
        token_id TEXT NOT NULL REFERENCES tokens, bound_ns INTEGER NOT NULL, ended_ns INTEGER
    ) STRICT;
    CREATE INDEX elements_of_sensor ON elements (sensor_id);
    """,
    """
    -- Updates offered to boxes; the file is updates/SHA256.bundle. Without tenant, site and sensor it is for all.
    CREATE TABLE updates (
        update_id INTEGER PRIMARY KEY AUTOINCREMENT, version TEXT NOT NULL, architecture TEXT NOT NULL,
        size_bytes INTEGER NOT NULL, sha256 TEXT NOT NULL, older INTEGER NOT NULL, tenant_id INTEGER REFERENCES tenants,
        site_id INTEGER REFERENCES sites, sensor_id TEXT REFERENCES sensors, offered_ns INTEGER NOT NULL,
        offered_by TEXT NOT NULL, withdrawn_ns INTEGER
    ) STRICT;
    -- How updates and starts of boxes ended, as they say it; number is the box's own, and begins anew with a new disk.
    CREATE TABLE update_outcomes (
        sensor_id TEXT NOT NULL REFERENCES sensors, number INTEGER NOT NULL, at_ns INTEGER NOT NULL, kind TEXT NOT NULL,
        version TEXT NOT NULL, reason TEXT NOT NULL, update_id INTEGER NOT NULL, received_ns INTEGER NOT NULL,
        PRIMARY KEY (sensor_id, number, at_ns)
    ) STRICT, WITHOUT ROWID;
    """,
)

ALERT_MIGRATIONS: tuple[str, ...] = (
    """
    -- How a sensor described itself (SNML `sensor`), once per distinct description.
    CREATE TABLE descriptions (
        description_id INTEGER PRIMARY KEY, body TEXT NOT NULL UNIQUE
    ) STRICT;
    -- tenant, site and assurance as they were when the batch came.
    CREATE TABLE batches (
        batch_id INTEGER PRIMARY KEY, sensor_id TEXT NOT NULL, epoch INTEGER NOT NULL, first_seq INTEGER NOT NULL,
        last_seq INTEGER NOT NULL, sha256 BLOB NOT NULL, received_ns INTEGER NOT NULL, tenant_id INTEGER NOT NULL,
        site_id INTEGER NOT NULL, assurance TEXT NOT NULL, description_id INTEGER NOT NULL REFERENCES descriptions,
        last_alert_ns INTEGER, alerts INTEGER NOT NULL, conflicts INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE batch_ranges (
        batch_id INTEGER NOT NULL REFERENCES batches, kind TEXT NOT NULL, first_seq INTEGER NOT NULL,
        last_seq INTEGER NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (batch_id, kind, first_seq)
    ) STRICT, WITHOUT ROWID;
    -- Narrow, so that counting does not read packets.
    CREATE TABLE alerts (
        alert_id INTEGER PRIMARY KEY, batch_id INTEGER NOT NULL REFERENCES batches, tenant_id INTEGER NOT NULL,
        sensor_id TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, ts_ns INTEGER NOT NULL,
        gid INTEGER NOT NULL, sid INTEGER NOT NULL, rev INTEGER NOT NULL, msg TEXT NOT NULL, classtype TEXT,
        priority INTEGER, proto INTEGER, src_ip TEXT, src_port INTEGER, dst_ip TEXT, dst_port INTEGER,
        flow_id INTEGER, community_id TEXT, app_proto TEXT, event_uuid TEXT,
        UNIQUE (sensor_id, epoch, seq)
    ) STRICT;
    -- Time ranges (the page's time line and lists), and one signature of one tenant.
    CREATE INDEX alerts_by_time ON alerts (ts_ns);
    CREATE INDEX alerts_by_signature ON alerts (tenant_id, sid, ts_ns);
    CREATE TABLE evidence (
        alert_id INTEGER PRIMARY KEY REFERENCES alerts, xml BLOB NOT NULL, sha256 BLOB NOT NULL
    ) STRICT;
    CREATE TABLE quarantine (
        quarantine_id INTEGER PRIMARY KEY, batch_id INTEGER REFERENCES batches, tenant_id INTEGER NOT NULL,
        sensor_id TEXT NOT NULL, epoch INTEGER, seq INTEGER, received_ns INTEGER NOT NULL, code TEXT NOT NULL,
        came TEXT NOT NULL, allowed TEXT NOT NULL, data BLOB NOT NULL, sha256 BLOB NOT NULL,
        UNIQUE (sensor_id, sha256, code)
    ) STRICT;
    """,
)


def migrate(connection: sqlite3.Connection, migrations: Sequence[str], name: str) -> None:
    """Bring a file up to this program's schema; every migration and its number commit together.

    Raises:
        StoreError: the file was written by a newer program.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(migrations):
        raise StoreError(
            f"{name}: schema version {version} came, at most {len(migrations)} is known here",
            advice="use the newer vedette-collector that wrote this file, or restore a backup made before the upgrade",
        )
    for number in range(version, len(migrations)):
        try:
            connection.executescript(f"BEGIN IMMEDIATE;{migrations[number]}PRAGMA user_version = {number + 1};COMMIT;")
        except sqlite3.OperationalError:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            # Two processes opened the file at once and the other one was first: its work is ours.
            if connection.execute("PRAGMA user_version").fetchone()[0] <= number:
                raise
