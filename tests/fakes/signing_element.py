"""A secure element that really signs: the firmware's fake one, with P-256 keys instead of made-up octets.

Rules of this file: it refuses what the fake one refuses; a key never leaves it but by its public half. What a real
element does beyond the data sheet's words is not known here: none was tried.
"""

from __future__ import annotations

import importlib
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature

from tests.firmware import conftest as paths

_fake: Any = importlib.import_module("fake_element") if paths.ROOT else None
_GENKEY, _SIGN, _MAKE = 0x40, 0x41, 0x04


class SigningElement(_fake.Element):  # type: ignore[misc]
    """`bus` for the firmware; `slots` are the private keys, `signed` counts."""

    def __init__(self) -> None:
        super().__init__()
        self.slots: dict[int, ec.EllipticCurvePrivateKey] = {}
        self.signed = 0
        self.bad_signature = False

    def _do(self, opcode: int, p1: int, p2: int, data: bytes) -> bytes:
        if opcode not in (_GENKEY, _SIGN):
            return bytes(super()._do(opcode, p1, p2, data))
        self.commands.append(opcode)
        if opcode == _GENKEY and p1 == _MAKE and p2 < 4:
            self.slots[p2] = ec.generate_private_key(ec.SECP256R1())
        key = self.slots.get(p2)
        if key is None:
            return b"\x0f"
        if opcode == _GENKEY:
            numbers = key.public_key().public_numbers()
            return numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
        if self._loaded is None:
            return b"\x03"
        digest, self._loaded = self._loaded, None
        self.signed += 1
        r, s = decode_dss_signature(key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256()))))
        out = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        return bytes(64) if self.bad_signature else out
