"""Proof that a sensor's key lives in a TPM, asked for in front of enrollment; both roles, without I/O.

    sensor                                             collector
      POST /.well-known/est/vedette/tpm-challenge
           ResidencyRequest, HTTP Basic token      ->  EK certificate to a pinned root, AK and LDevID attributes,
                                                       MakeCredential(secret, EK, name of the AK), nonce
                                   <- ResidencyChallenge, or a Refusal (wire/session.py)
      ActivateCredential, Certify(LDevID by AK, nonce), Quote(PCRs by AK, nonce)
      POST /.well-known/est/vedette/tpm-enroll
           ResidencyProof, HTTP Basic token        ->  secret equal, signatures, nonces, names, CSR key = LDevID
                                   <- certs-only as simpleenroll answers (RFC 7030 section 4.2.3), or a Refusal

A renewal is the same exchange with other words for who asks: the sensor's present key vouches for the fresh one in the
request. Over mutual TLS with it (`tpm-rechallenge`, `tpm-reenroll`, no token), or, when its certificate is out of date,
by a signature: a `RecoveryRequest` around the `ResidencyRequest` (`tpm-recover-challenge`), and then the proof alone
(`tpm-recover`), because nobody but the TPM can answer. The collector takes no other TPM and no other AK than those that
the present key was proved with.

Rules of this file: messages only. Structures of the TPM travel as it marshals them (TPM 2.0 Library part 2), in JSON
as base64 (RFC 4648 section 4, padded, no line breaks). Every field is bounded; every parser gives its value or
`SessionError`. What a structure says inside is the collector's business; here only the outer size of a TPM2B is held
against what came. A challenge is for one proof, at once and by whom it was given to: the collector keeps the request,
the proof repeats nothing of it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from appliance.wire.fields import Fields, SessionError, dump_object, load_object

TPM_CHALLENGE_PATH = "/.well-known/est/vedette/tpm-challenge"
TPM_ENROLL_PATH = "/.well-known/est/vedette/tpm-enroll"
TPM_RECHALLENGE_PATH = "/.well-known/est/vedette/tpm-rechallenge"
TPM_REENROLL_PATH = "/.well-known/est/vedette/tpm-reenroll"
TPM_RECOVER_CHALLENGE_PATH = "/.well-known/vedette/tpm-recover-challenge"
TPM_RECOVER_PATH = "/.well-known/vedette/tpm-recover"
RESIDENCY_MEDIA_TYPE = "application/json"

MAX_REQUEST_BYTES = 32 * 1024
"""Of the JSON body. An RSA-2048 EK with its certificate makes about 4 KiB."""
MAX_CHALLENGE_BYTES = 8 * 1024
MAX_PROOF_BYTES = 16 * 1024

MAX_PUBLIC_BYTES = 1024
"""Of a TPM2B_PUBLIC; RSA-4096 needs about 600."""
MAX_EK_CERTIFICATE_BYTES = 8 * 1024
MAX_CSR_DER_BYTES = 4 * 1024
MAX_CREDENTIAL_BYTES = 1024
MAX_ATTEST_BYTES = 1024
MAX_SIGNATURE_BYTES = 1024
MAX_SECRET_BYTES = 64
"""TPM2_ActivateCredential gives back at most a digest of the EK's name algorithm."""
MIN_NONCE_BYTES, MAX_NONCE_BYTES = 16, 32
PCR_COUNT = 24
"""PCRs of a PC client TPM; the numbers in a challenge are below this."""
PCR_BYTES = 32
"""Only the SHA-256 bank is asked for."""

