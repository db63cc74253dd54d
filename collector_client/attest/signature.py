"""A signature as a TPM marshals it (TPMT_SIGNATURE), verified with the key that must have made it.

Source: TPM 2.0 Library part 2 section 11.3.4.

Rules of this file: scheme and hash must be those fixed in the signing key's public area, never what the signature
says alone.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

from appliance.wire.codes import SessionCode
from collector_client.attest import algorithms as alg
from collector_client.attest.errors import AttestError
from collector_client.attest.public import Public
from collector_client.attest.reader import Reader

MAX_SIGNATURE_BYTES = 300
"""RSA-2048 makes 262."""
_SCHEMES = {alg.ECDSA: "ECDSA", alg.RSASSA: "RSASSA", alg.RSAPSS: "RSAPSS"}


def verify_signature(what: str, signer: Public, signed: bytes, tpmt_signature: bytes) -> None:
    """Verify a signature over `signed`.

    Raises:
        AttestError: another form, another scheme than the key's, or it does not verify.
    """
    reader = Reader(f"{what}'s signature", tpmt_signature, MAX_SIGNATURE_BYTES)
    scheme = reader.one_of("scheme", 2, _SCHEMES)
    digest = reader.one_of("hash", 2, alg.HASH_NAMES)
    key = signer.key
    sizes = (48, 48) if scheme == alg.ECDSA else (alg.RSA_BITS // 8,)
    numbers = [reader.sized(size) for size in sizes]
    reader.end()
    if (scheme, digest) != (signer.scheme, signer.scheme_hash):
        came = f"{what} signed by {_SCHEMES[scheme]} with {alg.HASH_NAMES[digest]}"
        raise AttestError(SessionCode.ATTEST_SIGNATURE, came, "the scheme fixed in the attestation key")
    hash_algorithm = alg.HASHES[digest]()
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            r, s = (int.from_bytes(number, "big") for number in numbers)
            key.verify(utils.encode_dss_signature(r, s), signed, ec.ECDSA(hash_algorithm))
        elif scheme == alg.RSASSA:
            key.verify(numbers[0], signed, padding.PKCS1v15(), hash_algorithm)
        else:
            pss = padding.PSS(padding.MGF1(hash_algorithm), padding.PSS.AUTO)
            key.verify(numbers[0], signed, pss, hash_algorithm)
    except (InvalidSignature, ValueError) as error:
        came = f"a {what} whose signature does not verify"
        raise AttestError(SessionCode.ATTEST_SIGNATURE, came, "one by the attestation key") from error
