"""MakeCredential: a secret that only a TPM with one endorsement key *and* one other key in it can give back.

Source: TPM 2.0 Library part 1 section 24 (credential protection), section 11.4.10 (KDFa, KDFe), annexes B.10.4 and
C.6.4 (the seed by RSA and ECC).

Rules of this file: no TPM and no TPM library. The secret and the seed are arguments; the ephemeral ECDH key and OAEP's
padding come from the cryptography library, as every key does.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from collector_client.attest import algorithms as alg
from collector_client.attest.cfb import CFB
from collector_client.attest.public import Public

SECRET_BYTES = 32
_HASHLIB = {alg.SHA256: hashlib.sha256, alg.SHA384: hashlib.sha384}


@dataclass(frozen=True, slots=True)
class Credential:
    """TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET, both with their size fields."""

    blob: bytes
    encrypted_secret: bytes


def make_credential(ek: Public, name: bytes, secret: bytes, random: Callable[[int], bytes]) -> Credential:
    """Protect `secret` for the TPM that holds `ek` and an object called `name`; `random` gives that many bytes.

    The endorsement key must be a storage key (`fitness.check_ek`), the secret no longer than its name's digest.
    """
    digest = alg.HASHES[ek.name_algorithm]()
    size = digest.digest_size
    if isinstance(ek.key, rsa.RSAPublicKey):
        seed = random(size)
        oaep = padding.OAEP(padding.MGF1(digest), digest, b"IDENTITY\0")
        encrypted = ek.key.encrypt(seed, oaep)
    else:
        seed, encrypted = _ecdh_seed(ek.key, ek.name_algorithm)
    key = kdfa(ek.name_algorithm, seed, b"STORAGE", name, b"", ek.symmetric_bits)
    encryptor = Cipher(AES(key), CFB(bytes(16))).encryptor()
    identity = encryptor.update(_sized(secret)) + encryptor.finalize()
    mac_key = kdfa(ek.name_algorithm, seed, b"INTEGRITY", b"", b"", 8 * size)
    mac = hmac.new(mac_key, identity + name, _HASHLIB[ek.name_algorithm]).digest()
    return Credential(_sized(_sized(mac) + identity), _sized(encrypted))


def _ecdh_seed(ek: ec.EllipticCurvePublicKey, name_algorithm: int) -> tuple[bytes, bytes]:
    size = (ek.curve.key_size + 7) // 8
    ephemeral = ec.generate_private_key(ek.curve)
    ours, theirs = ephemeral.public_key().public_numbers(), ek.public_numbers()
    point = [number.to_bytes(size, "big") for number in (ours.x, ours.y)]
    shared = ephemeral.exchange(ec.ECDH(), ek)
    bits = 8 * alg.HASH_BYTES[name_algorithm]
    seed = kdfe(name_algorithm, shared, b"IDENTITY", point[0], theirs.x.to_bytes(size, "big"), bits)
    return seed, b"".join(map(_sized, point))


def kdfa(algorithm: int, key: bytes, label: bytes, context_u: bytes, context_v: bytes, bits: int) -> bytes:
    """Key derivation by HMAC in counter mode (NIST SP 800-108); `bits` is a multiple of 8."""
    out = b""
    counter = 0
    while 8 * len(out) < bits:
        counter += 1
        block = counter.to_bytes(4, "big") + label + b"\0" + context_u + context_v + bits.to_bytes(4, "big")
        out += hmac.new(key, block, _HASHLIB[algorithm]).digest()
    return out[: bits // 8]


def kdfe(algorithm: int, shared: bytes, label: bytes, party_u: bytes, party_v: bytes, bits: int) -> bytes:
    """Key derivation from an ECDH secret (NIST SP 800-56A, concatenation form); `bits` is a multiple of 8."""
    out = b""
    counter = 0
    while 8 * len(out) < bits:
        counter += 1
        context = hashes.Hash(alg.HASHES[algorithm]())
        context.update(counter.to_bytes(4, "big") + shared + label + b"\0" + party_u + party_v)
        out += context.finalize()
    return out[: bits // 8]


def _sized(octets: bytes) -> bytes:
    return len(octets).to_bytes(2, "big") + octets
