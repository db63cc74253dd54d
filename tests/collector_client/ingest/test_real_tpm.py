"""A real TPM (swtpm) against the collector: the appliance's own enrollment, then what a fake could flatter."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

pytest.importorskip("tpm2_pytss", reason="needs tpm2-pytss (make setup-test)")

from tpm2_pytss.tsskey import TSSPrivKey

from appliance.clock import SystemClock
from appliance.enroll.client import EnrollmentPlan, enroll
from appliance.enroll.errors import EnrollmentRefusedError, TokenOtherTpmError
from appliance.identity import IdentityFolder, SoftKeyStore, TpmRefusedError
from appliance.identity.tpm import TpmKeyStore, attestation
from appliance.identity.tpm.session import open_tpm
from appliance.wire.residency import ResidencyRequest
from collector_client.attest import Trust, examine, make_credential
from tests.collector_client.harness import Collector, production
from tests.fakes.swtpm import DevelopmentCa, Swtpm, fresh
from tests.fakes.swtpm_sensor import RealSensor
from tests.fakes.tpm_device import TpmDevice

pytestmark = pytest.mark.tpm
KINDS = ("EK-RSA2048", "EK-HIGH-ECC384")


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> DevelopmentCa:
    return DevelopmentCa(tmp_path_factory.mktemp("maker"))


@pytest.fixture(scope="module")
def tpm(tmp_path_factory: pytest.TempPathFactory, maker: DevelopmentCa) -> Iterator[Swtpm]:
    with fresh(tmp_path_factory.mktemp("tpms") / "one", maker) as made:
        yield made


@pytest.fixture(scope="module")
def other_tpm(tmp_path_factory: pytest.TempPathFactory, maker: DevelopmentCa) -> Iterator[Swtpm]:
    with fresh(tmp_path_factory.mktemp("tpms") / "two", maker, serial="sn-0002") as made:
        yield made


@pytest.fixture
def hardened(tmp_path: Path, maker: DevelopmentCa, tpm: Swtpm) -> Iterator[Collector]:
    """In production; swtpm's CA stands among the makers of hardware, as its TPMs play hardware here."""
    made = Collector(tmp_path / "collector", production)
    folder = made.directory / "pki" / "tpm-roots"
    folder.mkdir()
    (folder / "maker.pem").write_bytes(maker.root_pem + maker.issuer_pem)
    yield made.start()
    made.stop()


def real_sensor(collector: Collector, tpm: Swtpm, folder: Path) -> RealSensor:
    return collector.adopt(RealSensor(collector.address, TpmKeyStore(tpm.tcti).load_or_create(folder / "key.pem")))


def audited(collector: Collector) -> str:
    return str(collector.control("SELECT detail FROM audit ORDER BY audit_id DESC LIMIT 1")[0][0])


@pytest.mark.parametrize(("folder", "assurance"), [("tpm-roots", "tpm"), ("tpm-roots-development", "software")])
def test_the_appliance_enrolls_with_its_tpm(
    tmp_path: Path, tpm: Swtpm, maker: DevelopmentCa, folder: str, assurance: str
) -> None:
    collector = Collector(tmp_path / "collector")
    roots = collector.directory / "pki" / folder
    roots.mkdir()
    for name, pem in (("root.pem", maker.root_pem), ("issuer.pem", maker.issuer_pem)):
        (roots / name).write_bytes(pem)
    collector.start()
    try:
        identity = IdentityFolder(tmp_path / "identity", TpmKeyStore(tpm.tcti))
        (tmp_path / "identity").mkdir(mode=0o700)
        token = collector.token()
        plan = EnrollmentPlan.parse(urls=[f"https://{collector.address}"], ca_pin=collector.pin, token=token)
        done = enroll(plan, identity, SystemClock())
        assert done.certificate.assurance == assurance
        assert collector.control("SELECT sensor_id, assurance FROM sensors") == [
            (done.certificate.sensor_id, assurance)
        ]
        ((voucher,),) = collector.control("SELECT voucher FROM residencies")
        assert str(voucher).startswith("TPM maker id:")
    finally:
        collector.stop()


