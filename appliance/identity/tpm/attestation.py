"""What the TPM says for itself: its endorsement key and certificate, and the three answers to a residency challenge.

Rules of this file: it asks the TPM and marshals; whether an answer convinces is the collector's business
(`wire/residency.py` has the messages). The EK is made again from TCG's template, as its certificate expects it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tpm2_pytss import (
    ESYS_TR,
    TPM2_ALG,
    TPM2_SE,
    TPM2B_ENCRYPTED_SECRET,
    TPM2B_ID_OBJECT,
    TPM2B_PUBLIC,
    TPMA_OBJECT,
    TPML_PCR_SELECTION,
    TPMT_SIG_SCHEME,
    TPMT_SYM_DEF,
    TSS2_Exception,
)
from tpm2_pytss.tsskey import TSSPrivKey
from tpm2_pytss.utils import NVReadEK, create_ek_template

from appliance.identity.errors import TpmRefusedError
from appliance.identity.tpm.keys import attestation_key, ldevid
from appliance.identity.tpm.session import Loaded, Tpm
from appliance.wire.residency import ResidencyChallenge, ResidencyProof, ResidencyRequest

# TCG EK Credential Profile for TPM Family 2.0, section 2.2.1.5, by pytss's names: what collectors understand. Elliptic
# curves first: a discrete TPM takes many seconds to make an RSA key. swtpm certifies P-384 and RSA-2048.
EK_KINDS = ("EK-ECC256", "EK-HIGH-ECC256", "EK-HIGH-ECC384", "EK-RSA2048", "EK-HIGH-RSA2048")
_BARE_KINDS = ("EK-ECC256", "EK-RSA2048")
"""Those whose template does not depend on a certificate; pytss refuses the others without one."""
_BARE_KIND = "EK-ECC256"
"""Of a TPM without any EK certificate."""

_LOCKOUT = 0x921
"""TPM_RC_LOCKOUT (TPM 2.0 Library part 2, section 6.6). The maker's endorsement key is subject to the dictionary attack
lock-out, and each power cut after its use counts as a wrong guess (part 1, section 19.8.5)."""

# TPM2_PCR_Read gives at most eight values at once (TPML_DIGEST).
_PCRS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Endorsement:
    """The template of an endorsement key, and its certificate (DER) when the TPM's maker has put one into NV."""

    template: TPM2B_PUBLIC
    certificate: bytes | None


def endorsement(tpm: Tpm, kinds: Sequence[str] = EK_KINDS) -> Endorsement:
    """The first of these kinds of endorsement key that has a certificate; without any, a P-256 key."""
    read = NVReadEK(tpm.esapi)
    for kind in kinds:
        try:
            certificate, template = create_ek_template(kind, read)
        except ValueError:
            if kind in _BARE_KINDS:
                raise
            continue
        if certificate is not None:
            return Endorsement(template, _unpadded(bytes(certificate)))
    _, template = create_ek_template(_BARE_KIND, read)
    return Endorsement(template, None)


@contextmanager
def endorsement_key(tpm: Tpm, kind: Endorsement) -> Iterator[Loaded]:
    """The endorsement key, loaded."""
    with tpm.primary(ESYS_TR.ENDORSEMENT, kind.template) as loaded:
        yield loaded


def residency_request(tpm: Tpm, blob: TSSPrivKey, csr_der: bytes) -> ResidencyRequest:
    """The first message of a residency proof."""
    kind = endorsement(tpm)
    with endorsement_key(tpm, kind) as ek:
        ek_public = ek.public_bytes
    with attestation_key(tpm) as ak:
        ak_public = ak.public_bytes
    return ResidencyRequest(ek_public, kind.certificate, ak_public, bytes(blob.public.marshal()), csr_der)


def residency_proof(tpm: Tpm, blob: TSSPrivKey, where: str, challenge: ResidencyChallenge) -> ResidencyProof:
    """Answer a challenge: open the credential, certify the LDevID, quote the PCRs.

    Raises:
        TpmKeyLostError: the LDevID of the blob does not load.
        TSS2_Exception: among others when the credential is for another TPM or another AK.
    """
    secret = _activate_unlocked(tpm, endorsement(tpm), challenge)
    certify_attest, certify_signature = certify(tpm, blob, where, challenge.nonce)
    values = read_pcrs(tpm, challenge.pcrs)
    quote_attest, quote_signature = quote(tpm, challenge.pcrs, challenge.nonce)
    return ResidencyProof(
        challenge.challenge_id, secret, certify_attest, certify_signature, quote_attest, quote_signature, values
    )


