"""A TPM's proof bent by its own holder, over the real wire: refused by name, nothing issued, and the token still good.

Every test ends with the honest box and the very token of the attack: a forger can use up a challenge, never a token.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

pytest.importorskip("tpm2_pytss", reason="needs tpm2-pytss (make setup-test)")

from tpm2_pytss import ESYS_TR, TPM2_ALG, TPML_DIGEST_VALUES, TPMT_HA, TPMT_SIG_SCHEME, TPMU_HA
from tpm2_pytss.tsskey import TSSPrivKey

from appliance.identity.tpm import TpmKeyStore, attestation
from appliance.identity.tpm.keys import AK, attestation_key, ldevid
from appliance.identity.tpm.session import Tpm, open_tpm
from appliance.wire.residency import ResidencyChallenge, ResidencyProof
from tests.attacks.box import Box, token_id
from tests.attacks.ledger import Ledger
from tests.collector_client.harness import Collector
from tests.fakes.swtpm import Swtpm, fresh
from tests.fakes.swtpm_sensor import RealSensor

pytestmark = pytest.mark.tpm


class Forger:
    """Holds a TPM and the key file beside it, and sends what it likes."""

    def __init__(self, collector: Collector, tpm: Swtpm, folder: Path) -> None:
        folder.mkdir()
        self.key_path, self.tpm = folder / "key.pem", tpm
        self.wire = collector.adopt(RealSensor(collector.address, TpmKeyStore(tpm.tcti).load_or_create(self.key_path)))
        self.said = self.wire.said

    def blob(self) -> TSSPrivKey:
        """The LDevID as it lies on the disk."""
        return TSSPrivKey.from_pem(self.key_path.read_bytes())

    def ask(self, token: str, **changed: object) -> str:
        """The refusal of the first message, so changed."""
        return self.wire.ask(token, replace(self.said, **changed).encode()).code  # type: ignore[arg-type]

    def prove(self, token: str, proof: ResidencyProof) -> str:
        """The refusal of the second message."""
        return self.wire.prove(token, proof).code


def honest(collector: Collector, tpm: Swtpm, folder: Path, token: str) -> None:
    """The token is worth what it was."""
    assert Box(folder, tpm).enroll(collector, token).certificate.assurance == "tpm"


def software_csr() -> bytes:
    """A request of a key that lies on a disk."""
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return request.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.DER)


def test_csr_key_other_than_the_one_to_be_certified(collector: Collector, one_tpm: Swtpm, tmp_path: Path) -> None:
    """The TPM would vouch for one key, the certificate would be for another, on a disk."""
    forger, token = Forger(collector, one_tpm, tmp_path / "forger"), collector.token()
    books = Ledger(collector)
    assert forger.ask(token, csr=software_csr()) == "CSR_KEY_DIFFERS"
    books.refused("CSR_KEY_DIFFERS", token_id(token))
    honest(collector, one_tpm, tmp_path / "honest", token)


def test_certified_key_other_than_the_csr_key(collector: Collector, one_tpm: Swtpm, tmp_path: Path) -> None:
    """The challenge is for one key of the TPM, and the TPM certifies another one."""
    forger, token = Forger(collector, one_tpm, tmp_path / "forger"), collector.token()
    other = Forger(collector, one_tpm, tmp_path / "other")
    challenge, books = forger.wire.asked(token), Ledger(collector)
    proof = forger.wire.signer.residency_proof(challenge)
    with open_tpm(one_tpm.tcti) as tpm:
        attest, signature = attestation.certify(tpm, other.blob(), "other", challenge.nonce)
    forged = replace(proof, certify_attest=attest, certify_signature=signature)
    assert forger.prove(token, forged) == "CERTIFY_DIFFERS"
    books.refused("CERTIFY_DIFFERS", token_id(token))
    honest(collector, one_tpm, tmp_path / "honest", token)


def second_ak(tpm: Tpm, forger: Forger, challenge: ResidencyChallenge) -> tuple[bytes, bytes]:
    """Certify by another restricted key of the same TPM, as good as the AK in all but its name."""
    template = type(AK).unmarshal(AK.marshal())[0]
    template.publicArea.unique.ecc.x = b"another"
    with (
        tpm.primary(ESYS_TR.ENDORSEMENT, template) as ak,
        ldevid(tpm, forger.blob(), "forger") as key,
    ):
        assert ak.public_bytes != forger.said.ak_public
        none = TPMT_SIG_SCHEME(scheme=TPM2_ALG.NULL)
        attest, signature = tpm.esapi.certify(
            key.handle, ak.handle, challenge.nonce, none, session1=ESYS_TR.PASSWORD, session2=ESYS_TR.PASSWORD
        )
    return bytes(attest), bytes(signature.marshal())


def test_ak_other_than_the_activated_one(collector: Collector, one_tpm: Swtpm, tmp_path: Path) -> None:
    """CVE-2022-1053: one AK is checked with the EK, another one signs."""
    forger, token = Forger(collector, one_tpm, tmp_path / "forger"), collector.token()
    challenge, books = forger.wire.asked(token), Ledger(collector)
    proof = forger.wire.signer.residency_proof(challenge)
    with open_tpm(one_tpm.tcti) as tpm:
        attest, signature = second_ak(tpm, forger, challenge)
    forged = replace(proof, certify_attest=attest, certify_signature=signature)
    assert forger.prove(token, forged) == "ATTEST_SIGNATURE"
    books.refused("ATTEST_SIGNATURE", token_id(token))
    honest(collector, one_tpm, tmp_path / "honest", token)


def test_ak_of_another_tpm_beside_the_genuine_ek(
    collector: Collector, one_tpm: Swtpm, two_tpm: Swtpm, tmp_path: Path
) -> None:
    """The other TPM's AK would sign for keys of the other TPM; nobody can open the credential then."""
    forger, token = Forger(collector, one_tpm, tmp_path / "forger"), collector.token()
    with open_tpm(two_tpm.tcti) as tpm, attestation_key(tpm) as ak:
        theirs = ak.public_bytes
    challenge, books = forger.wire.asked(token, ak_public=theirs), Ledger(collector)
    for where in (one_tpm, two_tpm):
        with pytest.raises(Exception, match="integrity"), open_tpm(where.tcti) as tpm:
            attestation.activate(
                tpm, attestation.endorsement(tpm), challenge.credential_blob, challenge.encrypted_secret
            )
    guessed = replace(forger.wire.proof(token), challenge_id=challenge.challenge_id, secret=b"g" * 32)
    assert forger.prove(token, guessed) == "CREDENTIAL_DIFFERS"
    books.refused("CREDENTIAL_DIFFERS", token_id(token))
    honest(collector, one_tpm, tmp_path / "honest", token)