def test_the_appliance_hears_why_its_tpm_is_refused(tmp_path: Path, tpm: Swtpm) -> None:
    collector = Collector(tmp_path / "collector").start()
    try:
        (tmp_path / "identity").mkdir(mode=0o700)
        identity = IdentityFolder(tmp_path / "identity", TpmKeyStore(tpm.tcti))
        token = collector.token()
        plan = EnrollmentPlan.parse(urls=[f"https://{collector.address}"], ca_pin=collector.pin, token=token)
        with pytest.raises(EnrollmentRefusedError, match="EK_UNLISTED"):
            enroll(plan, identity, SystemClock())
        assert not identity.certificate_path.exists()
    finally:
        collector.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_our_credential_is_opened_by_a_real_tpm_with_either_kind_of_ek(
    kind: str, tpm: Swtpm, maker: DevelopmentCa, tmp_path: Path
) -> None:
    roots = tuple(x509.load_pem_x509_certificate(pem) for pem in (maker.root_pem, maker.issuer_pem))
    TpmKeyStore(tpm.tcti).load_or_create(tmp_path / "key.pem")
    blob = TSSPrivKey.from_pem((tmp_path / "key.pem").read_bytes())
    key = ec.generate_private_key(ec.SECP256R1())
    with open_tpm(tpm.tcti) as opened:
        chosen = attestation.endorsement(opened, [kind])
        with attestation.endorsement_key(opened, chosen) as ek:
            said = attestation.residency_request(opened, blob, _csr(key))
            said = replace(said, ek_public=ek.public_bytes, ek_certificate=chosen.certificate)
        ldevid_key = _ldevid_key(said)
        claim = examine(said, ldevid_key, Trust(makers=roots), datetime.now(UTC))
        assert claim.endorsement.assurance == "tpm"
        made = make_credential(claim.ek, claim.ak.name, b"s" * 32, secrets.token_bytes)
        assert attestation.activate(opened, chosen, made.blob, made.encrypted_secret) == b"s" * 32
        for name in (claim.ldevid.name, claim.ek.name):
            wrong = make_credential(claim.ek, name, b"s" * 32, secrets.token_bytes)
            with pytest.raises(Exception, match="integrity"):
                attestation.activate(opened, chosen, wrong.blob, wrong.encrypted_secret)


def _csr(key: ec.EllipticCurvePrivateKey) -> bytes:
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return request.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def _ldevid_key(said: ResidencyRequest) -> ec.EllipticCurvePublicKey:
    x, y = said.ldevid_public[-66:-34], said.ldevid_public[-32:]
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1())
    return numbers.public_key()


def test_attacks_on_the_answer_of_a_real_tpm(hardened: Collector, tpm: Swtpm, tmp_path: Path) -> None:
    box, token = real_sensor(hardened, tpm, tmp_path), hardened.token()
    old = box.proof(token)
    flipped = old.quote_signature[:-1] + bytes([old.quote_signature[-1] ^ 1])
    forgeries: list[tuple[str, dict[str, object]]] = [
        ("CREDENTIAL_DIFFERS", {"secret": old.secret}),
        ("ATTEST_SIGNATURE", {"certify_attest": old.certify_attest}),
        ("ATTEST_SIGNATURE", {"quote_signature": flipped}),
        ("ATTEST_SIGNATURE", {"quote_attest": b"\xfe" + old.quote_attest[1:]}),
        ("ATTEST_NONCE", {"certify_attest": old.certify_attest, "certify_signature": old.certify_signature}),
        ("ATTEST_NONCE", {"quote_attest": old.quote_attest, "quote_signature": old.quote_signature}),
        ("PCR_DIFFERS", {"pcr_values": {**old.pcr_values, 7: b"\1" * 32}}),
    ]
    for code, change in forgeries:
        assert box.prove(token, replace(box.proof(token), **change)).code == code  # type: ignore[arg-type]
        assert f" {code}: came" in audited(hardened)
    honest = box.proof(token)
    assert box.prove(token, honest).status == 200
    assert box.prove(token, honest).code == "CHALLENGE_USED"
    assert hardened.control("SELECT assurance FROM sensors") == [("tpm",)]


