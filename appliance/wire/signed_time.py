"""The words of the signed time, both roles, without I/O: how a box whose clock is wrong learns the right one.

    sensor                                             collector
      GET /.well-known/vedette/time
          Vedette-Nonce: 64 hex digits (unverified) ->
                                   <- SignedTime       signed by the server's key, with its chain up to the root

TLS cannot be verified by a clock that is not believed, so nothing of the connection is trusted: the statement is. It
covers the nonce, so it was made after the nonce was; and the chain leads to the pinned root, by dates that are held
against the time told.

Rules of this file: parsers give their value or `SessionError`. Certificates are DER bytes here; what makes a statement
believed is `appliance.identity.signed_time`.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

from appliance.wire.enrollment import MAX_SIGNATURE_BYTES, decode_base64
from appliance.wire.fields import MAX_INT63, SessionError, dump_object, load_object, parse_word

TIME_PATH = "/.well-known/vedette/time"
NONCE_HEADER = "Vedette-Nonce"
NONCE_BYTES = 32
MAX_TIME_BYTES = 64 * 1024
MAX_CHAIN = 12
"""The leaf, its CA, and during a roll-over several roots with the links between them."""
_MAX_CERTIFICATE_BYTES = 8192

_NONCE = re.compile(r"[0-9a-f]{64}", re.ASCII)


def parse_nonce(text: str) -> str:
    """The header's value.

    Raises:
        SessionError: not 64 lower-case hex digits.
    """
    return parse_word(NONCE_HEADER, text, _NONCE)


def time_statement(nonce: str, time_ns: int) -> bytes:
    """What is signed: the purpose, the nonce, and the time in nanoseconds since 1970."""
    return f"vedette time 1\n{nonce}\n{time_ns}\n".encode("ascii")


@dataclass(frozen=True, slots=True)
class SignedTime:
    """`signature` is ECDSA with SHA-256 (DER) over `time_statement`; `chain`, in DER: leaf first, roots last."""

    nonce: str
    time_ns: int
    signature: bytes
    chain: tuple[bytes, ...]

    def to_json(self) -> bytes:
        """The body of the answer."""
        return dump_object(
            {
                "nonce": self.nonce,
                "time_ns": self.time_ns,
                "signature": base64.b64encode(self.signature).decode("ascii"),
                "chain": [base64.b64encode(der).decode("ascii") for der in self.chain],
            }
        )

    @staticmethod
    def from_json(data: bytes) -> SignedTime:
        """Read an answer; the certificates are not looked into.

        Raises:
            SessionError: larger than allowed, not JSON, a field missing or of another form.
        """
        what = "signed time"
        fields = load_object(what, data, MAX_TIME_BYTES)
        chain = fields.items("chain", MAX_CHAIN)
        if not chain or not all(isinstance(item, str) for item in chain):
            raise SessionError(f"{what}.chain", came="another form", allowed=f"1 to {MAX_CHAIN} certificates")
        return SignedTime(
            nonce=fields.text("nonce", 64, _NONCE),
            time_ns=fields.integer("time_ns", 0, MAX_INT63),
            signature=decode_base64(
                f"{what}.signature", fields.text("signature", 128).encode(), 2 * MAX_SIGNATURE_BYTES
            ),
            chain=tuple(
                decode_base64(f"{what}.chain", item.encode(errors="replace"), _MAX_CERTIFICATE_BYTES) for item in chain
            ),
        )
