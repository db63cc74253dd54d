"""Both messages with any field bent or exchanged: a verdict or the one named error, and never a wrong yes."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.wire.residency import ResidencyChallenge
from collector_client.attest import AttestError, Evidence, Trust, examine, make_credential, prove
from collector_client.pki import CsrError, read_csr_der
from tests.fakes.tpm_device import PCRS, Maker, TpmDevice, rsa_ek

MAKER = Maker()
TRUST = Trust(makers=(MAKER.root, MAKER.issuing))
NOW = datetime.now(UTC)
DEVICES = (TpmDevice.made_by(MAKER), TpmDevice.made_by(MAKER, rsa_ek()))
REQUESTS = tuple(device.request() for device in DEVICES)
NONCE, SECRET = b"n" * 32, b"s" * 32


def _evidence(device: TpmDevice) -> Evidence:
    return Evidence(hashlib.sha256(SECRET).digest(), NONCE, PCRS, device.ak.public, device.ldevid.public)


def _challenge(number: int) -> ResidencyChallenge:
    request = REQUESTS[number]
    claim = examine(request, read_csr_der(request.csr), TRUST, NOW)
    made = make_credential(claim.ek, claim.ak.name, SECRET, secrets.token_bytes)
    return ResidencyChallenge("c" * 16, made.blob, made.encrypted_secret, NONCE, PCRS)


PROOFS = tuple(device.answer(_challenge(number)) for number, device in enumerate(DEVICES))


@st.composite
def bent(draw: st.DrawFn, octets: bytes) -> bytes:
    """The bytes with up to three changed, cut or with some added."""
    changed = bytearray(octets)
    for _ in range(draw(st.integers(0, 3))):
        changed[draw(st.integers(0, len(changed) - 1))] = draw(st.integers(0, 255))
    length = draw(st.integers(0, len(changed)))
    return draw(st.sampled_from([bytes(changed), bytes(changed[:length]), bytes(changed) + b"\0" * (length % 5)]))


@settings(max_examples=500)
@given(st.data())
def test_a_bent_request_is_a_claim_of_the_same_tpm_or_refused(data: st.DataObject) -> None:
    number = data.draw(st.integers(0, 1))
    honest, other = REQUESTS[number], REQUESTS[1 - number]
    name = data.draw(st.sampled_from([field.name for field in fields(honest)]))
    octets = data.draw(st.one_of(bent(getattr(honest, name)), st.just(getattr(other, name))))
    changed: dict[str, Any] = {name: octets}
    request = replace(honest, **changed)
    try:
        claim = examine(request, read_csr_der(request.csr), TRUST, NOW)
    except (AttestError, CsrError):
        return
    assert isinstance(claim.key, ec.EllipticCurvePublicKey)
    assert claim.key == DEVICES[number].ldevid.key.public_key()
    make_credential(claim.ek, claim.ak.name, SECRET, secrets.token_bytes)
    if claim.endorsement.assurance == "tpm":
        assert claim.ek.key == DEVICES[number].ek.key.public_key()


@settings(max_examples=500)
@given(st.data())
def test_a_bent_proof_is_never_believed(data: st.DataObject) -> None:
    number = data.draw(st.integers(0, 1))
    honest, other = PROOFS[number], PROOFS[1 - number]
    name = data.draw(
        st.sampled_from(["secret", "certify_attest", "certify_signature", "quote_attest", "quote_signature"])
    )
    theirs = [] if name == "secret" else [st.just(getattr(other, name))]
    octets = data.draw(st.one_of(bent(getattr(honest, name)), *theirs))
    changed: dict[str, Any] = {name: octets}
    try:
        prove(_evidence(DEVICES[number]), replace(honest, **changed))
    except AttestError:
        return
    assert octets == getattr(honest, name)


def test_the_honest_messages_are_believed() -> None:
    for device, proof in zip(DEVICES, PROOFS, strict=True):
        prove(_evidence(device), proof)