def test_attack_a_pcr_that_changed_between_quote_and_answer(hardened: Collector, tpm: Swtpm, tmp_path: Path) -> None:
    box, token = real_sensor(hardened, tpm, tmp_path), hardened.token()
    honest = box.proof(token)
    with open_tpm(tpm.tcti) as opened:
        before = attestation.read_pcrs(opened, range(8))
    assert dict(honest.pcr_values) == before
    lied = replace(honest, pcr_values=dict.fromkeys(range(8), b"\x00" * 31 + b"\x01"))
    assert box.prove(token, lied).code == "PCR_DIFFERS"


def test_attack_keys_and_certificates_of_two_tpms(
    hardened: Collector, tpm: Swtpm, other_tpm: Swtpm, tmp_path: Path
) -> None:
    box, token = real_sensor(hardened, tpm, tmp_path), hardened.token()
    (tmp_path / "other").mkdir()
    other = real_sensor(hardened, other_tpm, tmp_path / "other")
    mixed = box.ask(token, replace(box.said, ek_certificate=other.said.ek_certificate).encode())
    assert mixed.code == "EK_CERTIFICATE_DIFFERS"
    stolen = box.ask(token, replace(box.said, csr=other.said.csr).encode())
    assert stolen.code == "CSR_KEY_DIFFERS"
    # The other TPM's AK beside this one's EK: neither can open the credential.
    challenge = box.asked(token, ak_public=other.said.ak_public)
    for signer in (box.signer, other.signer):
        with pytest.raises(TpmRefusedError, match="integrity"):
            signer.residency_proof(challenge)
    # The other TPM's LDevID beside this one's EK and AK: this one cannot certify what it has not.
    swapped = box.asked(token, ldevid_public=other.said.ldevid_public, csr=other.said.csr)
    assert box.prove(token, box.signer.residency_proof(swapped)).code == "CERTIFY_DIFFERS"


def test_attack_a_tpm_of_a_foreign_maker(hardened: Collector, tmp_path: Path) -> None:
    with fresh(tmp_path / "foreign") as foreign:
        box, token = real_sensor(hardened, foreign, tmp_path), hardened.token()
        # swtpm names every CA of its tools alike, so that this one bears the trusted name.
        assert box.ask(token, box.said.encode()).code == "EK_CERTIFICATE_INVALID"
        assert box.ask(token, replace(box.said, ek_certificate=None).encode()).code == "EK_UNLISTED"


def test_attack_a_software_key_beside_a_genuine_tpm(hardened: Collector, tpm: Swtpm, tmp_path: Path) -> None:
    """The private half is on a disk; only its public area claims to be in the TPM."""
    box, token, fake = real_sensor(hardened, tpm, tmp_path), hardened.token(), TpmDevice()
    challenge = box.asked(token, ldevid_public=fake.ldevid.public, csr=fake.csr())
    with open_tpm(tpm.tcti) as opened:
        secret = attestation.activate(
            opened, attestation.endorsement(opened), challenge.credential_blob, challenge.encrypted_secret
        )
    fake.activate = lambda *_: secret  # type: ignore[method-assign]
    forged = fake.answer(challenge)
    assert box.prove(token, forged).code == "ATTEST_SIGNATURE"


def test_a_token_for_one_tpm_enrolls_the_box_that_told_its_ek_and_no_other(
    hardened: Collector, tpm: Swtpm, other_tpm: Swtpm, tmp_path: Path
) -> None:
    store = TpmKeyStore(tpm.tcti)
    token = hardened.token(ek_sha256=store.ek_sha256())
    plan = EnrollmentPlan.parse(urls=[f"https://{hardened.address}"], ca_pin=hardened.pin, token=token)
    for name, keys in (("other", TpmKeyStore(other_tpm.tcti)), ("soft", SoftKeyStore())):
        (tmp_path / name).mkdir(mode=0o700)
        with pytest.raises(TokenOtherTpmError, match="TOKEN_OTHER_TPM"):
            enroll(plan, IdentityFolder(tmp_path / name, keys), SystemClock())
        assert f"allowed the TPM with EK {store.ek_sha256().hex()}" in audited(hardened)
    (tmp_path / "right").mkdir(mode=0o700)
    done = enroll(plan, IdentityFolder(tmp_path / "right", store), SystemClock())
    assert done.certificate.assurance == "tpm"
