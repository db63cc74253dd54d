"""Which attributes a key must have for what it is used for.

Source: TPM 2.0 Library part 1 section 25 (attributes), TCG TPM 2.0 Keys for Device Identity and Attestation section 3.

    key     besides R                 not                 so that it
    EK      restricted, decrypt       sign                opens credentials and nothing else
    AK      restricted, sign          decrypt             signs what the TPM made and nothing else
    LDevID  sign                      decrypt, restricted can sign for TLS
    R = fixedTPM, fixedParent, sensitiveDataOrigin: made in the TPM, cannot leave it

Rules of this file: the table above. An attribute is proved only with the key's name; the callers see to that.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec

from appliance.wire.codes import SessionCode
from collector_client.attest.algorithms import Attribute
from collector_client.attest.errors import AttestError
from collector_client.attest.public import Public

_RESIDENT = Attribute.FIXED_TPM | Attribute.FIXED_PARENT | Attribute.SENSITIVE_DATA_ORIGIN
_EK_MUST = _RESIDENT | Attribute.RESTRICTED | Attribute.DECRYPT
_AK_MUST = _RESIDENT | Attribute.RESTRICTED | Attribute.SIGN
_LDEVID_MUST = _RESIDENT | Attribute.SIGN


def check_ek(ek: Public) -> None:
    """An endorsement key that credentials can be made for.

    Raises:
        AttestError: it is not.
    """
    _check("endorsement key", ek, _EK_MUST, Attribute.SIGN)
    if not ek.symmetric_bits:
        raise _unfit("an endorsement key without a symmetric cipher", "a storage key with AES in CFB mode")


def check_ak(ak: Public) -> None:
    """An attestation key: what it signs, the TPM has made.

    Raises:
        AttestError: it is not.
    """
    _check("attestation key", ak, _AK_MUST, Attribute.DECRYPT)
    if not ak.scheme:
        raise _unfit("an attestation key without a fixed scheme", "ECDSA, RSASSA or RSAPSS with its hash")


def check_ldevid(ldevid: Public) -> ec.EllipticCurvePublicKey:
    """The key that a certificate is asked for; returns it.

    Raises:
        AttestError: it can leave its TPM, was made outside, is restricted, or is not on P-256.
    """
    _check("LDevID key", ldevid, _LDEVID_MUST, Attribute.DECRYPT | Attribute.RESTRICTED)
    if not isinstance(ldevid.key, ec.EllipticCurvePublicKey) or not isinstance(ldevid.key.curve, ec.SECP256R1):
        raise _unfit("an LDevID key of another kind", "an elliptic-curve key on P-256")
    return ldevid.key


def _check(what: str, public: Public, must: Attribute, must_not: Attribute) -> None:
    missing, extra = must & ~public.attributes, must_not & public.attributes
    if missing or extra:
        wrong = [f"without {_words(missing)}"] if missing else []
        wrong += [f"with {_words(extra)}"] if extra else []
        raise _unfit(f"an {what} {' and '.join(wrong)}", f"{_words(must)} and not {_words(must_not)}")


def _words(attributes: Attribute) -> str:
    return " ".join((one.name or "").lower() for one in Attribute if one & attributes)


def _unfit(came: str, allowed: str) -> AttestError:
    return AttestError(SessionCode.TPM_KEY_UNFIT, came, allowed)