Part = Callable[[Tpm, TSSPrivKey, ResidencyProof, bytes], ResidencyProof]


def certified_with(tpm: Tpm, blob: TSSPrivKey, proof: ResidencyProof, nonce: bytes) -> ResidencyProof:
    """The statement about the key bears this nonce."""
    attest, signature = attestation.certify(tpm, blob, "forger", nonce)
    return replace(proof, certify_attest=attest, certify_signature=signature)


def quoted_with(tpm: Tpm, _: TSSPrivKey, proof: ResidencyProof, nonce: bytes) -> ResidencyProof:
    """The statement about the PCRs bears this nonce."""
    attest, signature = attestation.quote(tpm, sorted(proof.pcr_values), nonce)
    return replace(proof, quote_attest=attest, quote_signature=signature)


@pytest.mark.parametrize("part", [certified_with, quoted_with])
def test_wrong_nonce(part: Part, collector: Collector, one_tpm: Swtpm, tmp_path: Path) -> None:
    """Signed by the right AK about the right things, on another day."""
    forger, token = Forger(collector, one_tpm, tmp_path / "forger"), collector.token()
    proof, books = forger.wire.proof(token), Ledger(collector)
    with open_tpm(one_tpm.tcti) as tpm:
        forged = part(tpm, forger.blob(), proof, b"\x5a" * 32)
    assert forger.prove(token, forged) == "ATTEST_NONCE"
    books.refused("ATTEST_NONCE", token_id(token))
    honest(collector, one_tpm, tmp_path / "honest", token)


def extend(tpm: Tpm, number: int) -> None:
    """As firmware does with what it is about to run (TPM2_PCR_Extend)."""
    digest = TPMT_HA(hashAlg=TPM2_ALG.SHA256, digest=TPMU_HA(sha256=b"\x11" * 32))
    tpm.esapi.pcr_extend(ESYS_TR(number), TPML_DIGEST_VALUES([digest]))


