"""The second message: the TPM's answers, held against what the collector kept of its own challenge.

    secret equal                      the TPM with this EK holds an object with the AK's name (so: its attributes)
    certify, signed by that AK        the same TPM holds an object with the LDevID's name (so: its attributes)
    quote, signed by that AK          what its PCRs are
    nonce in both                     made for this challenge, not kept from another day

Rules of this file: no store, no time. Nothing of the claim is taken from the proof: keys, nonce and PCR numbers are
those kept with the challenge (the mistake of CVE-2022-1053 was to check one AK and use another).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from appliance.wire.codes import SessionCode
from appliance.wire.residency import ResidencyProof
from collector_client.attest import algorithms as alg
from collector_client.attest.errors import AttestError
from collector_client.attest.public import parse_public
from collector_client.attest.signature import verify_signature
from collector_client.attest.statement import Clock, parse_certify, parse_quote


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the collector kept when it made the challenge."""

    secret_sha256: bytes
    nonce: bytes
    pcrs: tuple[int, ...]
    ak_public: bytes
    ldevid_public: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """The proof holds; `pcr_sha256` covers the quoted PCRs."""

    pcr_sha256: bytes
    clock: Clock
    firmware: int


def prove(evidence: Evidence, proof: ResidencyProof) -> Verdict:
    """Check the answer to a challenge.

    Raises:
        AttestError: the secret, a signature, a nonce, the certified name or the PCRs are not as they must be.
    """
    if not hmac.compare_digest(hashlib.sha256(proof.secret).digest(), evidence.secret_sha256):
        raise AttestError(SessionCode.CREDENTIAL_DIFFERS, "another secret", "the one in the credential")
    ak = parse_public("AK", evidence.ak_public)
    ldevid = parse_public("LDevID", evidence.ldevid_public)
    verify_signature("certify statement", ak, proof.certify_attest, proof.certify_signature)
    certified = parse_certify(proof.certify_attest)
    _check_nonce("certify statement", certified.nonce, evidence.nonce)
    if not hmac.compare_digest(certified.name, ldevid.name):
        came = f"a statement about the key named {certified.name.hex()[:16]}"
        raise AttestError(SessionCode.CERTIFY_DIFFERS, came, f"one about {ldevid.name.hex()[:16]}")
    verify_signature("quote", ak, proof.quote_attest, proof.quote_signature)
    quoted = parse_quote(proof.quote_attest)
    _check_nonce("quote", quoted.nonce, evidence.nonce)
    if quoted.selection != ((alg.SHA256, evidence.pcrs),):
        came = f"a quote of {_selection(quoted.selection)}"
        raise AttestError(SessionCode.PCR_DIFFERS, came, f"one of {_selection([(alg.SHA256, evidence.pcrs)])}")
    if tuple(sorted(proof.pcr_values)) != evidence.pcrs:
        came = f"values of PCRs {_numbers(sorted(proof.pcr_values))}"
        raise AttestError(SessionCode.PCR_DIFFERS, came, f"those of {_numbers(evidence.pcrs)}")
    values = b"".join(proof.pcr_values[number] for number in evidence.pcrs)
    # A quote's digest is made by the hash of the signing scheme (part 2 section 10.12.1), whatever the bank's is.
    digest = alg.digest(ak.scheme_hash, values)
    if not hmac.compare_digest(digest, quoted.digest):
        raise AttestError(SessionCode.PCR_DIFFERS, "PCR values of another digest", "those that were quoted")
    return Verdict(hashlib.sha256(values).digest(), quoted.clock, quoted.firmware)


def _check_nonce(what: str, came: bytes, kept: bytes) -> None:
    if not hmac.compare_digest(came, kept):
        raise AttestError(
            SessionCode.ATTEST_NONCE, f"a {what} for another challenge", "one with this challenge's nonce"
        )


def _selection(banks: Sequence[tuple[int, tuple[int, ...]]]) -> str:
    words = (f"{alg.HASH_NAMES.get(bank, f'bank 0x{bank:04x}')}:{_numbers(numbers)}" for bank, numbers in banks)
    return " ".join(words) or "no PCRs"


def _numbers(numbers: Sequence[int]) -> str:
    return ",".join(map(str, numbers)) or "none"
