"""Renewal with a fresh key in the TPM: the present key vouches for who asks, the TPM proves where the next key lives.

    the present key                      its TPM, and the next key's         the next key is issued
    proved in a TPM, with assurance A    the same EK and the same AK         with the assurance of the new proof
    proved in a TPM                      another EK or another AK            TPM_DIFFERS
    never proved (a key in a file)       any                                 TPM_DIFFERS

Rules of this file: each link of the chain is proved, so the TPM that a sensor enrolled with is the one it is in today;
another box, or another TPM in this one, needs a token. ONE transaction ties EK, AK, LDevID, the key that vouched,
certificate and audit row. The assurance goes up only with a proof (a maker's root was added), and keys that nothing
proves end with that. What may be challenged and what an answer must hold is `challenges.py`'s, who may vouch is
`vouching.py`'s.
"""

from __future__ import annotations

import hmac
import sqlite3
from dataclasses import dataclass

from appliance.wire.codes import SessionCode
from appliance.wire.enrollment import RecoveryRequest, sensor_id
from appliance.wire.residency import ResidencyChallenge, ResidencyProof
from collector_client.attest import SOFTWARE, Claim, check_ldevid, parse_public
from collector_client.ingest import vouching
from collector_client.ingest.challenges import Challenges, check_answer, decided, record_proof, take
from collector_client.ingest.refuse import RefusedError, refuse
from collector_client.ingest.renewal import Renewal, recovery_words
from collector_client.ingest.vouching import Voucher
from collector_client.pki.profile import spki_der
from collector_client.store import keys, residency
from collector_client.store.keys import KeyRecord
from collector_client.store.residency import ChallengeRecord


@dataclass(frozen=True, slots=True)
class ProvedRenewal:
    """Renews and recovers sensors whose keys live in TPMs."""

    renewal: Renewal
    challenges: Challenges

    def challenge(self, proved: KeyRecord, claim: Claim, now_ns: int) -> ResidencyChallenge:
        """A challenge for a fresh key, asked for over mutual TLS with the key `proved`.

        Raises:
            RefusedError: the key may not renew, or it was not proved in this TPM.
            StoreError: the store failed; nothing happened, the box may ask again.
        """
        with self.renewal.deciding("renew refused", proved.sensor_id) as connection:
            vouching.renewing(connection, proved.sensor_id, proved.key_id, now_ns)
            _check_tpm(connection, proved.key_id, claim.ek_sha256, claim.request.ak_public)
            return self.challenges.make(connection, "renew", proved.key_id, claim, now_ns)

    def renew(self, proved: KeyRecord, proof: ResidencyProof, address: str, now_ns: int) -> bytes:
        """The certificate (DER) for the key of an answered challenge, over mutual TLS with the key `proved`.

        Raises:
            RefusedError: the answer does not hold, or the key may not renew any more.
            StoreError: the store failed; nothing happened, the box may answer again.
        """
        with self.renewal.deciding("renew refused", proved.sensor_id) as connection:
            kept = take(connection, "renew", proved.key_id, proof.challenge_id, now_ns)

            def decide() -> bytes:
                voucher = vouching.renewing(connection, proved.sensor_id, proved.key_id, now_ns)
                detail = f"by key {proved.key_id}, from {address}"
                return self._issue(connection, voucher, kept, proof, "renew", detail, now_ns)

            outcome = decided(connection, decide)
        return _given(outcome, "renew refused", proved.sensor_id)

    def recovery_challenge(self, request: RecoveryRequest, claim: Claim, now_ns: int) -> ResidencyChallenge:
        """A challenge for a fresh key, asked for with the signature of one whose certificate is out of date.

        Raises:
            RefusedError: not signed by the key it names, too late, or the key may not recover or is of another TPM.
            StoreError: the store failed; nothing happened, the box may ask again.
        """
        self.renewal.check_signed(request)
        with self.renewal.deciding("recover refused", request.sensor_id) as connection:
            self.renewal.recovering(connection, request.sensor_id, request.key_id, now_ns)
            _check_tpm(connection, request.key_id, claim.ek_sha256, claim.request.ak_public)
            return self.challenges.make(connection, "recover", request.key_id, claim, now_ns)

    def recover(self, proof: ResidencyProof, address: str, now_ns: int) -> bytes:
        """The certificate (DER) for the key of a challenge that `recovery_challenge` made.

        Nobody is asked who sends the answer: the challenge was given to who signed with the old key, and only the TPM
        of that key can answer it.

        Raises:
            RefusedError: the answer does not hold, or the key may not recover any more.
            StoreError: the store failed; nothing happened, the box may answer again.
        """
        with self.renewal.control.transaction() as connection:
            kept = take(connection, "recover", None, proof.challenge_id, now_ns)
            asker = keys.find(connection, kept.asker)
            name = "" if asker is None else asker.sensor_id

            def decide() -> bytes:
                voucher = self.renewal.recovering(connection, name, kept.asker, now_ns)
                self.renewal.use(connection, voucher.key, now_ns)
                detail = recovery_words(voucher.key, address)
                return self._issue(connection, voucher, kept, proof, "recover", detail, now_ns)

            outcome = decided(connection, decide)
        return _given(outcome, "recover refused", name)

    def _issue(
        self,
        connection: sqlite3.Connection,
        voucher: Voucher,
        kept: ChallengeRecord,
        proof: ResidencyProof,
        action: str,
        detail: str,
        now_ns: int,
    ) -> bytes:
        verdict = check_answer(kept, proof)
        _check_tpm(connection, voucher.key.key_id, kept.ek_sha256, kept.ak_public)
        record, key = voucher.sensor, check_ldevid(parse_public("LDevID", kept.ldevid_public))
        made = self.renewal.issue(connection, record, key, kept.assurance, now_ns, action, detail)
        if not made.anew:
            return made.certificate
        more = [f"by key {voucher.key.key_id}"]
        if record.assurance == SOFTWARE != kept.assurance:
            key_id = sensor_id(spki_der(key))
            ended = keys.end_others(connection, record.sensor_id, key_id, now_ns, but=voucher.key.key_id)
            if ended:
                more.append(f"ended the unproved {', '.join(ended)}")
        record_proof(connection, kept, proof, verdict, record.sensor_id, made.certificate, more, now_ns)
        return made.certificate


def _given(outcome: bytes | RefusedError, action: str, name: str) -> bytes:
    """The outcome, or its refusal with what the audit is to say."""
    if isinstance(outcome, RefusedError):
        outcome.action, outcome.subject = action, name
        raise outcome
    return outcome


def _check_tpm(connection: sqlite3.Connection, key_id: str, ek_sha256: bytes, ak_public: bytes) -> None:
    """See that the TPM is the one that the vouching key was proved to live in."""
    bound = residency.of_key(connection, key_id)
    came = f"the TPM with EK {ek_sha256.hex()[:16]}"
    if bound is None:
        raise refuse(SessionCode.TPM_DIFFERS, came, f"none: nothing proves the key {key_id} to live in a TPM")
    if not hmac.compare_digest(bound.ek_sha256, ek_sha256):
        raise refuse(SessionCode.TPM_DIFFERS, came, f"the one with EK {bound.ek_sha256.hex()[:16]}")
    if not hmac.compare_digest(parse_public("AK", bound.ak_public).name, parse_public("AK", ak_public).name):
        raise refuse(SessionCode.TPM_DIFFERS, "another attestation key", f"the one that the key {key_id} was proved by")