def test_pcr_that_changed(collector: Collector, one_tpm: Swtpm, tmp_path: Path) -> None:
    """Other firmware ran; the box says the values that were good before it."""
    forger, token = Forger(collector, one_tpm, tmp_path / "forger"), collector.token()
    with open_tpm(one_tpm.tcti) as tpm:
        before = attestation.read_pcrs(tpm, range(8))
        extend(tpm, 4)
    proof, books = forger.wire.proof(token), Ledger(collector)
    assert dict(proof.pcr_values) != before
    assert forger.prove(token, replace(proof, pcr_values=before)) == "PCR_DIFFERS"
    books.refused("PCR_DIFFERS", token_id(token))
    honest(collector, one_tpm, tmp_path / "honest", token)


def test_pcr_that_changes_between_reading_and_quoting(collector: Collector, one_tpm: Swtpm, tmp_path: Path) -> None:
    forger, token = Forger(collector, one_tpm, tmp_path / "forger"), collector.token()
    challenge, books = forger.wire.asked(token), Ledger(collector)
    proof = forger.wire.signer.residency_proof(challenge)
    with open_tpm(one_tpm.tcti) as tpm:
        extend(tpm, 7)
        attest, signature = attestation.quote(tpm, challenge.pcrs, challenge.nonce)
    forged = replace(proof, quote_attest=attest, quote_signature=signature)
    assert forger.prove(token, forged) == "PCR_DIFFERS"
    books.refused("PCR_DIFFERS", token_id(token))
    honest(collector, one_tpm, tmp_path / "honest", token)


def test_proof_of_an_earlier_challenge(collector: Collector, one_tpm: Swtpm, tmp_path: Path) -> None:
    """A whole honest proof, heard once, for the next challenge."""
    forger, token = Forger(collector, one_tpm, tmp_path / "forger"), collector.token()
    earlier, later = forger.wire.proof(token), forger.wire.asked(token)
    books = Ledger(collector)
    assert forger.prove(token, replace(earlier, challenge_id=later.challenge_id)) == "CREDENTIAL_DIFFERS"
    books.refused("CREDENTIAL_DIFFERS", token_id(token))
    honest(collector, one_tpm, tmp_path / "honest", token)


def test_ek_of_a_foreign_ca(collector: Collector, one_tpm: Swtpm, tmp_path: Path) -> None:
    """A software TPM with certificates of the forger's own making, which bear the trusted maker's very name."""
    token = collector.token()
    with fresh(tmp_path / "foreign") as foreign:
        forger, books = Forger(collector, foreign, tmp_path / "forger"), Ledger(collector)
        assert forger.ask(token) == "EK_CERTIFICATE_INVALID"
        books.refused("EK_CERTIFICATE_INVALID", token_id(token))
        assert forger.ask(token, ek_certificate=None) == "EK_UNLISTED"
        books.refused("EK_UNLISTED", token_id(token))
    honest(collector, one_tpm, tmp_path / "honest", token)


def test_ek_certificate_of_another_tpm(collector: Collector, one_tpm: Swtpm, two_tpm: Swtpm, tmp_path: Path) -> None:
    """The certificate is genuine, as anybody may read it out of a genuine TPM."""
    forger, token = Forger(collector, one_tpm, tmp_path / "forger"), collector.token()
    with open_tpm(two_tpm.tcti) as tpm:
        theirs = attestation.endorsement(tpm).certificate
    books = Ledger(collector)
    assert forger.ask(token, ek_certificate=theirs) == "EK_CERTIFICATE_DIFFERS"
    books.refused("EK_CERTIFICATE_DIFFERS", token_id(token))
    honest(collector, one_tpm, tmp_path / "honest", token)


def test_challenge_answered_with_another_token(
    collector: Collector, one_tpm: Swtpm, two_tpm: Swtpm, tmp_path: Path
) -> None:
    """Neither token is used up, and the challenge stays good for the one that it was made for."""
    forger, token, other = Forger(collector, one_tpm, tmp_path / "forger"), collector.token(), collector.token()
    proof, books = forger.wire.proof(token), Ledger(collector)
    assert forger.prove(other, proof) == "CHALLENGE_UNKNOWN"
    books.refused("CHALLENGE_UNKNOWN", token_id(other))
    assert forger.wire.prove(token, proof).status == 200
    honest(collector, two_tpm, tmp_path / "honest", other)


def test_unproved_key_in_production(collector: Collector, one_tpm: Swtpm, tmp_path: Path) -> None:
    """Past the proof altogether: plain simpleenroll with a key on a disk."""
    token, books = collector.token(), Ledger(collector)
    assert collector.box().enroll(token).code == "KEY_IN_SOFTWARE"
    books.refused("KEY_IN_SOFTWARE", token_id(token))
    honest(collector, one_tpm, tmp_path / "honest", token)
