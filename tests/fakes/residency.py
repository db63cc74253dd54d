"""The collector's half of a residency proof, written against pytss: another implementation than the one shipped.

Rules of this file: it decides as a collector must (EK certificate, secret, certify, quote, key of the request) and says
in `ResidencyRefusedError` what did not convince it. One challenge at a time, kept in memory.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tpm2_pytss import TPM2B_PUBLIC, TPMA_OBJECT, TPMS_ATTEST, TPMT_SIGNATURE
from tpm2_pytss.utils import make_credential

from appliance.wire.residency import ResidencyChallenge, ResidencyProof, ResidencyRequest

FIXED = TPMA_OBJECT.FIXEDTPM | TPMA_OBJECT.FIXEDPARENT | TPMA_OBJECT.SENSITIVEDATAORIGIN
PCRS = tuple(range(8))


class ResidencyRefusedError(Exception):
    """The proof does not convince; says why."""


def need(held: object, why: str) -> None:
    """Refuse unless it holds."""
    if not held:
        raise ResidencyRefusedError(why)


@dataclass
class ResidencyDesk:
    """Checks against one maker's root and issuer."""

    root: x509.Certificate
    issuer: x509.Certificate
    secret: bytes = b""
    request: ResidencyRequest | None = None
    given: ResidencyChallenge | None = None
    proofs: list[ResidencyProof] = field(default_factory=list)

    def challenge(self, request: ResidencyRequest) -> ResidencyChallenge:
        """A challenge that only the TPM of the request can answer."""
        ek, ak = public(request.ek_public), public(request.ak_public)
        need(request.ek_certificate is not None, "no EK certificate")
        certificate = x509.load_der_x509_certificate(request.ek_certificate or b"")
        try:
            certificate.verify_directly_issued_by(self.issuer)
            self.issuer.verify_directly_issued_by(self.root)
        except (ValueError, InvalidSignature) as error:
            raise ResidencyRefusedError("EK certificate of another CA") from error
        need(spki(certificate.public_key()) == ek.to_der(), "EK certificate of another TPM")
        restricted = FIXED | TPMA_OBJECT.RESTRICTED | TPMA_OBJECT.SIGN_ENCRYPT
        need(attributes(ak) & restricted == restricted, "AK attributes")
        need(not attributes(ak) & TPMA_OBJECT.DECRYPT, "AK attributes")
        self.secret = secrets.token_bytes(32)
        blob, seed = make_credential(ek, self.secret, ak.get_name())
        self.request = request
        self.given = ResidencyChallenge(
            secrets.token_urlsafe(18), bytes(blob.marshal()), bytes(seed.marshal()), secrets.token_bytes(32), PCRS
        )
        return self.given

    def check(self, proof: ResidencyProof) -> ec.EllipticCurvePublicKey:
        """The key that is proved to live in the TPM."""
        need(self.given is not None and proof.challenge_id == self.given.challenge_id, "challenge unknown")
        assert self.given is not None
        assert self.request is not None
        self.proofs.append(proof)
        ak, key = public(self.request.ak_public), public(self.request.ldevid_public)
        need(secrets.compare_digest(proof.secret, self.secret), "secret")
        certify = statement(ak, proof.certify_attest, proof.certify_signature, self.given.nonce)
        need(bytes(certify.attested.certify.name) == bytes(key.get_name()), "certified another key")
        need(attributes(key) & FIXED == FIXED, "LDevID attributes")
        quote = statement(ak, proof.quote_attest, proof.quote_signature, self.given.nonce)
        need(tuple(proof.pcr_values) == PCRS, "PCR selection")
        digest = hashlib.sha256(b"".join(proof.pcr_values.values())).digest()
        need(bytes(quote.attested.quote.pcrDigest) == digest, "PCR values")
        csr = x509.load_der_x509_csr(self.request.csr)
        need(csr.is_signature_valid and spki(csr.public_key()) == key.to_der(), "request of another key")
        found = csr.public_key()
        assert isinstance(found, ec.EllipticCurvePublicKey)
        return found


def public(marshalled: bytes) -> TPM2B_PUBLIC:
    """A public area."""
    return TPM2B_PUBLIC.unmarshal(marshalled)[0]


def attributes(area: TPM2B_PUBLIC) -> int:
    """Its attributes as a number."""
    return int(area.publicArea.objectAttributes)


def statement(ak: TPM2B_PUBLIC, attest: bytes, signature: bytes, nonce: bytes) -> TPMS_ATTEST:
    """What the TPM states, when the AK signed it for this nonce."""
    try:
        TPMT_SIGNATURE.unmarshal(signature)[0].verify_signature(ak.publicArea, attest)
    except InvalidSignature as error:
        raise ResidencyRefusedError("signature") from error
    said = TPMS_ATTEST.unmarshal(attest)[0]
    need(said.magic == 0xFF544347 and bytes(said.extraData) == nonce, "nonce")
    return said


def spki(key: object) -> bytes:
    """SubjectPublicKeyInfo in DER of any key."""
    return bytes(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))  # type: ignore[attr-defined]
