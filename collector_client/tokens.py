"""Making an enrollment token, and taking it back: randomness, names and the audit around the store's row.

Rules of this file: the secret leaves it once, in the value returned; the store gets its hash.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from typing import NamedTuple

from appliance.wire.enrollment import EnrollmentToken
from collector_client.errors import OperatorError
from collector_client.store import Control, audit, elements, residency, sensors, tenants, tokens
from collector_client.store.errors import UnknownSensorError

_ID_BYTES = 8
_SECRET_BYTES = 32
_NAME = re.compile(r"[\w.][\w. -]{0,62}[\w.]|[\w.]")
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_NOBODY = "operator"
_SPAN = re.compile(r"([1-9][0-9]{0,5})([mhd])", re.ASCII)
_SECONDS = {"m": 60, "h": 3600, "d": 86_400}
MAX_LIFE_S = 90 * 86_400


def parse_span(text: str) -> int:
    """`30m`, `24h`, `7d` in seconds.

    Raises:
        OperatorError: another form, or more than 90 days.
    """
    match = _SPAN.fullmatch(text)
    seconds = int(match[1]) * _SECONDS[match[2]] if match else 0
    if not 0 < seconds <= MAX_LIFE_S:
        raise OperatorError(f"{text!r} came, a span like 30m, 24h or 7d was allowed, at most 90d")
    return seconds


def parse_ek(text: str) -> bytes:
    """The SHA-256 of an endorsement key's SubjectPublicKeyInfo, in hex as `pki/tpm-allowed` has it.

    Blanks and colons are forgiven.

    Raises:
        OperatorError: another form.
    """
    return _digest("EK", text, "vedette enroll --show-ek")


def parse_key(text: str) -> bytes:
    """The SHA-256 of the SubjectPublicKeyInfo of a key in a secure element, in hex. Blanks and colons are forgiven.

    Raises:
        OperatorError: another form.
    """
    return _digest("key", text, "vedette supervisor element")


def _digest(what: str, text: str, command: str) -> bytes:
    digits = re.sub(r"[\s:]", "", text[:256]).lower()
    if not _DIGEST.fullmatch(digits):
        raise OperatorError(
            f"{what} {text[:80]!r} came, 64 hexadecimal digits were allowed", advice=f"the box tells it: {command}"
        )
    return bytes.fromhex(digits)


def new_token(
    control: Control,
    tenant: str,
    site: str,
    label: str,
    life_s: int,
    now_ns: int,
    *,
    by: str = "",
    ek_sha256: bytes | None = None,
    for_sensor: str | None = None,
    key_sha256: bytes | None = None,
) -> EnrollmentToken:
    """Make a token for one sensor of a site; tenant and site are made where they are new.

    `by` is the operator; with `ek_sha256` only the TPM with that endorsement key enrolls, with `key_sha256`
    only the box with that key in its secure element; `for_sensor` is of `continuing_token` alone.

    Raises:
        OperatorError: a name that is empty, long, or not made of letters, digits, blanks, dots and dashes.
        StoreError: the store failed.
    """
    for what, name in (("tenant", tenant), ("site", site), ("label", label or "x"), ("operator", by or "x")):
        if not _NAME.fullmatch(name):
            allowed = "up to 64 letters, digits, blanks, dots and dashes"
            raise OperatorError(f"{what} {name[:80]!r} came, {allowed} were allowed")
    token_id = "t-" + base64.b32encode(secrets.token_bytes(_ID_BYTES)).decode("ascii")[:12].lower()
    token = EnrollmentToken(token_id, secrets.token_urlsafe(_SECRET_BYTES))
    with control.transaction() as connection:
        found = tenants.ensure_site(connection, tenant, site, now_ns)
        tokens.add(
            connection,
            token.token_id,
            token.secret,
            found.site_id,
            label=label,
            now_ns=now_ns,
            expires_ns=now_ns + life_s * 10**9,
            made_by=by,
            ek_sha256=ek_sha256,
            for_sensor=for_sensor,
            key_sha256=key_sha256,
        )
        detail = f"{tenant}/{site}, for {life_s} s" + (f", EK {ek_sha256.hex()}" if ek_sha256 else "")
        detail += f", key {key_sha256.hex()} in a secure element" if key_sha256 else ""
        detail += f", to go on with {for_sensor}" if for_sensor else ""
        audit.record(connection, now_ns, by or _NOBODY, "token new", token.token_id, detail)
    return token


class Continued(NamedTuple):
    """A token that goes on with a sensor's record; `ek_sha256` is the one TPM that may, `key_sha256` the one key in a
    secure element; both None: any box.
    """

    token: EnrollmentToken
    tenant: str
    site: str
    ek_sha256: bytes | None
    key_sha256: bytes | None


def continuing_token(
    control: Control,
    sensor_id: str,
    life_s: int,
    now_ns: int,
    *,
    by: str = "",
    ek_sha256: bytes | None = None,
    key_sha256: bytes | None = None,
    other_box: bool = False,
) -> Continued:
    """Make a token whose key goes on with a sensor's record: after a reset, a new disk or a new box.

    Only the TPM that proved the sensor's last key, or the secure element that signs for it, may enroll with it, unless
    `ek_sha256` or `key_sha256` names another one or `other_box` lets in any. A sensor that has neither is not bound.

    Raises:
        UnknownSensorError: no such record.
        StoreError: the store failed.
    """
    with control.reading() as connection:
        record = sensors.find(connection, sensor_id)
        proved = residency.tpm_of(connection, sensor_id)
        element = elements.of_sensor(connection, sensor_id)
    if record is None:
        raise UnknownSensorError(
            f"sensor {sensor_id} has no record here", advice="list them: vedette-collector sensors"
        )
    ek, key = ek_sha256, key_sha256
    if ek is None and key is None and not other_box:
        ek, key = (proved, None) if element is None else (None, hashlib.sha256(element.spki).digest())
    made = new_token(
        control,
        record.tenant,
        record.site,
        record.label,
        life_s,
        now_ns,
        by=by,
        ek_sha256=ek,
        for_sensor=sensor_id,
        key_sha256=key,
    )
    return Continued(made, record.tenant, record.site, ek, key)


def revoke_token(control: Control, token_id: str, reason: str, now_ns: int, *, by: str = "") -> None:
    """Take an open token back.

    Raises:
        ConflictError: there is none of that id, or a sensor has used it.
        StoreError: the store failed.
    """
    with control.transaction() as connection:
        tokens.revoke(connection, token_id, by, now_ns)
        audit.record(connection, now_ns, by or _NOBODY, "token revoke", token_id, reason)
