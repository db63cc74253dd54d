"""The closed catalogue of a session's refusals: what the collector says when it is not the document that is wrong.

Rules of this file: number = a code of 2001 (AUTH 3xx, INPUT 4xx, THROTTLE 5xx) x 100 + n, n from 50 up; below 50 are
the document's own codes (`appliance.wire.snml.reject`). Append only: a number that has been on the wire is never used
again. Each code has its HTTP status, one line that says what it means and one that says what to do.
"""

from __future__ import annotations

from enum import Enum

_NEW_TOKEN = "Make a new token: vedette-collector token new; then enroll again."  # noqa: S105 - words, not a secret
_OPERATOR = "Ask the collector's operator."
_AGAIN = "Send it again after Retry-After; nothing is lost."
_TPM_AGAIN = "Ask for a new challenge; if it goes on, look at the TPM of the box."
_REPORT = "Update the sensor's software; if it is current, report this as a fault."


class SessionCode(Enum):
    """One refusal: `number`, `status` (HTTP), `doc` (what it says), `do` (what helps)."""

    TOKEN_USED = (30150, 401, "The enrollment token was used by another key.", _NEW_TOKEN)
    TOKEN_EXPIRED = (30151, 401, "The enrollment token has expired.", _NEW_TOKEN)
    TOKEN_REVOKED = (30156, 401, "The enrollment token was revoked.", _NEW_TOKEN)
    SENSOR_REVOKED = (
        30152,
        403,
        "The sensor is revoked.",
        "Ask the collector's operator; to come back, the sensor needs a new key and a new token.",
    )
    KEY_IN_SOFTWARE = (
        30153,
        403,
        "This collector is in production and takes hardware keys only.",
        "Use a box with a TPM, or set production = false in collector.toml for a trial.",
    )
    SENSOR_ELSEWHERE = (
        30155,
        403,
        "The key is enrolled at another site.",
        "Make a token for that site, or a new key on the sensor.",
    )
    CERTIFICATE_EXPIRED = (
        30154,
        403,
        "The client certificate is out of date.",
        "Renew it: vedette enroll --renew; if that is refused, enroll with a new token.",
    )
    KEY_SUPERSEDED = (
        30170,
        403,
        "The sensor has renewed its key; this older one is no longer taken.",
        "Find out which box uses the newer key: this one is a copy or was set back. Or enroll with a new token.",
    )
    SENSOR_QUARANTINED = (
        30172,
        403,
        "The sensor is in quarantine: two boxes seem to use its key, or one was set back.",
        "Find the second box or the restored disk; then: vedette-collector release SENSOR, or enroll with a new key.",
    )
    RECOVERY_TOO_LATE = (30171, 403, "The certificate has been out of date for too long to be renewed.", _NEW_TOKEN)

    AUTHORITY_RETIRED = (
        30173,
        403,
        "The CA that issued the certificate is retired.",
        "Renew it: vedette enroll --renew.",
    )

    CHALLENGE_USED = (30160, 403, "The challenge was answered before; each is for one answer.", _TPM_AGAIN)
    CHALLENGE_EXPIRED = (30161, 403, "The challenge was not answered in time.", _TPM_AGAIN)

    TOKEN_UNKNOWN = (30250, 401, "No enrollment token has this id and secret.", _NEW_TOKEN)
    TOKEN_MISSING = (30251, 401, "Enrollment without a token.", "Give the sensor its token: [collector] token.")
    CERTIFICATE_MISSING = (30252, 401, "No client certificate came.", "Enroll first: vedette enroll.")
    CERTIFICATE_FOREIGN = (30253, 403, "The certificate is not one that names a sensor and has its key.", _OPERATOR)
    SENSOR_UNKNOWN = (30254, 403, "This collector has no record of the sensor.", _OPERATOR)

    KEY_DIFFERS = (
        30255,
        403,
        "A renewal with a key that nothing proves, of a sensor whose key was proved to live in a TPM.",
        'Keep [identity] key_store = "tpm"; if it is so, update the sensor\'s software.',
    )
    PROOF_INVALID = (30270, 403, "The recovery is not signed by the key it names.", _OPERATOR)
    KEY_TAKEN = (30271, 403, "The key is, or was, another one's.", "Renew with a new key: vedette enroll --renew.")

    EK_UNLISTED = (
        30260,
        403,
        "Neither a manufacturer's root nor the list of this collector vouches for the TPM.",
        "Put its maker's CA into pki/tpm-roots or its EK into pki/tpm-allowed, or set allow_unlisted_tpm = true.",
    )
    EK_CERTIFICATE_INVALID = (30261, 403, "The TPM's EK certificate cannot be one of its maker.", _OPERATOR)
    EK_CERTIFICATE_DIFFERS = (30262, 403, "The EK certificate is that of another TPM.", _OPERATOR)
    TPM_KEY_UNFIT = (30263, 403, "A TPM key has not the attributes that its use needs.", _REPORT)
    CSR_KEY_DIFFERS = (30264, 403, "The request is for another key than the TPM is said to hold.", _REPORT)
    CREDENTIAL_DIFFERS = (30265, 403, "The secret is not the one that this TPM alone can open.", _TPM_AGAIN)
    ATTEST_SIGNATURE = (30266, 403, "A statement is not signed by the attestation key.", _TPM_AGAIN)
    ATTEST_NONCE = (30267, 403, "A statement was not made for this challenge.", _TPM_AGAIN)
    CERTIFY_DIFFERS = (30268, 403, "The TPM certified another key than the one asked for.", _TPM_AGAIN)
    PCR_DIFFERS = (30269, 403, "The PCR values are not those that the TPM quoted.", _TPM_AGAIN)
    CHALLENGE_UNKNOWN = (30280, 403, "No challenge of this token or key has this id.", _TPM_AGAIN)
    TPM_ELSEWHERE = (
        30281,
        403,
        "The TPM is enrolled with another tenant.",
        "Revoke its sensor there first: vedette-collector revoke.",
    )
    TOKEN_OTHER_TPM = (
        30282,
        403,
        "The token is for the box with another TPM.",
        "Use the box that the token was made for, or make one for this TPM: vedette-collector token new --ek.",
    )
    TPM_KNOWN = (
        30283,
        403,
        "The TPM is a sensor of this collector already.",
        "To go on with its record: vedette-collector token new --for SENSOR; for a new one revoke that sensor first.",
    )
    TPM_DIFFERS = (
        30284,
        403,
        "The renewal is proved by another TPM, or another attestation key, than the sensor's present key was.",
        "Was the box's mainboard or TPM exchanged? Make a new token: vedette-collector token new; then enroll again.",
    )

    ELEMENT_UNPINNED = (
        30285,
        403,
        "No operator has said that this key is in a secure element.",
        "Make a token for it: vedette-collector token new --key DIGEST; the box tells it: vedette supervisor element.",
    )
    TOKEN_OTHER_KEY = (
        30286,
        403,
        "The token is for the box with another key in its secure element.",
        "Use the box that the token was made for, or make one for this key: vedette-collector token new --key.",
    )
    ELEMENT_MUST_SIGN = (
        30287,
        403,
        "Only its secure element can sign for this sensor's next key.",
        'Keep [identity] key_store = "secure-element"; for another kind of key: vedette-collector token new --for.',
    )

    STORE_FAILED = (40150, 503, "The batch could not be put on disk.", _AGAIN)

    SIGNER_FAILED = (
        40151,
        503,
        "The key of the collector's CA cannot be used now.",
        "Ask again after Retry-After; the collector's operator finds the reason in its log.",
    )

    HEADER_INVALID = (40350, 400, "A header of the batch is missing or has another form.", _REPORT)
    HEARTBEAT_INVALID = (40351, 400, "The heartbeat has another form.", _REPORT)
    REQUEST_INVALID = (40352, 400, "The certificate request cannot be signed.", _REPORT)
    COMPRESSION_BROKEN = (
        40353,
        400,
        "The body does not inflate.",
        "Send it again; look for a proxy that changes bodies.",
    )
    DIGEST_DIFFERS = (
        40354,
        400,
        "The document is not the one whose SHA-256 was announced.",
        "Send it again; look for a proxy that changes bodies.",
    )
    CONTENT_ENCODING = (40355, 415, "A compression that is not spoken here.", _REPORT)
    METHOD = (40356, 405, "The path is not for this method.", _REPORT)
    PATH = (40357, 404, "Nothing is at this path.", "Check the collector's address: [collector] urls.")
    BODY_TOO_SLOW = (40358, 408, "The body did not arrive in time.", "Send it again; check the link's quality.")
    UPDATE_NOT_OFFERED = (
        40363,
        404,
        "The update is not, or no more, offered to this sensor.",
        "Ask for the offer anew.",
    )
    RANGE_TOO_WIDE = (40359, 400, "More sequence numbers than a batch may have events and losses for.", _REPORT)

    RESIDENCY_INVALID = (40360, 400, "The message about the TPM has another form.", _REPORT)
    TPM_STRUCTURE_INVALID = (40361, 400, "A structure of the TPM has another form.", _REPORT)
    RECOVERY_KEY_INVALID = (40362, 400, "The recovery key has another form.", _REPORT)

    EPOCH_DIFFERS = (40450, 422, "The event's epoch is not the batch's.", _REPORT)
    SEQUENCE_OUTSIDE = (40451, 422, "The event's number is outside the batch's range.", _REPORT)
    SEQUENCE_REPEATED = (40452, 422, "The event's number is not above the one before it.", _REPORT)
    EVENT_TOO_OLD = (40453, 422, "The event is older than the collector takes.", "Check the sensor's clock.")
    EVENT_IN_FUTURE = (40454, 422, "The event is ahead of the collector's clock.", "Check the sensor's clock.")
    SEQUENCE_FORK = (
        40455,
        409,
        "The same numbers were stored with other content: two boxes share one key, or one was set back.",
        "Find the second box or the restored disk; give it a new key: delete its identity and spool, then enroll.",
    )

    SEQUENCE_SCATTERED = (
        40456,
        409,
        "The sensor's numbers have more holes and epochs than the collector keeps of one sensor.",
        "Find why the sensor begins new epochs or leaves numbers out; then give it a new key and enroll it anew.",
    )

    SEQUENCE_MISSING = (40650, 422, "The event has no sequence extension.", _REPORT)

    BODY_TOO_LARGE = (40850, 413, "The body is larger than the collector takes.", "Send fewer events in one batch.")
    INFLATED_TOO_LARGE = (
        40851,
        413,
        "The body inflates to more than the collector takes.",
        "Send fewer events in one batch.",
    )

    COLLECTOR_FAILED = (
        40550,
        503,
        "The collector met a fault of its own.",
        "Send it again later; see the collector's log.",
    )

    BUSY = (50150, 503, "The collector has as much in hand as it takes.", _AGAIN)
    SENSOR_QUOTA = (50250, 429, "The sensor's quota is used up.", _AGAIN)
    TENANT_QUOTA = (50251, 429, "The tenant's quota is used up.", _AGAIN)
    ENROLLMENT_RATE = (50252, 429, "Too many enrollments from this address.", _AGAIN)

    def __init__(self, number: int, status: int, doc: str, do: str) -> None:
        self.number = number
        self.status = status
        self.doc = doc
        self.do = do

    @property
    def group(self) -> str:
        """`AUTH`, `INPUT` or `THROTTLE`."""
        return {3: "AUTH", 4: "INPUT", 5: "THROTTLE"}[self.number // 10_000]

    @classmethod
    def of(cls, text: str) -> SessionCode | None:
        """The code of its written form (`30250 TOKEN_UNKNOWN`), or None: another catalogue's or a newer one's."""
        code = cls.__members__.get(text.partition(" ")[2])
        return code if code is not None and str(code) == text else None

    def __str__(self) -> str:
        return f"{self.number} {self.name}"
