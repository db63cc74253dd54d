"""The collector's half of enrollment by TPM: a challenge that only one TPM can answer, then record and certificate.

    challenge                     when
    is made                       token open (or used by this very key: the answer was lost), TPM fit and allowed
    CHALLENGE_UNKNOWN             no such id, or forgotten because the token asked for many others since
    CHALLENGE_USED                it was answered before, well or badly
    CHALLENGE_EXPIRED             it was not answered within `CHALLENGE_LIFE_NS`
    enrolled                      the answer holds (`attest.proof`)

Rules of this file: a challenge belongs to one token and one claim, and any answer by that token uses it up, also a
wrong one. ONE transaction ties token, EK, AK, LDevID, sensor record, certificate and audit row. A TPM that is enrolled
with one tenant does not come in with another tenant's token. A key that proves itself ends the sensor's others, which
prove nothing. Time and randomness are handed in.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from appliance.wire.codes import SessionCode
from appliance.wire.enrollment import EnrollmentToken, sensor_id
from appliance.wire.fields import format_clock
from appliance.wire.residency import ResidencyChallenge, ResidencyProof, ResidencyRequest
from collector_client.attest import (
    SOFTWARE,
    TPM_UNLISTED,
    AttestError,
    Claim,
    Evidence,
    Verdict,
    check_ldevid,
    examine,
    make_credential,
    parse_public,
    prove,
)
from collector_client.ingest.enrollment import Enrollment, Owner, check_ek, check_open, in_date, owner_of
from collector_client.ingest.refuse import RefusedError, refuse
from collector_client.pki import CsrError, TpmTrust, read_csr_der
from collector_client.pki.profile import datetime_of, spki_der
from collector_client.store import audit, keys, residency, tokens
from collector_client.store.residency import ChallengeRecord, Statements
from collector_client.store.tokens import TokenRecord

CHALLENGE_LIFE_NS = 120 * 10**9
"""A discrete TPM answers in a few seconds; a box on a bad link gets two minutes."""
PCRS = (0, 1, 2, 3, 4, 5, 6, 7)
"""Firmware, its configuration and Secure Boot (TCG PC Client Platform Firmware Profile section 3.3.4)."""
_SECRET_BYTES = 32
_NONCE_BYTES = 32
_ID_BYTES = 18
_ACTOR = "ingest"


@dataclass(frozen=True, slots=True)
class Residency:
    """Enrolls TPM keys into the store and with the authority of `enrollment`; `random` gives that many bytes."""

    enrollment: Enrollment
    trust: TpmTrust
    allow_unlisted: bool
    random: Callable[[int], bytes]

    def examine(self, request: ResidencyRequest, now_ns: int) -> Claim:
        """Check a request without the store; takes a millisecond or two, so not on the event loop.

        Raises:
            RefusedError: it cannot be challenged.
            CollectorError: the operator's files of trusted TPMs cannot be read.
        """
        try:
            key = read_csr_der(request.csr)
            claim = examine(request, key, self.trust.current(), datetime_of(now_ns))
        except CsrError as error:
            raise refuse(SessionCode.REQUEST_INVALID, error.came, error.allowed) from error
        except AttestError as error:
            raise refuse(error.code, error.came, error.allowed) from error
        came = claim.endorsement.voucher
        if claim.endorsement.assurance == TPM_UNLISTED and not self.allow_unlisted:
            raise refuse(SessionCode.EK_UNLISTED, came, "a TPM that its maker's root or the list vouches for")
        if claim.endorsement.assurance == SOFTWARE and self.enrollment.production:
            raise refuse(SessionCode.KEY_IN_SOFTWARE, f"a software TPM ({came})", "a hardware key")
        return claim

    def challenge(self, token: EnrollmentToken, claim: Claim, now_ns: int) -> ResidencyChallenge:
        """Make a challenge for an examined claim and keep it.

        Raises:
            RefusedError: token, key or TPM may not come in.
            StoreError: the store failed; nothing happened, the box may ask again.
        """
        secret, nonce = self.random(_SECRET_BYTES), self.random(_NONCE_BYTES)
        challenge_id = base64.urlsafe_b64encode(self.random(_ID_BYTES)).decode("ascii")
        credential = make_credential(claim.ek, claim.ak.name, secret, self.random)
        request = claim.request
        with self.enrollment.control.transaction() as connection:
            found = _known(connection, token)
            _admit(connection, found, claim.key, claim.ek_sha256, now_ns)
            residency.add_challenge(
                connection,
                ChallengeRecord(
                    challenge_id=challenge_id,
                    token_id=token.token_id,
                    secret_sha256=hashlib.sha256(secret).digest(),
                    nonce=nonce,
                    pcrs=",".join(map(str, PCRS)),
                    ek_sha256=claim.ek_sha256,
                    ek_public=request.ek_public,
                    ek_certificate=request.ek_certificate,
                    ak_public=request.ak_public,
                    ldevid_public=request.ldevid_public,
                    assurance=claim.endorsement.assurance,
                    voucher=claim.endorsement.voucher,
                    created_ns=now_ns,
                    expires_ns=now_ns + CHALLENGE_LIFE_NS,
                ),
            )
        return ResidencyChallenge(challenge_id, credential.blob, credential.encrypted_secret, nonce, PCRS)

    def enroll(self, token: EnrollmentToken, proof: ResidencyProof, address: str, now_ns: int) -> bytes:
        """The certificate (DER) for the key of an answered challenge.

        Raises:
            RefusedError: the answer does not hold, or token, key or TPM may not come in.
            StoreError: the store failed; nothing happened, the box may answer again.
        """
        with self.enrollment.control.transaction() as connection:
            outcome = self._decide(connection, token, proof, address, now_ns)
        # Raised outside, so that a wrong answer uses its challenge up.
        if isinstance(outcome, RefusedError):
            raise outcome
        return outcome

    def _decide(
        self, connection: sqlite3.Connection, token: EnrollmentToken, proof: ResidencyProof, address: str, now_ns: int
    ) -> bytes | RefusedError:
        found = _known(connection, token)
        kept = _take(connection, token, proof.challenge_id, now_ns)
        connection.execute("SAVEPOINT deciding")
        try:
            verdict = _prove(kept, proof)
            return self._enroll(connection, found, kept, proof, verdict, address, now_ns)
        except RefusedError as error:
            connection.execute("ROLLBACK TO deciding")
            return error

    def _enroll(
        self,
        connection: sqlite3.Connection,
        token: TokenRecord,
        kept: ChallengeRecord,
        proof: ResidencyProof,
        verdict: Verdict,
        address: str,
        now_ns: int,
    ) -> bytes:
        key = check_ldevid(parse_public("LDevID", kept.ldevid_public))
        name, record, known = _admit(connection, token, key, kept.ek_sha256, now_ns)
        if token.used_by == name and known is not None and known.certificate is not None:
            return known.certificate
        before = [other.sensor_id for other in residency.sensors_of_tpm(connection, kept.ek_sha256)]
        made = self.enrollment.issue(connection, token, record, key, kept.assurance, address, now_ns)
        values = json.dumps({str(number): value.hex() for number, value in sorted(proof.pcr_values.items())})
        statements = Statements(
            proof.certify_attest, proof.certify_signature, proof.quote_attest, proof.quote_signature, values
        )
        residency.bind(connection, kept, statements, name, hashlib.sha256(made.der).digest(), now_ns)
        ended = (
            [] if kept.assurance == SOFTWARE else keys.end_others(connection, name, sensor_id(spki_der(key)), now_ns)
        )
        words = [
            f"{kept.assurance}: {kept.voucher}",
            f"EK {kept.ek_sha256.hex()[:16]}",
            f"PCRs {verdict.pcr_sha256.hex()[:16]}",
            f"firmware {verdict.firmware:016x}",
            f"{verdict.clock.resets} resets",
        ]
        if others := [other for other in before if other != name]:
            words.append(f"the TPM was {', '.join(others[:4])} before")
        if ended:
            words.append(f"ended the unproved {', '.join(ended)}")
        audit.record(connection, now_ns, _ACTOR, "prove residency", name, "; ".join(words))
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
    check_ek(token, ek_sha256)
    owner = owner_of(connection, key)
    record = owner.record
    lost_answer = token.used_by == owner.name and owner.key is not None and in_date(owner.key, now_ns)
    if not lost_answer:
        check_open(token, now_ns)
    if record is not None and record.site_id != token.site_id:
        came = f"a token for {token.tenant}/{token.site}"
        raise refuse(SessionCode.SENSOR_ELSEWHERE, came, "a token for the site that the key is enrolled at")
    for other in residency.sensors_of_tpm(connection, ek_sha256):
        if other.revoked_ns is None and other.tenant_id != token.tenant_id:
            came = f"a token for {token.tenant} with a TPM of another tenant"
            raise refuse(SessionCode.TPM_ELSEWHERE, came, "a token of the tenant that the TPM is enrolled with")
    return owner


def _take(connection: sqlite3.Connection, token: EnrollmentToken, challenge_id: str, now_ns: int) -> ChallengeRecord:
    """The challenge, used up by this; one of another token stays as it is."""
    kept = residency.take_challenge(connection, challenge_id, now_ns)
    # An exception undoes the taking: another token's holder must not be able to use a challenge up.
    if kept is None or kept.token_id != token.token_id:
        raise refuse(SessionCode.CHALLENGE_UNKNOWN, f"challenge {challenge_id[:8]}…", "one made for this token")
    if kept.used_ns is not None:
        raise refuse(SessionCode.CHALLENGE_USED, f"a challenge answered at {format_clock(kept.used_ns)}", "a new one")
    if not kept.created_ns <= now_ns < kept.expires_ns:
        came = f"an answer at {format_clock(now_ns)}"
        raise refuse(SessionCode.CHALLENGE_EXPIRED, came, f"one until {format_clock(kept.expires_ns)}")
    return kept


def _prove(kept: ChallengeRecord, proof: ResidencyProof) -> Verdict:
    evidence = Evidence(
        secret_sha256=kept.secret_sha256,
        nonce=kept.nonce,
        pcrs=tuple(map(int, kept.pcrs.split(","))),
        ak_public=kept.ak_public,
        ldevid_public=kept.ldevid_public,
    )
    try:
        return prove(evidence, proof)
    except AttestError as error:
        raise refuse(error.code, error.came, error.allowed) from error
