"""What the TPM states convinces another implementation of the check, and nothing forged or borrowed does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

pytest.importorskip("tpm2_pytss", reason="needs tpm2-pytss (make setup-test)")

from tpm2_pytss.tsskey import TSSPrivKey
from tpm2_pytss.utils import make_credential

from appliance.identity import TpmRefusedError
from appliance.identity.tpm import TpmKeyStore, TpmSigner, attestation
from appliance.identity.tpm.session import open_tpm
from appliance.wire.residency import ResidencyProof, ResidencyRequest
from tests.fakes.residency import ResidencyDesk, ResidencyRefusedError, public
from tests.fakes.swtpm import DevelopmentCa, Swtpm, fresh

pytestmark = pytest.mark.tpm


def desk(maker: DevelopmentCa) -> ResidencyDesk:
    return ResidencyDesk(*(x509.load_pem_x509_certificate(text) for text in (maker.root_pem, maker.issuer_pem)))


def request_of(signer: TpmSigner) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sensor")])
    return signer.sign_request(x509.CertificateSigningRequestBuilder().subject_name(name))


@pytest.fixture
def signer(tpm: Swtpm, tmp_path: Path) -> TpmSigner:
    return TpmKeyStore(tpm.tcti).load_or_create(tmp_path / "key.pem")


def test_a_key_in_the_tpm_is_proved_to_live_there(signer: TpmSigner, maker: DevelopmentCa) -> None:
    collector = desk(maker)
    said = ResidencyRequest.decode(signer.residency_request(request_of(signer)).encode())
    proof = ResidencyProof.decode(signer.residency_proof(collector.challenge(said)).encode())
    assert collector.check(proof) == signer.public_key


@pytest.mark.parametrize("kind", ["EK-RSA2048", "EK-HIGH-ECC384"])
def test_each_kind_of_endorsement_key_opens_its_credential(
    kind: str, tpm: Swtpm, signer: TpmSigner, maker: DevelopmentCa, tmp_path: Path
) -> None:
    """They differ in how their use is authorised."""
    collector = desk(maker)
    with open_tpm(tpm.tcti) as open_:
        chosen = attestation.endorsement(open_, [kind])
        with attestation.endorsement_key(open_, chosen) as ek:
            said = replace(
                attestation.residency_request(open_, blob_of(tmp_path), b"csr"),
                ek_public=ek.public_bytes,
                ek_certificate=chosen.certificate,
            )
        challenge = collector.challenge(said)
        secret = attestation.activate(open_, chosen, challenge.credential_blob, challenge.encrypted_secret)
    assert secret == collector.secret


def blob_of(folder: Path) -> TSSPrivKey:
    return TSSPrivKey.from_pem((folder / "key.pem").read_bytes())


def test_more_pcrs_than_fit_in_one_answer_are_read_in_order(tpm: Swtpm) -> None:
    with open_tpm(tpm.tcti) as open_:
        values = attestation.read_pcrs(open_, range(24))
        assert list(values) == list(range(24))
        assert (values[16], values[17]) == (bytes(32), b"\xff" * 32)
        assert attestation.read_pcrs(open_, [17]) == {17: values[17]}


def test_a_challenge_for_another_tpm_is_refused_by_the_tpm(
    signer: TpmSigner, other_tpm: Swtpm, maker: DevelopmentCa, tmp_path: Path
) -> None:
    other = TpmKeyStore(other_tpm.tcti).load_or_create(tmp_path / "other.pem")
    challenge = desk(maker).challenge(other.residency_request(request_of(other)))
    with pytest.raises(TpmRefusedError, match="integrity"):
        signer.residency_proof(challenge)


def test_a_challenge_for_another_attestation_key_is_refused_by_the_tpm(signer: TpmSigner, maker: DevelopmentCa) -> None:
    said = signer.residency_request(request_of(signer))
    honest = desk(maker).challenge(said)
    # Bound to the name of another key of the same TPM, as if a checker had let any key pass for the AK.
    blob, seed = make_credential(public(said.ek_public), b"s" * 32, public(said.ldevid_public).get_name())
    with pytest.raises(TpmRefusedError, match="integrity"):
        signer.residency_proof(
            replace(honest, credential_blob=bytes(blob.marshal()), encrypted_secret=bytes(seed.marshal()))
        )


def test_a_proof_is_good_for_its_challenge_only(signer: TpmSigner, maker: DevelopmentCa) -> None:
    collector = desk(maker)
    said = signer.residency_request(request_of(signer))
    old = signer.residency_proof(collector.challenge(said))
    proof = signer.residency_proof(collector.challenge(said))
    forgeries = {
        "secret": {"secret": old.secret},
        "challenge unknown": {"challenge_id": old.challenge_id},
        "signature": {"certify_attest": old.certify_attest},
        "nonce": {"quote_attest": old.quote_attest, "quote_signature": old.quote_signature},
        "PCR values": {"pcr_values": {**proof.pcr_values, 7: b"\1" * 32}},
    }
    for why, change in forgeries.items():
        with pytest.raises(ResidencyRefusedError, match=why):
            collector.check(replace(proof, **change))
    assert collector.check(proof) == signer.public_key


def test_the_tpm_of_another_maker_does_not_convince(signer: TpmSigner, maker: DevelopmentCa, tmp_path: Path) -> None:
    with fresh(tmp_path / "foreign") as foreign:
        theirs = TpmKeyStore(foreign.tcti).load_or_create(tmp_path / "foreign.pem")
        said = theirs.residency_request(request_of(theirs))
    with pytest.raises(ResidencyRefusedError, match="another CA"):
        desk(maker).challenge(said)
    ours = signer.residency_request(request_of(signer))
    with pytest.raises(ResidencyRefusedError, match="another TPM"):
        desk(maker).challenge(replace(said, ek_certificate=ours.ek_certificate))
