"""A secret that this TPM knows and that lies nowhere: HMAC over a label, by a primary key of the endorsement hierarchy.

Rules of this file: the key is made again from its template each time, as IDevID is, so neither TPM2_Clear nor an empty
disk changes what a label gives: it belongs to the box, and not to whoever owns it for the time being. (A sealed blob
would not do: TPM2_Clear gives the endorsement hierarchy's storage keys new seeds.) The answer is encrypted on its way
from the TPM by a salted session (TPM 2.0 Library part 1, section 21).
"""

from __future__ import annotations

from tpm2_pytss import (
    ESYS_TR,
    TPM2_ALG,
    TPM2_SE,
    TPM2B_PUBLIC,
    TPMA_OBJECT,
    TPMA_SESSION,
    TPMS_KEYEDHASH_PARMS,
    TPMT_KEYEDHASH_SCHEME,
    TPMT_PUBLIC,
    TPMT_SYM_DEF,
    TPMU_PUBLIC_PARMS,
    TPMU_SYM_KEY_BITS,
    TPMU_SYM_MODE,
)

from appliance.identity.tpm.keys import SRK
from appliance.identity.tpm.session import Tpm


def _hmac_key() -> TPM2B_PUBLIC:
    scheme = TPMT_KEYEDHASH_SCHEME(scheme=TPM2_ALG.HMAC)
    scheme.details.hmac.hashAlg = TPM2_ALG.SHA256
    return TPM2B_PUBLIC(
        publicArea=TPMT_PUBLIC(
            type=TPM2_ALG.KEYEDHASH,
            nameAlg=TPM2_ALG.SHA256,
            objectAttributes=TPMA_OBJECT.FIXEDTPM
            | TPMA_OBJECT.FIXEDPARENT
            | TPMA_OBJECT.SENSITIVEDATAORIGIN
            | TPMA_OBJECT.USERWITHAUTH
            | TPMA_OBJECT.NODA
            | TPMA_OBJECT.SIGN_ENCRYPT,
            parameters=TPMU_PUBLIC_PARMS(keyedHashDetail=TPMS_KEYEDHASH_PARMS(scheme=scheme)),
        )
    )


def box_secret(tpm: Tpm, label: bytes) -> bytes:
    """32 octets."""
    cipher = TPMT_SYM_DEF(
        algorithm=TPM2_ALG.AES, keyBits=TPMU_SYM_KEY_BITS(aes=128), mode=TPMU_SYM_MODE(aes=TPM2_ALG.CFB)
    )
    esapi = tpm.esapi
    with tpm.primary(ESYS_TR.ENDORSEMENT, _hmac_key()) as key, tpm.primary(ESYS_TR.ENDORSEMENT, SRK) as salt:
        session = esapi.start_auth_session(salt.handle, ESYS_TR.NONE, TPM2_SE.HMAC, cipher, TPM2_ALG.SHA256)
        with tpm.flushing(session):
            # Kept over the one command, or the TPM would let it go before we do.
            esapi.trsess_set_attributes(session, TPMA_SESSION.ENCRYPT | TPMA_SESSION.CONTINUESESSION)
            return bytes(esapi.hmac(key.handle, label, TPM2_ALG.SHA256, session1=session))
