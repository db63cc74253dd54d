"""A key's public area (TPMT_PUBLIC) and its name.

Source: TPM 2.0 Library part 2 section 12.2.4 (TPMT_PUBLIC), part 1 section 16 (names): the name is a digest over all of
the public area, so whoever proves the name proves the attributes in it.

Rules of this file: RSA-2048 and ECC P-256 or P-384 only; bytes in, `Public` or `AttestError` out.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from collector_client.attest import algorithms as alg
from collector_client.attest.algorithms import ALL_ATTRIBUTES, Attribute
from collector_client.attest.reader import Reader, structure_error, unwrap

MAX_PUBLIC_BYTES = 512
"""Of a TPMT_PUBLIC: an RSA-2048 key with a SHA-384 policy makes 330."""
_DEFAULT_EXPONENT = 65537


@dataclass(frozen=True, slots=True)
class Public:
    """A parsed public area; `raw` is the TPMT_PUBLIC it was made from.

    `symmetric_bits`: AES key size of a storage key, 0 when it is none. `scheme`, `scheme_hash`: the signing scheme that
    is fixed in the key, 0 and 0 when none is.
    """

    raw: bytes
    name_algorithm: int
    attributes: Attribute
    symmetric_bits: int
    scheme: int
    scheme_hash: int
    key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey

    @property
    def name(self) -> bytes:
        """The object's name: algorithm and digest of the public area."""
        return self.name_algorithm.to_bytes(2, "big") + alg.digest(self.name_algorithm, self.raw)

    def spki_der(self) -> bytes:
        """The key as SubjectPublicKeyInfo in DER."""
        return self.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def parse_public(what: str, tpm2b: bytes) -> Public:
    """Read a TPM2B_PUBLIC; `what` names the key in errors.

    Raises:
        AttestError: another form, another algorithm, or no point on its curve.
    """
    raw = unwrap(what, tpm2b, MAX_PUBLIC_BYTES)
    reader = Reader(what, raw, MAX_PUBLIC_BYTES)
    kind = reader.one_of("type", 2, {alg.RSA: "RSA", alg.ECC: "ECC"})
    name_algorithm = reader.one_of("nameAlg", 2, alg.HASH_NAMES)
    bits = reader.integer(4)
    if bits & ~int(ALL_ATTRIBUTES):
        raise structure_error(what, f"attributes 0x{bits:08x}", "no reserved bits")
    policy = reader.sized(alg.HASH_BYTES[name_algorithm])
    if len(policy) not in (0, alg.HASH_BYTES[name_algorithm]):
        raise structure_error(what, f"a policy of {len(policy)} bytes", "none, or a digest by nameAlg")
    symmetric_bits = _symmetric(reader)
    schemes = {alg.RSASSA: "RSASSA", alg.RSAPSS: "RSAPSS"} if kind == alg.RSA else {alg.ECDSA: "ECDSA"}
    scheme = reader.one_of("scheme", 2, {**schemes, alg.NULL: "none"})
    scheme_hash = 0 if scheme == alg.NULL else reader.one_of("scheme's hash", 2, alg.HASH_NAMES)
    key = _rsa(reader) if kind == alg.RSA else _ecc(reader)
    reader.end()
    return Public(
        raw, name_algorithm, Attribute(bits), symmetric_bits, 0 if scheme == alg.NULL else scheme, scheme_hash, key
    )


def _symmetric(reader: Reader) -> int:
    """TPMT_SYM_DEF_OBJECT: AES key bits, or 0."""
    if reader.one_of("symmetric", 2, {alg.AES: "AES", alg.NULL: "none"}) == alg.NULL:
        return 0
    bits = reader.one_of("AES key bits", 2, {128: "128", 256: "256"})
    reader.one_of("mode", 2, {alg.CFB: "CFB"})
    return bits


def _rsa(reader: Reader) -> rsa.RSAPublicKey:
    reader.one_of("RSA key bits", 2, {alg.RSA_BITS: str(alg.RSA_BITS)})
    reader.one_of("exponent", 4, {0: "the default", _DEFAULT_EXPONENT: str(_DEFAULT_EXPONENT)})
    modulus = int.from_bytes(reader.sized(alg.RSA_BITS // 8), "big")
    if modulus.bit_length() != alg.RSA_BITS or not modulus & 1:
        parity = "odd" if modulus & 1 else "even"
        came = f"an {parity} modulus of {modulus.bit_length()} bits"
        raise structure_error(reader.what, came, f"an odd one of {alg.RSA_BITS} bits")
    try:
        return rsa.RSAPublicNumbers(_DEFAULT_EXPONENT, modulus).public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise structure_error(reader.what, f"no RSA key ({error})", "an RSA key") from error


def _ecc(reader: Reader) -> ec.EllipticCurvePublicKey:
    curve = alg.CURVES[reader.one_of("curve", 2, alg.CURVE_NAMES)]()
    reader.one_of("kdf", 2, {alg.NULL: "none"})
    size = (curve.key_size + 7) // 8
    x, y = (int.from_bytes(reader.sized(size), "big") for _ in "xy")
    try:
        return ec.EllipticCurvePublicNumbers(x, y, curve).public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise structure_error(reader.what, "a point that is not on its curve", "a point of the curve") from error
