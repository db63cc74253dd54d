"""Keyed, prefix-preserving pseudonyms for addresses (Crypto-PAn: Xu, Fan, Ammar, Moon, 2002).

Rules of this file: the same key gives the same pseudonym on every box and day; two addresses share exactly as many
leading bits as their pseudonyms do, so networks stay networks; a mapping is one to one. Bit i of the pseudonym is bit
i of the address XOR the first bit of AES(the i bits before it, padded from a secret). IPv6 is the same over 128 bits.
Whoever has the key can undo it.
"""

from __future__ import annotations

import socket
from functools import lru_cache

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

KEY_OCTETS = 32
_CACHED = 65536


class CryptoPan:
    """Address text -> pseudonym text of the same version."""

    def __init__(self, key: bytes) -> None:
        """`key`: 16 octets for AES, then 16 that the padding is made from.

        Raises:
            ValueError: the key is not 32 octets long.
        """
        if len(key) != KEY_OCTETS:
            raise ValueError(f"a key of {len(key)} octets came, {KEY_OCTETS} were allowed")
        # ECB over blocks that are no messages: AES is a pseudo-random function here, as the construction asks.
        self._cipher = Cipher(algorithms.AES(key[:16]), modes.ECB())  # noqa: S305
        self._pad = int.from_bytes(self._encrypt(key[16:]), "big")
        self._cached = lru_cache(maxsize=_CACHED)(self._pseudonym)

    def __call__(self, address: str) -> str:
        """The pseudonym.

        Raises:
            OSError: `address` is not an address.
        """
        return self._cached(address)

    def _pseudonym(self, address: str) -> str:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        packed = socket.inet_pton(family, address)
        bits = len(packed) * 8
        value = int.from_bytes(packed, "big")
        blocks = bytearray()
        for i in range(bits):
            low = (1 << (128 - i)) - 1  # the block's bits after the first i
            prefix = (value >> (bits - i)) << (128 - i)
            blocks += (prefix | self._pad & low).to_bytes(16, "big")
        hidden = self._encrypt(bytes(blocks))
        mask = 0
        for i in range(bits):
            mask = mask << 1 | hidden[16 * i] >> 7
        return socket.inet_ntop(family, (value ^ mask).to_bytes(len(packed), "big"))

    def _encrypt(self, blocks: bytes) -> bytes:
        encryptor = self._cipher.encryptor()
        return encryptor.update(blocks) + encryptor.finalize()
