"""Reading a TPM's marshalled structures: big-endian integers, sized buffers, and an end that must be the end.

Source: TPM 2.0 Library part 1 section 38.2 (canonical form), part 2 section 10.4 (TPM2B).

Rules of this file: every read is within the bytes that came or `AttestError`; nothing is read twice, nothing is
guessed; a structure that ends early or late is refused.
"""

from __future__ import annotations

from appliance.wire.codes import SessionCode
from collector_client.attest.errors import AttestError


def structure_error(what: str, came: str, allowed: str) -> AttestError:
    """The refusal of a structure, to be raised."""
    return AttestError(SessionCode.TPM_STRUCTURE_INVALID, f"{what}: {came}", allowed)


class Reader:
    """A cursor over one structure; `what` names it in errors."""

    def __init__(self, what: str, octets: bytes, most: int) -> None:
        """Raises `AttestError` when there are more than `most` bytes."""
        if len(octets) > most:
            raise structure_error(what, f"{len(octets)} bytes", f"at most {most} bytes")
        self.what = what
        self._octets = octets
        self._at = 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        left = len(self._octets) - self._at
        if count > left:
            raise structure_error(self.what, f"{left} bytes where {count} must be", "a whole structure")
        self._at += count
        return self._octets[self._at - count : self._at]

    def integer(self, size: int) -> int:
        """The next `size` bytes as an unsigned number."""
        return int.from_bytes(self.take(size), "big")

    def sized(self, most: int) -> bytes:
        """A TPM2B: two bytes of size, then as many bytes, at most `most`."""
        count = self.integer(2)
        if count > most:
            raise structure_error(self.what, f"a field of {count} bytes", f"at most {most} bytes")
        return self.take(count)

    def one_of(self, name: str, size: int, allowed: dict[int, str]) -> int:
        """A number that is one of a table's keys; the table's words go into the error."""
        value = self.integer(size)
        if value not in allowed:
            raise structure_error(self.what, f"{name} 0x{value:0{2 * size}x}", ", ".join(allowed.values()))
        return value

    def end(self) -> None:
        """Nothing may be left."""
        left = len(self._octets) - self._at
        if left:
            raise structure_error(self.what, f"{left} bytes after the end", "none")


def unwrap(what: str, octets: bytes, most: int) -> bytes:
    """The content of a TPM2B that is all of `octets`."""
    reader = Reader(what, octets, most + 2)
    content = reader.sized(most)
    reader.end()
    return content