_CHALLENGE_ID = re.compile(r"[A-Za-z0-9_-]{16,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ResidencyRequest:
    """Who asks: the TPM's endorsement key, its attestation key, the key to be certified and the request for it.

    `ek_public`, `ak_public`, `ldevid_public`: TPM2B_PUBLIC with its size field. `ek_certificate`: DER as the TPM's NV
    holds it, None when there is none. `csr`: PKCS#10 in DER, signed by the LDevID.
    """

    ek_public: bytes
    ek_certificate: bytes | None
    ak_public: bytes
    ldevid_public: bytes
    csr: bytes

    def encode(self) -> bytes:
        """The body of the first POST."""
        return dump_object(
            {
                "ek_public": _coded(self.ek_public),
                "ek_certificate": None if self.ek_certificate is None else _coded(self.ek_certificate),
                "ak_public": _coded(self.ak_public),
                "ldevid_public": _coded(self.ldevid_public),
                "csr": _coded(self.csr),
            }
        )

    @staticmethod
    def decode(body: bytes) -> ResidencyRequest:
        """Read the body of the first POST.

        Raises:
            SessionError: too large, no JSON, or a field is missing, too long or no base64.
        """
        came = load_object("residency request", body, MAX_REQUEST_BYTES)
        certificate = "ek_certificate"
        return ResidencyRequest(
            ek_public=_tpm2b(came, "ek_public", MAX_PUBLIC_BYTES),
            ek_certificate=_octets(came, certificate, 1, MAX_EK_CERTIFICATE_BYTES) if certificate in came else None,
            ak_public=_tpm2b(came, "ak_public", MAX_PUBLIC_BYTES),
            ldevid_public=_tpm2b(came, "ldevid_public", MAX_PUBLIC_BYTES),
            csr=_octets(came, "csr", 1, MAX_CSR_DER_BYTES),
        )


@dataclass(frozen=True, slots=True)
class ResidencyChallenge:
    """What only the TPM with this EK and this AK can answer.

    `credential_blob`: TPM2B_ID_OBJECT, `encrypted_secret`: TPM2B_ENCRYPTED_SECRET, both with their size fields.
    `nonce`: qualifying data of both attestations. `pcrs`: numbers to be quoted from the SHA-256 bank, ascending.
    """

    challenge_id: str
    credential_blob: bytes
    encrypted_secret: bytes
    nonce: bytes
    pcrs: tuple[int, ...]

    def encode(self) -> bytes:
        """The answer to the first POST."""
        return dump_object(
            {
                "challenge_id": self.challenge_id,
                "credential_blob": _coded(self.credential_blob),
                "encrypted_secret": _coded(self.encrypted_secret),
                "nonce": _coded(self.nonce),
                "pcrs": list(self.pcrs),
            }
        )

    @staticmethod
    def decode(body: bytes) -> ResidencyChallenge:
        """Read the answer to the first POST.

        Raises:
            SessionError: too large, no JSON, or a field is missing, out of bounds or no base64.
        """
        came = load_object("residency challenge", body, MAX_CHALLENGE_BYTES)
        return ResidencyChallenge(
            challenge_id=came.text("challenge_id", 64, _CHALLENGE_ID),
            credential_blob=_tpm2b(came, "credential_blob", MAX_CREDENTIAL_BYTES),
            encrypted_secret=_tpm2b(came, "encrypted_secret", MAX_CREDENTIAL_BYTES),
            nonce=_octets(came, "nonce", MIN_NONCE_BYTES, MAX_NONCE_BYTES),
            pcrs=_pcr_numbers(came.what, came.items("pcrs", PCR_COUNT)),
        )


@dataclass(frozen=True, slots=True)
class ResidencyProof:
    """The answer. The activated secret never shows in a repr.

    `certify_attest`, `quote_attest`: TPMS_ATTEST, the bytes that are signed, without a size field.
    `certify_signature`, `quote_signature`: TPMT_SIGNATURE by the AK. `pcr_values`: the quoted PCRs by number.
    """

    challenge_id: str
    secret: bytes = field(repr=False)
    certify_attest: bytes
    certify_signature: bytes
    quote_attest: bytes
    quote_signature: bytes
    pcr_values: Mapping[int, bytes]

    def encode(self) -> bytes:
        """The body of the second POST."""
        return dump_object(
            {
                "challenge_id": self.challenge_id,
                "secret": _coded(self.secret),
                "certify_attest": _coded(self.certify_attest),
                "certify_signature": _coded(self.certify_signature),
                "quote_attest": _coded(self.quote_attest),
                "quote_signature": _coded(self.quote_signature),
                "pcr_values": {str(number): value.hex() for number, value in sorted(self.pcr_values.items())},
            }
        )

    @staticmethod
    def decode(body: bytes) -> ResidencyProof:
        """Read the body of the second POST.

        Raises:
            SessionError: too large, no JSON, or a field is missing, out of bounds or no base64.
        """
        came = load_object("residency proof", body, MAX_PROOF_BYTES)
        return ResidencyProof(
            challenge_id=came.text("challenge_id", 64, _CHALLENGE_ID),
            secret=_octets(came, "secret", 1, MAX_SECRET_BYTES),
            certify_attest=_octets(came, "certify_attest", 1, MAX_ATTEST_BYTES),
            certify_signature=_octets(came, "certify_signature", 1, MAX_SIGNATURE_BYTES),
            quote_attest=_octets(came, "quote_attest", 1, MAX_ATTEST_BYTES),
            quote_signature=_octets(came, "quote_signature", 1, MAX_SIGNATURE_BYTES),
            pcr_values=_pcr_values(came.fields("pcr_values")),
        )


def _coded(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


def _octets(came: Fields, name: str, least: int, most: int) -> bytes:
    text = came.text(name, 4 * ((most + 2) // 3))
    try:
        octets = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise SessionError(f"{came.what}.{name}", came="no base64", allowed="base64 without line breaks") from None
    if not least <= len(octets) <= most:
        raise SessionError(f"{came.what}.{name}", came=f"{len(octets)} bytes", allowed=f"{least} to {most} bytes")
    return octets


def _tpm2b(came: Fields, name: str, most: int) -> bytes:
    """A sized structure of the TPM (TPM 2.0 Library part 2 section 10.4): two bytes of size, then as many bytes."""
    octets = _octets(came, name, 3, most)
    if int.from_bytes(octets[:2], "big") != len(octets) - 2:
        raise SessionError(
            f"{came.what}.{name}",
            came=f"size {int.from_bytes(octets[:2], 'big')} before {len(octets) - 2} bytes",
            allowed="a TPM2B whose size is that of what follows",
        )
    return octets


def _pcr_numbers(what: str, items: list[object]) -> tuple[int, ...]:
    numbers: list[int] = []
    for item in items:
        above = numbers[-1] if numbers else -1
        if isinstance(item, bool) or not isinstance(item, int) or not above < item < PCR_COUNT:
            raise SessionError(f"{what}.pcrs", came=repr(item)[:40], allowed=f"ascending numbers below {PCR_COUNT}")
        numbers.append(item)
    if not numbers:
        raise SessionError(f"{what}.pcrs", came="none", allowed="one at least")
    return tuple(numbers)


_PCR_NAME = re.compile(r"0|[1-9][0-9]?", re.ASCII)
_PCR_VALUE = re.compile(rf"[0-9a-f]{{{2 * PCR_BYTES}}}", re.ASCII)


def _pcr_values(came: Fields) -> dict[int, bytes]:
    values: dict[int, bytes] = {}
    names = came.keys()
    for name in names:
        if not _PCR_NAME.fullmatch(name) or int(name) >= PCR_COUNT:
            raise SessionError(came.what, came=repr(name)[:40], allowed=f"PCR numbers below {PCR_COUNT}")
        values[int(name)] = bytes.fromhex(came.text(name, 2 * PCR_BYTES, _PCR_VALUE))
    if not values:
        raise SessionError(came.what, came="none", allowed="one at least")
    return values
