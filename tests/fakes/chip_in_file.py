"""A secure element without bus and link, for a box that dies: its key lies in a file, as a chip keeps it without power.

Rules of this file: it answers as `mcu.LinkElement` does when all goes well; the link is tried elsewhere.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)


class ChipInFile:
    """A `SecureElement`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def serial(self) -> bytes:
        """Of no chip."""
        return bytes(9)

    def public_key(self) -> bytes | None:
        """X and Y."""
        return self._key().public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]

    def make_key(self) -> bytes:
        """Made by the test, not by the box."""
        raise AssertionError("a key was asked for where there is one")

    def sign(self, digest: bytes) -> bytes:
        """R and S."""
        r, s = decode_dss_signature(self._key().sign(digest, ec.ECDSA(Prehashed(hashes.SHA256()))))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def born(self) -> bytes:
        """At manufacture: its key is made; the digest that an operator pins."""
        key = ec.generate_private_key(ec.SECP256R1())
        self._path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return hashlib.sha256(spki).digest()

    def _key(self) -> ec.EllipticCurvePrivateKey:
        key = load_pem_private_key(self._path.read_bytes(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key
