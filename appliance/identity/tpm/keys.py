"""The keys of a sensor in its TPM, by IEEE 802.1AR and TCG "TPM 2.0 Keys for Device Identity and Attestation".

    IDevID   primary of the endorsement hierarchy   who made the box says so; survives TPM2_Clear
    AK       primary of the endorsement hierarchy   signs what the TPM states and nothing else; survives TPM2_Clear
    SRK      primary of the owner hierarchy         parent; kept at 0x81000001, made again where it is missing
    LDevID   child of the SRK                       the sensor at its collector; gone with TPM2_Clear, and should be

Rules of this file: templates and how to get from one to a loaded key. A primary is made anew whenever it is needed: the
same template gives the same key as long as the hierarchy's seed lives. Every key is fixed to its TPM and its parent and
was made inside (fixedTPM, fixedParent, sensitiveDataOrigin), so nobody can hand it over or bring it in.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tpm2_pytss import (
    ESYS_TR,
    TPM2_ALG,
    TPM2_ECC,
    TPM2B_PUBLIC,
    TPM2B_SENSITIVE_CREATE,
    TPMA_OBJECT,
    TPMS_ECC_PARMS,
    TPMT_ECC_SCHEME,
    TPMT_KDF_SCHEME,
    TPMT_PUBLIC,
    TPMT_SYM_DEF_OBJECT,
    TPMU_PUBLIC_PARMS,
    TPMU_SYM_KEY_BITS,
    TPMU_SYM_MODE,
    TSS2_Exception,
)
from tpm2_pytss.tsskey import TSSPrivKey

from appliance.identity.errors import TpmKeyLostError
from appliance.identity.keyfile import NEW_KEY
from appliance.identity.tpm.session import Loaded, Tpm

SRK_HANDLE = 0x81000001
"""TCG's reserved handle (TCG TPM v2.0 Provisioning Guidance, section 7.5.1). tpm2-openssl and pytss both take a
persistent parent."""

_FIXED = TPMA_OBJECT.FIXEDTPM | TPMA_OBJECT.FIXEDPARENT | TPMA_OBJECT.SENSITIVEDATAORIGIN
# Not subject to the dictionary attack lock-out: the keys have no password, so there is nothing to guess.
_COMMON = _FIXED | TPMA_OBJECT.USERWITHAUTH | TPMA_OBJECT.NODA

_INTEGRITY = 0x9F
"""TPM_RC_INTEGRITY (TPM 2.0 Library part 2, section 6.6): what TPM2_Load says of a blob that another seed has made."""


def _p256(attributes: TPMA_OBJECT, scheme: TPMT_ECC_SCHEME, symmetric: TPMT_SYM_DEF_OBJECT) -> TPM2B_PUBLIC:
    details = TPMS_ECC_PARMS(
        symmetric=symmetric,
        scheme=scheme,
        curveID=TPM2_ECC.NIST_P256,
        kdf=TPMT_KDF_SCHEME(scheme=TPM2_ALG.NULL),
    )
    return TPM2B_PUBLIC(
        publicArea=TPMT_PUBLIC(
            type=TPM2_ALG.ECC,
            nameAlg=TPM2_ALG.SHA256,
            objectAttributes=attributes,
            parameters=TPMU_PUBLIC_PARMS(eccDetail=details),
        )
    )


def _any_scheme() -> TPMT_ECC_SCHEME:
    return TPMT_ECC_SCHEME(scheme=TPM2_ALG.NULL)


def _ecdsa_sha256() -> TPMT_ECC_SCHEME:
    """A restricted signing key must name its scheme."""
    scheme = TPMT_ECC_SCHEME(scheme=TPM2_ALG.ECDSA)
    # The union's own constructor refuses TPMS_SIG_SCHEME_ECDSA in pytss 3.0.0.
    scheme.details.anySig.hashAlg = TPM2_ALG.SHA256
    return scheme


def _no_cipher() -> TPMT_SYM_DEF_OBJECT:
    return TPMT_SYM_DEF_OBJECT(algorithm=TPM2_ALG.NULL)


def _aes128_cfb() -> TPMT_SYM_DEF_OBJECT:
    """How a storage key protects its children."""
    return TPMT_SYM_DEF_OBJECT(
        algorithm=TPM2_ALG.AES, keyBits=TPMU_SYM_KEY_BITS(aes=128), mode=TPMU_SYM_MODE(aes=TPM2_ALG.CFB)
    )


SRK = _p256(_COMMON | TPMA_OBJECT.RESTRICTED | TPMA_OBJECT.DECRYPT, _any_scheme(), _aes128_cfb())
AK = _p256(_COMMON | TPMA_OBJECT.RESTRICTED | TPMA_OBJECT.SIGN_ENCRYPT, _ecdsa_sha256(), _no_cipher())
DEVID = _p256(_COMMON | TPMA_OBJECT.SIGN_ENCRYPT, _any_scheme(), _no_cipher())
"""Of IDevID and LDevID alike: what tells them apart is where they hang."""


@contextmanager
def idevid(tpm: Tpm) -> Iterator[Loaded]:
    """The box's first identity."""
    with tpm.primary(ESYS_TR.ENDORSEMENT, DEVID) as loaded:
        yield loaded


@contextmanager
def attestation_key(tpm: Tpm) -> Iterator[Loaded]:
    """The key that signs the TPM's own statements."""
    with tpm.primary(ESYS_TR.ENDORSEMENT, AK) as loaded:
        yield loaded


@contextmanager
def storage_root(tpm: Tpm) -> Iterator[Loaded]:
    """The SRK at its persistent handle; put there when there is none, as after TPM2_Clear."""
    with tpm.persistent(SRK_HANDLE) as there:
        if there is not None:
            yield there
            return
    with tpm.primary(ESYS_TR.OWNER, SRK) as made:
        tpm.esapi.tr_close(tpm.esapi.evict_control(ESYS_TR.OWNER, made.handle, SRK_HANDLE))
    with tpm.persistent(SRK_HANDLE) as kept:
        assert kept is not None  # noqa: S101 - evict_control has just succeeded
        yield kept


def create_ldevid(tpm: Tpm) -> TSSPrivKey:
    """A new key below the SRK: public area and a blob that only this TPM can use."""
    with storage_root(tpm) as srk:
        private, public, *_ = tpm.esapi.create(srk.handle, TPM2B_SENSITIVE_CREATE(), DEVID)
    return TSSPrivKey(private, public, empty_auth=True, parent=SRK_HANDLE)


@contextmanager
def ldevid(tpm: Tpm, blob: TSSPrivKey, where: str) -> Iterator[Loaded]:
    """The key of a blob, loaded. `where` names the blob in errors.

    Raises:
        TpmKeyLostError: this TPM, or its owner hierarchy's seed, is not the one that made the blob.
    """
    with storage_root(tpm) as srk:
        try:
            handle = tpm.esapi.load(srk.handle, blob.private, blob.public)
        except TSS2_Exception as exc:
            if exc.error != _INTEGRITY:
                raise
            raise TpmKeyLostError(
                f"{where}: this TPM does not know the key: {exc}",
                advice=f"was the TPM cleared, or the disk moved to another box? {NEW_KEY}",
            ) from exc
    with tpm.flushing(handle):
        yield Loaded(handle, blob.public)
