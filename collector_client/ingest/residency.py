"""The collector's half of enrollment by TPM: a token and a challenge that only one TPM can answer become record and
certificate.

Rules of this file: a challenge is made for an open token (or one used by this very key: the answer was lost). ONE
transaction ties token, EK, AK, LDevID, sensor record, certificate and audit row. A TPM that is enrolled with one tenant
does not come in with another tenant's token. One that is a sensor already brings a new key only by a token that goes on
with that sensor's record, so that nobody becomes a second sensor, or loses its history, unasked. A key that proves
itself ends the sensor's others, which prove nothing.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from appliance.wire.codes import SessionCode
from appliance.wire.enrollment import EnrollmentToken, sensor_id
from appliance.wire.residency import ResidencyChallenge, ResidencyProof
from collector_client.attest import SOFTWARE, Claim, check_ldevid, parse_public
from collector_client.ingest.challenges import Challenges, check_answer, decided, record_proof, take
from collector_client.ingest.enrollment import Enrollment, Owner, check_open, check_pins, in_date, owner_for
from collector_client.ingest.refuse import RefusedError, refuse
from collector_client.pki.profile import spki_der
from collector_client.store import keys, residency, tokens
from collector_client.store.residency import ChallengeRecord
from collector_client.store.tokens import TokenRecord


@dataclass(frozen=True, slots=True)
class Residency:
    """Enrolls TPM keys into the store and with the authority of `enrollment`."""

    enrollment: Enrollment
    challenges: Challenges

    def challenge(self, token: EnrollmentToken, claim: Claim, now_ns: int) -> ResidencyChallenge:
        """Make a challenge for an examined claim and keep it.

        Raises:
            RefusedError: token, key or TPM may not come in.
            StoreError: the store failed; nothing happened, the box may ask again.
        """
        with self.enrollment.control.transaction() as connection:
            found = _known(connection, token)
            _admit(connection, found, claim.key, claim.ek_sha256, now_ns)
            return self.challenges.make(connection, "enroll", token.token_id, claim, now_ns)

    def enroll(self, token: EnrollmentToken, proof: ResidencyProof, address: str, now_ns: int) -> bytes:
        """The certificate (DER) for the key of an answered challenge.

        Raises:
            RefusedError: the answer does not hold, or token, key or TPM may not come in.
            StoreError: the store failed; nothing happened, the box may answer again.
        """
        with self.enrollment.control.transaction() as connection:
            found = _known(connection, token)
            kept = take(connection, "enroll", token.token_id, proof.challenge_id, now_ns)
            outcome = decided(connection, lambda: self._enroll(connection, found, kept, proof, address, now_ns))
        if isinstance(outcome, RefusedError):
            raise outcome
        return outcome

    def _enroll(
        self,
        connection: sqlite3.Connection,
        token: TokenRecord,
        kept: ChallengeRecord,
        proof: ResidencyProof,
        address: str,
        now_ns: int,
    ) -> bytes:
        verdict = check_answer(kept, proof)
        key = check_ldevid(parse_public("LDevID", kept.ldevid_public))
        name, record, known = _admit(connection, token, key, kept.ek_sha256, now_ns)
        if token.used_by == name and known is not None and known.certificate is not None:
            return known.certificate
        before = [other.sensor_id for other in residency.sensors_of_tpm(connection, kept.ek_sha256)]
        made = self.enrollment.issue(connection, token, record, key, kept.assurance, address, now_ns)
        ended = (
            [] if kept.assurance == SOFTWARE else keys.end_others(connection, name, sensor_id(spki_der(key)), now_ns)
        )
        more = []
        if others := [other for other in before if other != name]:
            more.append(f"the TPM was {', '.join(others[:4])} before")
        if ended:
            more.append(f"ended the unproved {', '.join(ended)}")
        record_proof(connection, kept, proof, verdict, name, made.der, more, now_ns)
        return made.der


def _known(connection: sqlite3.Connection, token: EnrollmentToken) -> TokenRecord:
    found = tokens.check(connection, token.token_id, token.secret)
    if found is None:
        raise refuse(SessionCode.TOKEN_UNKNOWN, f"token {token.token_id}", "an open token of this collector")
    return found


def _admit(
    connection: sqlite3.Connection, token: TokenRecord, key: EllipticCurvePublicKey, ek_sha256: bytes, now_ns: int
) -> Owner:
    """Whether token, key and TPM go together; gives whose the key is."""
    check_pins(token, ek_sha256)
    owner = owner_for(connection, token, key)
    record = owner.record
    lost_answer = token.used_by == owner.name and owner.key is not None and in_date(owner.key, now_ns)
    if not lost_answer:
        check_open(token, now_ns)
    if record is not None and record.site_id != token.site_id:
        came = f"a token for {token.tenant}/{token.site}"
        raise refuse(SessionCode.SENSOR_ELSEWHERE, came, "a token for the site that the key is enrolled at")
    for other in residency.sensors_in_tpm(connection, ek_sha256):
        if other.revoked_ns is not None or other.sensor_id == owner.name:
            continue
        if other.tenant_id != token.tenant_id:
            came = f"a token for {token.tenant} with a TPM of another tenant"
            raise refuse(SessionCode.TPM_ELSEWHERE, came, "a token of the tenant that the TPM is enrolled with")
        if owner.key is None:
            came = f"a new key in the TPM of {other.sensor_id}"
            raise refuse(SessionCode.TPM_KNOWN, came, f"a token that goes on with {other.sensor_id}")
    return owner
