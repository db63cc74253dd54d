"""An honest TPM is believed; every forged field is refused by its own name."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from appliance.wire.residency import ResidencyChallenge, ResidencyProof
from collector_client.attest import AttestError, Claim, Evidence, Trust, Verdict, examine, make_credential, prove
from collector_client.pki import read_csr_der
from tests.fakes.tpm_device import (
    AK_ATTRIBUTES,
    ECDSA_SHA256,
    EK_ATTRIBUTES,
    LDEVID_ATTRIBUTES,
    PCRS,
    RSASSA_SHA256,
    Maker,
    Object,
    TpmDevice,
    ecc_ek,
    rsa_ek,
)

MAKER = Maker()
TRUST = Trust(makers=(MAKER.root, MAKER.issuing))
NOW = datetime.now(UTC)
SECRET, NONCE = b"s" * 32, b"n" * 32


def claim_of(device: TpmDevice, **changed: Any) -> Claim:
    request = device.request(**changed)
    return examine(request, read_csr_der(request.csr), TRUST, NOW)


def challenge_for(claim: Claim) -> ResidencyChallenge:
    credential = make_credential(claim.ek, claim.ak.name, SECRET, secrets.token_bytes)
    return ResidencyChallenge("c" * 16, credential.blob, credential.encrypted_secret, NONCE, PCRS)


def evidence_of(claim: Claim) -> Evidence:
    request = claim.request
    return Evidence(hashlib.sha256(SECRET).digest(), NONCE, PCRS, request.ak_public, request.ldevid_public)


def verdict_on(device: TpmDevice, **changed: Any) -> Verdict:
    claim = claim_of(device)
    return prove(evidence_of(claim), device.answer(challenge_for(claim), **changed))


def refusal_of(act: Callable[[], object]) -> str:
    with pytest.raises(AttestError) as caught:
        act()
    return caught.value.code.name


@pytest.mark.parametrize("ek", [rsa_ek, ecc_ek])
def test_an_honest_tpm_is_believed(ek: Callable[[], Object]) -> None:
    device = TpmDevice.made_by(MAKER, ek())
    assert claim_of(device).endorsement.assurance == "tpm"
    verdict = verdict_on(device)
    assert verdict.pcr_sha256 == hashlib.sha256(b"".join(device.pcrs.values())).digest()
    assert (verdict.clock.clock_ms, verdict.clock.resets, verdict.firmware) == (987_654, 3, 17)


def test_an_rsa_attestation_key_is_believed_too() -> None:
    device = TpmDevice.made_by(MAKER)
    device.ak = Object(rsa.generate_private_key(65537, 2048), AK_ATTRIBUTES, scheme=RSASSA_SHA256)
    verdict_on(device)


@pytest.mark.parametrize("ek", [rsa_ek, ecc_ek])
def test_a_credential_opens_for_no_other_ek_and_no_other_ak(ek: Callable[[], Object]) -> None:
    device, other = TpmDevice.made_by(MAKER, ek()), TpmDevice.made_by(MAKER, ek())
    challenge = challenge_for(claim_of(device))
    assert device.activate(challenge.credential_blob, challenge.encrypted_secret) == SECRET
    with pytest.raises(ValueError):  # noqa: PT011 - whatever way the decryption fails
        other.activate(challenge.credential_blob, challenge.encrypted_secret, device.ak.name)
    with pytest.raises(ValueError, match="integrity"):
        device.activate(challenge.credential_blob, challenge.encrypted_secret, device.ldevid.name)


def _flip(octets: bytes, at: int) -> bytes:
    return octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :]


def forged(device: TpmDevice) -> dict[str, tuple[str, Callable[[ResidencyProof], ResidencyProof]]]:
    """Name of the forgery -> the refusal it must meet, and how to forge an honest answer."""
    other = TpmDevice()
    old, wrong_key = device.certify(b"o" * 32), device.certify(NONCE, other.ldevid.name)
    old_quote, unmade = device.quote(b"o" * 32), _flip(device.certify(NONCE), 0)
    fewer, other_bank = device.quote(NONCE, PCRS[:4]), device.quote(NONCE, bank=0x0C)
    sign = device.ak.sign

    def certify(statement: bytes) -> Callable[[ResidencyProof], ResidencyProof]:
        return lambda p: replace(p, certify_attest=statement, certify_signature=sign(statement))

    def quote(statement: bytes) -> Callable[[ResidencyProof], ResidencyProof]:
        return lambda p: replace(p, quote_attest=statement, quote_signature=sign(statement))

    return {
        "another secret": ("CREDENTIAL_DIFFERS", lambda p: replace(p, secret=b"t" * 32)),
        "a shorter secret": ("CREDENTIAL_DIFFERS", lambda p: replace(p, secret=SECRET[:16])),
        "certify with an old nonce": ("ATTEST_NONCE", certify(old)),
        "quote with an old nonce": ("ATTEST_NONCE", quote(old_quote)),
        "certify of another key": ("CERTIFY_DIFFERS", certify(wrong_key)),
        "certify signed by another AK": (
            "ATTEST_SIGNATURE",
            lambda p: replace(p, certify_signature=other.ak.sign(p.certify_attest)),
        ),
        "quote signed by another AK": (
            "ATTEST_SIGNATURE",
            lambda p: replace(p, quote_signature=other.ak.sign(p.quote_attest)),
        ),
        "certify with a flipped signature": (
            "ATTEST_SIGNATURE",
            lambda p: replace(p, certify_signature=_flip(p.certify_signature, 20)),
        ),
        "certify changed after signing": (
            "ATTEST_SIGNATURE",
            lambda p: replace(p, certify_attest=_flip(p.certify_attest, 90)),
        ),
        "a signature of zeros": (
            "ATTEST_SIGNATURE",
            lambda p: replace(p, certify_signature=ECDSA_SHA256 + b"\0\x20" + bytes(32) + b"\0\x20" + bytes(32)),
        ),
        "a statement that no TPM made": ("TPM_STRUCTURE_INVALID", certify(unmade)),
        "a quote where a certify must be": ("TPM_STRUCTURE_INVALID", certify(device.quote(NONCE))),
        "a certify where a quote must be": ("TPM_STRUCTURE_INVALID", quote(device.certify(NONCE))),
        "one changed PCR": ("PCR_DIFFERS", lambda p: replace(p, pcr_values={**p.pcr_values, 7: b"\1" * 32})),
        "a PCR left out": ("PCR_DIFFERS", lambda p: replace(p, pcr_values={n: p.pcr_values[n] for n in PCRS[:7]})),
        "a PCR too many": ("PCR_DIFFERS", lambda p: replace(p, pcr_values={**p.pcr_values, 8: b"\1" * 32})),
        "a quote of fewer PCRs": ("PCR_DIFFERS", quote(fewer)),
        "a quote of another bank": ("PCR_DIFFERS", quote(other_bank)),
    }


@pytest.mark.parametrize("forgery", forged(TpmDevice()))
def test_a_forged_answer_is_refused_by_name(forgery: str) -> None:
    device = TpmDevice.made_by(MAKER)
    claim = claim_of(device)
    code, forge = forged(device)[forgery]
    answer = forge(device.answer(challenge_for(claim)))
    assert refusal_of(lambda: prove(evidence_of(claim), answer)) == code


def test_a_signature_of_another_scheme_than_the_keys_is_refused() -> None:
    device = TpmDevice.made_by(MAKER)
    device.ak = replace(device.ak, scheme=b"\x00\x18\x00\x0c")
    assert refusal_of(lambda: verdict_on(device)) == "ATTEST_SIGNATURE"


@pytest.mark.parametrize("bit", [1, 4, 5, 16, 17])
def test_an_ek_without_an_attribute_it_needs_is_refused(bit: int) -> None:
    device = TpmDevice.made_by(MAKER)
    device.ek = replace(device.ek, attributes=EK_ATTRIBUTES & ~(1 << bit))
    assert refusal_of(lambda: claim_of(device)) == "TPM_KEY_UNFIT"


@pytest.mark.parametrize("bit", [1, 4, 5, 16, 18])
def test_an_ak_without_an_attribute_it_needs_is_refused(bit: int) -> None:
    device = TpmDevice.made_by(MAKER)
    device.ak = replace(device.ak, attributes=AK_ATTRIBUTES & ~(1 << bit))
    assert refusal_of(lambda: claim_of(device)) == "TPM_KEY_UNFIT"


@pytest.mark.parametrize("bit", [1, 4, 5, 18])
def test_an_ldevid_that_can_leave_or_was_made_outside_is_refused(bit: int) -> None:
    device = TpmDevice.made_by(MAKER)
    device.ldevid = replace(device.ldevid, attributes=LDEVID_ATTRIBUTES & ~(1 << bit))
    assert refusal_of(lambda: claim_of(device)) == "TPM_KEY_UNFIT"


@pytest.mark.parametrize(
    "changed",
    [
        {"ak": Object(ec.generate_private_key(ec.SECP256R1()), AK_ATTRIBUTES | 1 << 17, scheme=ECDSA_SHA256)},
        {"ak": Object(ec.generate_private_key(ec.SECP256R1()), AK_ATTRIBUTES)},
        {"ldevid": Object(ec.generate_private_key(ec.SECP256R1()), LDEVID_ATTRIBUTES | 1 << 16)},
        {"ldevid": Object(ec.generate_private_key(ec.SECP256R1()), LDEVID_ATTRIBUTES | 1 << 17)},
        {"ldevid": Object(rsa.generate_private_key(65537, 2048), LDEVID_ATTRIBUTES)},
        {"ek": replace(ecc_ek(), attributes=EK_ATTRIBUTES | 1 << 18)},
        {"ek": replace(ecc_ek(), symmetric=b"\x00\x10")},
    ],
    ids=[
        "AK that decrypts", "AK without scheme", "LDevID restricted", "LDevID that decrypts", "LDevID of RSA",
        "EK that signs", "EK without cipher",
    ],
)  # fmt: skip
def test_a_key_that_could_do_more_or_less_than_its_use_is_refused(changed: dict[str, Object]) -> None:
    device = TpmDevice.made_by(MAKER)
    ek = changed.get("ek")
    if ek is not None:
        device.certificate = MAKER.ek_certificate(ek.key.public_key())
    if "ldevid" in changed and isinstance(changed["ldevid"].key, rsa.RSAPrivateKey):
        csr = device.csr()
        device.ldevid = changed["ldevid"]
        assert refusal_of(lambda: claim_of(device, csr=csr)) == "TPM_KEY_UNFIT"
        return
    for name, value in changed.items():
        setattr(device, name, value)
    assert refusal_of(lambda: claim_of(device)) == "TPM_KEY_UNFIT"


def test_a_request_for_another_key_than_the_certified_one_is_refused() -> None:
    device = TpmDevice.made_by(MAKER)
    stolen = device.csr(ec.generate_private_key(ec.SECP256R1()))
    assert refusal_of(lambda: claim_of(device, csr=stolen)) == "CSR_KEY_DIFFERS"
