"""Challenges to a TPM: made for one asker and one claim, kept, taken once, and the answer held against what was kept.

    challenge                     when
    is made                       the TPM is fit and allowed
    CHALLENGE_UNKNOWN             no such id of this asker, or forgotten because it asked for many others since
    CHALLENGE_USED                it was answered before, well or badly
    CHALLENGE_EXPIRED             it was not answered within `CHALLENGE_LIFE_NS`

Rules of this file: who may ask is the callers' business (`residency.py` by a token, `proved_renewal.py` by a key). An
answer by its asker uses a challenge up, also a wrong one; nobody else's does. Time and randomness are handed in.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from appliance.wire.codes import SessionCode
from appliance.wire.enrollment import sensor_id
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
from collector_client.ingest.refuse import RefusedError, refuse
from collector_client.pki import CsrError, TpmTrust, read_csr_der
from collector_client.pki.profile import datetime_of, spki_der
from collector_client.store import audit, residency
from collector_client.store.residency import ChallengeRecord, Purpose, Statements

CHALLENGE_LIFE_NS = 120 * 10**9
"""A discrete TPM answers in a few seconds; a box on a bad link gets two minutes."""
PCRS = (0, 1, 2, 3, 4, 5, 6, 7)
"""Firmware, its configuration and Secure Boot (TCG PC Client Platform Firmware Profile section 3.3.4)."""
_SECRET_BYTES = 32
_NONCE_BYTES = 32
_ID_BYTES = 18
_ACTOR = "ingest"


@dataclass(frozen=True, slots=True)
class Challenges:
    """Challenges TPMs that `trust` and the two settings let in; `random` gives that many bytes."""

    trust: TpmTrust
    allow_unlisted: bool
    production: bool
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
        if claim.endorsement.assurance == SOFTWARE and self.production:
            raise refuse(SessionCode.KEY_IN_SOFTWARE, f"a software TPM ({came})", "a hardware key")
        return claim

    def make(
        self, connection: sqlite3.Connection, purpose: Purpose, asker: str, claim: Claim, now_ns: int
    ) -> ResidencyChallenge:
        """A challenge for an examined claim, kept in the caller's transaction."""
        secret, nonce = self.random(_SECRET_BYTES), self.random(_NONCE_BYTES)
        challenge_id = base64.urlsafe_b64encode(self.random(_ID_BYTES)).decode("ascii")
        credential = make_credential(claim.ek, claim.ak.name, secret, self.random)
        request = claim.request
        residency.add_challenge(
            connection,
            ChallengeRecord(
                challenge_id=challenge_id,
                purpose=purpose,
                asker=asker,
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


def take(
    connection: sqlite3.Connection, purpose: Purpose, asker: str | None, challenge_id: str, now_ns: int
) -> ChallengeRecord:
    """The challenge, used up by this; one of another asker stays as it is. `asker` None: whoever it was given to.

    Raises:
        RefusedError: unknown, used or expired; the caller's transaction is to be undone.
    """
    kept = residency.take_challenge(connection, challenge_id, now_ns)
    # An exception undoes the taking: another asker must not be able to use a challenge up.
    if kept is None or kept.purpose != purpose or asker not in (None, kept.asker):
        allowed = f"one made for this {'token' if purpose == 'enroll' else 'key'}"
        raise refuse(SessionCode.CHALLENGE_UNKNOWN, f"challenge {challenge_id[:8]}…", allowed)
    if kept.used_ns is not None:
        raise refuse(SessionCode.CHALLENGE_USED, f"a challenge answered at {format_clock(kept.used_ns)}", "a new one")
    if not kept.created_ns <= now_ns < kept.expires_ns:
        came = f"an answer at {format_clock(now_ns)}"
        raise refuse(SessionCode.CHALLENGE_EXPIRED, came, f"one until {format_clock(kept.expires_ns)}")
    return kept


def decided(connection: sqlite3.Connection, decide: Callable[[], bytes]) -> bytes | RefusedError:
    """What `decide` gives; its refusal undoes what it did but not the taking of the challenge before it.

    To be raised outside the transaction, so that a wrong answer uses its challenge up.
    """
    connection.execute("SAVEPOINT deciding")
    try:
        return decide()
    except RefusedError as error:
        connection.execute("ROLLBACK TO deciding")
        return error


def check_answer(kept: ChallengeRecord, proof: ResidencyProof) -> Verdict:
    """Hold an answer against what was kept with its challenge.

    Raises:
        RefusedError: it does not hold.
    """
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


def record_proof(
    connection: sqlite3.Connection,
    kept: ChallengeRecord,
    proof: ResidencyProof,
    verdict: Verdict,
    name: str,
    certificate: bytes,
    more: list[str],
    now_ns: int,
) -> None:
    """Write down what was proved of the sensor `name`'s key, and the audit row; `more` ends that row's words."""
    values = json.dumps({str(number): value.hex() for number, value in sorted(proof.pcr_values.items())})
    statements = Statements(
        proof.certify_attest, proof.certify_signature, proof.quote_attest, proof.quote_signature, values
    )
    key_id = sensor_id(spki_der(check_ldevid(parse_public("LDevID", kept.ldevid_public))))
    residency.bind(connection, kept, statements, name, key_id, hashlib.sha256(certificate).digest(), now_ns)
    words = [
        f"{kept.assurance}: {kept.voucher}",
        f"EK {kept.ek_sha256.hex()[:16]}",
        f"PCRs {verdict.pcr_sha256.hex()[:16]}",
        f"firmware {verdict.firmware:016x}",
        f"{verdict.clock.resets} resets",
        *more,
    ]
    audit.record(connection, now_ns, _ACTOR, "prove residency", name, "; ".join(words))
