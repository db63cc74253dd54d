"""The algorithms that are taken, by their TPM numbers, and the attributes of objects.

Source: TPM 2.0 Library part 2: section 6.3 (TPM_ALG_ID), 6.4 (TPM_ECC_CURVE), 8.3 (TPMA_OBJECT).

Rules of this file: tables only. What is not here is refused wherever it comes.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntFlag
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

RSA: Final = 0x0001
AES: Final = 0x0006
SHA256: Final = 0x000B
SHA384: Final = 0x000C
NULL: Final = 0x0010
RSASSA: Final = 0x0014
RSAPSS: Final = 0x0016
ECDSA: Final = 0x0018
ECC: Final = 0x0023
CFB: Final = 0x0043

HASH_NAMES: Final = {SHA256: "SHA-256", SHA384: "SHA-384"}
HASHES: Final[dict[int, Callable[[], hashes.HashAlgorithm]]] = {SHA256: hashes.SHA256, SHA384: hashes.SHA384}
HASH_BYTES: Final = {SHA256: 32, SHA384: 48}

CURVE_NAMES: Final = {0x0003: "P-256", 0x0004: "P-384"}
CURVES: Final[dict[int, Any]] = {0x0003: ec.SECP256R1, 0x0004: ec.SECP384R1}
RSA_BITS: Final = 2048


class Attribute(IntFlag):
    """TPMA_OBJECT."""

    FIXED_TPM = 1 << 1
    ST_CLEAR = 1 << 2
    FIXED_PARENT = 1 << 4
    SENSITIVE_DATA_ORIGIN = 1 << 5
    USER_WITH_AUTH = 1 << 6
    ADMIN_WITH_POLICY = 1 << 7
    FIRMWARE_LIMITED = 1 << 8
    SVN_LIMITED = 1 << 9
    NO_DA = 1 << 10
    ENCRYPTED_DUPLICATION = 1 << 11
    RESTRICTED = 1 << 16
    DECRYPT = 1 << 17
    SIGN = 1 << 18
    X509_SIGN = 1 << 19


ALL_ATTRIBUTES: Final = Attribute(sum(Attribute))


def digest(algorithm: int, octets: bytes) -> bytes:
    """The digest by one of `HASHES`."""
    context = hashes.Hash(HASHES[algorithm]())
    context.update(octets)
    return context.finalize()
