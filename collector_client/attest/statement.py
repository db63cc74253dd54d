"""What a TPM attests (TPMS_ATTEST): that it holds a key by name (certify), or what its PCRs are (quote).

Source: TPM 2.0 Library part 2 section 10.12 (attestation structures), 10.6 (PCR selections).

Rules of this file: bytes in, a statement or `AttestError` out. Nothing here says who signed it.
"""

from __future__ import annotations

from dataclasses import dataclass

from collector_client.attest.reader import Reader, structure_error

MAX_ATTEST_BYTES = 512
"""A quote with SHA-384 names makes about 200."""
GENERATED = 0xFF544347
"""A restricted key signs a structure with this at its head only if the TPM itself made the structure."""
_CERTIFY, _QUOTE = 0x8017, 0x8018
_MAX_NAME_BYTES = 66
_MAX_DATA_BYTES = 64
_MAX_BANKS = 16
_SELECT_BYTES = 3
"""Of a bank's bitmap in a PC client TPM: 24 PCRs."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The TPM's own time: milliseconds, and how often it was reset or resumed since it was cleared."""

    clock_ms: int
    resets: int
    restarts: int
    safe: bool


@dataclass(frozen=True, slots=True)
class Certified:
    """`nonce` is the qualifying data; `name` is that of the key that the TPM holds."""

    nonce: bytes
    name: bytes
    clock: Clock
    firmware: int


@dataclass(frozen=True, slots=True)
class Quoted:
    """`selection`: (hash algorithm, PCR numbers) for each bank; `digest` covers their values in that order."""

    nonce: bytes
    selection: tuple[tuple[int, tuple[int, ...]], ...]
    digest: bytes
    clock: Clock
    firmware: int


def parse_certify(attest: bytes) -> Certified:
    """Read the TPMS_ATTEST of TPM2_Certify.

    Raises:
        AttestError: another form, another kind of statement, or not made by a TPM.
    """
    reader, nonce, clock, firmware = _head("certify statement", attest, _CERTIFY)
    name = reader.sized(_MAX_NAME_BYTES)
    reader.sized(_MAX_NAME_BYTES)  # the qualified name says where in the hierarchy; nothing here depends on it
    reader.end()
    return Certified(nonce, name, clock, firmware)


def parse_quote(attest: bytes) -> Quoted:
    """Read the TPMS_ATTEST of TPM2_Quote.

    Raises:
        AttestError: another form, another kind of statement, or not made by a TPM.
    """
    reader, nonce, clock, firmware = _head("quote", attest, _QUOTE)
    banks = reader.integer(4)
    if banks > _MAX_BANKS:
        raise structure_error(reader.what, f"{banks} PCR banks", f"at most {_MAX_BANKS}")
    selection = tuple(_bank(reader) for _ in range(banks))
    digest = reader.sized(_MAX_DATA_BYTES)
    reader.end()
    return Quoted(nonce, selection, digest, clock, firmware)


def _head(what: str, attest: bytes, kind: int) -> tuple[Reader, bytes, Clock, int]:
    reader = Reader(what, attest, MAX_ATTEST_BYTES)
    reader.one_of("magic", 4, {GENERATED: "TPM_GENERATED_VALUE"})
    reader.one_of("type", 2, {kind: what})
    reader.sized(_MAX_NAME_BYTES)  # the signer by its qualified name; the signature proves more
    nonce = reader.sized(_MAX_DATA_BYTES)
    clock = Clock(
        clock_ms=reader.integer(8),
        resets=reader.integer(4),
        restarts=reader.integer(4),
        safe=bool(reader.one_of("safe", 1, {0: "no", 1: "yes"})),
    )
    return reader, nonce, clock, reader.integer(8)


def _bank(reader: Reader) -> tuple[int, tuple[int, ...]]:
    algorithm = reader.integer(2)
    size = reader.integer(1)
    if size > _SELECT_BYTES:
        raise structure_error(reader.what, f"a PCR bitmap of {size} bytes", f"at most {_SELECT_BYTES}")
    bitmap = int.from_bytes(reader.take(size), "little")
    return algorithm, tuple(number for number in range(8 * size) if bitmap >> number & 1)