def _activate_unlocked(tpm: Tpm, kind: Endorsement, challenge: ResidencyChallenge) -> bytes:
    """`activate`, after a few power cuts too: there is no password here to guess, so the lock-out protects nothing."""
    try:
        return activate(tpm, kind, challenge.credential_blob, challenge.encrypted_secret)
    except TSS2_Exception as exc:
        if exc.rc & 0xFFFF != _LOCKOUT:
            raise
        try:
            tpm.esapi.dictionary_attack_lock_reset(ESYS_TR.LOCKOUT)
        except TSS2_Exception:
            # Somebody has set a password for it; the lock-out says what there is to do.
            raise exc from None
    return activate(tpm, kind, challenge.credential_blob, challenge.encrypted_secret)


def activate(tpm: Tpm, kind: Endorsement, credential_blob: bytes, encrypted_secret: bytes) -> bytes:
    """TPM2_ActivateCredential: proves that EK and AK live in one TPM. Both byte strings are TPM2B structures."""
    credential, _ = TPM2B_ID_OBJECT.unmarshal(credential_blob)
    seed, _ = TPM2B_ENCRYPTED_SECRET.unmarshal(encrypted_secret)
    esapi = tpm.esapi
    with endorsement_key(tpm, kind) as ek, attestation_key(tpm) as ak:
        if ek.public.publicArea.objectAttributes & TPMA_OBJECT.USERWITHAUTH:
            # Templates of the high range: the empty password is the way, and their policy is another one.
            return bytes(esapi.activate_credential(ak.handle, ek.handle, credential, seed))
        # Templates of the low range (L-1, L-2): TPM2_PolicySecret(endorsement) is the only way.
        session = esapi.start_auth_session(
            tpm_key=ESYS_TR.NONE,
            bind=ESYS_TR.NONE,
            session_type=TPM2_SE.POLICY,
            symmetric=TPMT_SYM_DEF(algorithm=TPM2_ALG.NULL),
            auth_hash=TPM2_ALG.SHA256,
        )
        with tpm.flushing(session):
            esapi.policy_secret(ESYS_TR.ENDORSEMENT, session, b"", b"", b"", 0)
            return bytes(
                esapi.activate_credential(
                    ak.handle, ek.handle, credential, seed, session1=ESYS_TR.PASSWORD, session2=session
                )
            )


def certify(tpm: Tpm, blob: TSSPrivKey, where: str, nonce: bytes) -> tuple[bytes, bytes]:
    """TPM2_Certify of the LDevID by the AK: TPMS_ATTEST and TPMT_SIGNATURE."""
    with ldevid(tpm, blob, where) as key, attestation_key(tpm) as ak:
        attest, signature = tpm.esapi.certify(
            key.handle,
            ak.handle,
            nonce,
            TPMT_SIG_SCHEME(scheme=TPM2_ALG.NULL),
            session1=ESYS_TR.PASSWORD,
            session2=ESYS_TR.PASSWORD,
        )
    return bytes(attest), bytes(signature.marshal())


def quote(tpm: Tpm, pcrs: Sequence[int], nonce: bytes) -> tuple[bytes, bytes]:
    """TPM2_Quote of PCRs of the SHA-256 bank by the AK: TPMS_ATTEST and TPMT_SIGNATURE."""
    with attestation_key(tpm) as ak:
        attest, signature = tpm.esapi.quote(ak.handle, _selection(pcrs), nonce)
    return bytes(attest), bytes(signature.marshal())


def read_pcrs(tpm: Tpm, pcrs: Sequence[int]) -> dict[int, bytes]:
    """The values of PCRs of the SHA-256 bank.

    Raises:
        TpmRefusedError: the TPM has no such PCR, or no SHA-256 bank.
    """
    values: dict[int, bytes] = {}
    for start in range(0, len(pcrs), _PCRS_AT_ONCE):
        asked = list(pcrs[start : start + _PCRS_AT_ONCE])
        _, _, digests = tpm.esapi.pcr_read(_selection(asked))
        if len(digests) != len(asked):
            raise TpmRefusedError(
                f"the TPM gave {len(digests)} of the PCRs {', '.join(map(str, asked))} with SHA-256",
                advice="switch the SHA-256 bank of PCRs on in the firmware's set-up",
            )
        values |= {number: bytes(digest) for number, digest in zip(asked, digests, strict=True)}
    return values


def _selection(pcrs: Sequence[int]) -> TPML_PCR_SELECTION:
    return TPML_PCR_SELECTION.parse("sha256:" + ",".join(map(str, pcrs)))


def _unpadded(der: bytes) -> bytes:
    """The DER structure at the start: some makers pad the NV index behind it with zeros or 0xFF."""
    if len(der) < 4 or der[0] != 0x30 or der[1] != 0x82:
        return der
    return der[: 4 + int.from_bytes(der[2:4], "big")]
