"""A TLS handshake in memory, between any two contexts, with what can be read of it in the clear."""

from __future__ import annotations

import ssl
from contextlib import suppress
from dataclasses import dataclass

GROUPS = {0x001D: "x25519", 0x0017: "secp256r1", 0x11EC: "X25519MLKEM768"}
"""TLS supported groups (IANA) that OpenSSL offers by default."""
_KEY_SHARE = 51


@dataclass(frozen=True)
class Handshake:
    """Both ends, and the name of the group in which the keys were agreed on."""

    client: ssl.SSLObject
    server: ssl.SSLObject
    group: str


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext, ticket: ssl.SSLSession | None = None) -> Handshake:
    """A handshake and one octet from the server, with which its ticket comes.

    Raises:
        ssl.SSLError: one side does not want to.
    """
    near_in, near_out, far_in, far_out = (ssl.MemoryBIO() for _ in range(4))
    near = client.wrap_bio(near_in, near_out, server_hostname="127.0.0.1", session=ticket)
    far = server.wrap_bio(far_in, far_out, server_side=True)
    hello = b""
    # Three times each: a server that wants another group than the client guessed asks once more.
    for step in (near.do_handshake, far.do_handshake) * 3:
        with suppress(ssl.SSLWantReadError):
            step()
        far_in.write(near_out.read())
        said = far_out.read()
        hello = hello or said
        near_in.write(said)
    far.write(b"x")
    near_in.write(far_out.read())
    assert near.read(1) == b"x"
    return Handshake(near, far, _group(hello))


def _group(hello: bytes) -> str:
    """The group in a ServerHello (RFC 8446 sections 4.1.3, 4.2.8), which is the last message in the clear."""
    # Record header (5), handshake header (4), version (2), random (32), then the session id with its length.
    at = 43
    at += 1 + hello[at] + 2 + 1
    end = at + 2 + int.from_bytes(hello[at : at + 2])
    at += 2
    while at < end:
        kind, size = int.from_bytes(hello[at : at + 2]), int.from_bytes(hello[at + 2 : at + 4])
        if kind == _KEY_SHARE:
            number = int.from_bytes(hello[at + 4 : at + 6])
            return GROUPS.get(number, hex(number))
        at += 4 + size
    return "none"
