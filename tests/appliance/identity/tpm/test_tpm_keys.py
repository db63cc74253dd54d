"""The sensor's key on a real TPM (swtpm): it signs, it does not come out, and what must survive a clear survives it."""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

pytest.importorskip("tpm2_pytss", reason="needs tpm2-pytss (make setup-test)")

from tpm2_pytss import (
    ESYS_TR,
    TPM2_ALG,
    TPM2_CAP,
    TPM2_CC,
    TPM2_HC,
    TPM2_SE,
    TPM2B_DATA,
    TPM2B_PUBLIC,
    TPM2B_SENSITIVE_CREATE,
    TPMA_OBJECT,
    TPMT_SYM_DEF,
    TPMT_SYM_DEF_OBJECT,
    TSS2_Exception,
)
from tpm2_pytss.tsskey import TSSPrivKey

from appliance.identity import (
    KeyExposedError,
    KeyFileError,
    KeyStoreDiffersError,
    ResidentSigner,
    SoftKey,
    TpmKeyLostError,
    TpmMissingError,
    TpmRefusedError,
    key_store,
)
from appliance.identity.tpm import TpmKeyStore
from appliance.identity.tpm.keys import DEVID, SRK_HANDLE, attestation_key, idevid, ldevid, storage_root
from appliance.identity.tpm.session import Tpm, named, open_tpm
from appliance.wire.residency import ResidencyChallenge
from tests.fakes.swtpm import Swtpm

pytestmark = pytest.mark.tpm

NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sensor")])
DIGEST = hashlib.sha256(b"alert").digest()
_INCONSISTENT_ATTRIBUTES = 0x82
"""TPM_RC_ATTRIBUTES (TPM 2.0 Library part 2, section 6.6)."""


def blob_of(path: Path) -> TSSPrivKey:
    return TSSPrivKey.from_pem(path.read_bytes())


def transient_handles(tcti: str) -> list[int]:
    with open_tpm(tcti) as tpm:
        _, data = tpm.esapi.get_capability(TPM2_CAP.HANDLES, TPM2_HC.TRANSIENT_FIRST, 254)
        return list(data.data.handles)


def clear(tcti: str) -> None:
    """Factory reset, as the firmware's set-up does it."""
    with open_tpm(tcti) as tpm:
        tpm.esapi.clear(ESYS_TR.LOCKOUT)


def test_a_key_signs_digests_and_requests(tpm: Swtpm, tmp_path: Path) -> None:
    signer = TpmKeyStore(tpm.tcti).load_or_create(tmp_path / "key.pem")
    assert (signer.assurance, isinstance(signer, ResidentSigner)) == ("tpm", True)
    signer.public_key.verify(signer.sign_digest(DIGEST), DIGEST, ec.ECDSA(Prehashed(hashes.SHA256())))
    request = x509.load_der_x509_csr(signer.sign_request(x509.CertificateSigningRequestBuilder().subject_name(NAME)))
    assert request.is_signature_valid
    assert request.public_key() == signer.public_key
    with pytest.raises(ValueError, match="32 were allowed"):
        signer.sign_digest(b"short")


def test_a_key_is_made_once_and_known_without_the_tpm(tpm: Swtpm, tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    made = TpmKeyStore(tpm.tcti).load_or_create(path)
    assert TpmKeyStore(tpm.tcti).load_or_create(path).spki_der() == made.spki_der()
    assert TpmKeyStore("swtpm:host=127.0.0.1,port=1").load(path).spki_der() == made.spki_der()


def test_the_first_identity_signs_a_request_for_its_maker(tpm: Swtpm) -> None:
    builder = x509.CertificateSigningRequestBuilder().subject_name(NAME)
    first, again = (x509.load_der_x509_csr(TpmKeyStore(tpm.tcti).idevid_request(builder)) for _ in range(2))
    assert first.is_signature_valid
    assert first.public_key() == again.public_key()


def test_the_file_holds_no_private_key(tpm: Swtpm, tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    TpmKeyStore(tpm.tcti).load_or_create(path)
    assert path.stat().st_mode & 0o777 == 0o600
    # By OpenSSL's own command: cryptography 43 panics at such a file.
    read = subprocess.run(["openssl", "pkey", "-in", str(path)], capture_output=True, check=False)
    assert (read.returncode != 0, read.stdout) == (True, b"")


def duplicate(tpm: Tpm, handle: ESYS_TR) -> None:
    """TPM2_Duplicate to nowhere in particular, by a policy that is made for it."""
    session = tpm.esapi.start_auth_session(
        tpm_key=ESYS_TR.NONE, bind=ESYS_TR.NONE, session_type=TPM2_SE.POLICY,
        symmetric=TPMT_SYM_DEF(algorithm=TPM2_ALG.NULL), auth_hash=TPM2_ALG.SHA256,
    )  # fmt: skip
    with tpm.flushing(session):
        tpm.esapi.policy_command_code(session, TPM2_CC.Duplicate)
        no_cipher = TPMT_SYM_DEF_OBJECT(algorithm=TPM2_ALG.NULL)
        tpm.esapi.duplicate(handle, ESYS_TR.NULL, TPM2B_DATA(), no_cipher, session1=session)


def policy_of_duplicate(tpm: Tpm) -> bytes:
    """The digest of a policy that lets TPM2_Duplicate through."""
    session = tpm.esapi.start_auth_session(
        tpm_key=ESYS_TR.NONE, bind=ESYS_TR.NONE, session_type=TPM2_SE.TRIAL,
        symmetric=TPMT_SYM_DEF(algorithm=TPM2_ALG.NULL), auth_hash=TPM2_ALG.SHA256,
    )  # fmt: skip
    with tpm.flushing(session):
        tpm.esapi.policy_command_code(session, TPM2_CC.Duplicate)
        return bytes(tpm.esapi.policy_get_digest(session))


def test_the_key_cannot_be_duplicated(tpm: Swtpm, tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    TpmKeyStore(tpm.tcti).load_or_create(path)
    with pytest.raises(TpmRefusedError), open_tpm(tpm.tcti) as open_, ldevid(open_, blob_of(path), "key") as key:
        duplicate(open_, key.handle)


def with_policy(policy: bytes, without: TPMA_OBJECT) -> TPM2B_PUBLIC:
    """Our template with a policy, and with some attributes taken away."""
    template, _ = TPM2B_PUBLIC.unmarshal(DEVID.marshal())
    template.publicArea.authPolicy = policy
    template.publicArea.objectAttributes &= ~without
    return template


def test_its_attributes_forbid_duplication_whatever_a_policy_allows(tpm: Swtpm) -> None:
    """And the same policy duplicates a key that is not fixed: the attempt itself is a good one."""
    with open_tpm(tpm.tcti) as open_:
        policy = policy_of_duplicate(open_)
        fixed = TPMA_OBJECT.FIXEDTPM | TPMA_OBJECT.FIXEDPARENT
        refused: list[int] = []
        for template in (with_policy(policy, TPMA_OBJECT(0)), with_policy(policy, fixed)):
            with storage_root(open_) as srk:
                private, public, *_ = open_.esapi.create(srk.handle, TPM2B_SENSITIVE_CREATE(), template)
                handle = open_.esapi.load(srk.handle, private, public)
            with open_.flushing(handle):
                try:
                    duplicate(open_, handle)
                except TSS2_Exception as error:
                    refused.append(error.error)
        assert refused == [_INCONSISTENT_ATTRIBUTES]


def test_the_blob_is_worth_nothing_on_another_tpm(tpm: Swtpm, other_tpm: Swtpm, tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    TpmKeyStore(tpm.tcti).load_or_create(path)
    thief = TpmKeyStore(other_tpm.tcti)
    with pytest.raises(TpmKeyLostError, match="does not know the key"):
        thief.load(path).sign_digest(DIGEST)
    with pytest.raises(TpmKeyLostError):
        thief.load_or_create(path)


def test_a_clear_keeps_the_first_identity_and_takes_the_sensors(tpm: Swtpm, tmp_path: Path) -> None:
    store, path = TpmKeyStore(tpm.tcti), tmp_path / "key.pem"
    store.load_or_create(path)

    def names() -> list[bytes]:
        with open_tpm(tpm.tcti) as open_:
            found = []
            for key in (idevid, attestation_key, storage_root):
                with key(open_) as loaded:
                    found.append(loaded.name)
            return found

    first, ak, srk = names()
    assert len({first, ak, srk}) == 3
    clear(tpm.tcti)
    assert names()[:2] == [first, ak]
    assert names()[2] != srk
    with pytest.raises(TpmKeyLostError, match="does not know the key") as caught:
        store.load_or_create(path)
    assert "token" in caught.value.advice
    path.unlink()
    store.load_or_create(path).sign_digest(DIGEST)


def test_an_srk_that_somebody_evicted_comes_back_the_same(tpm: Swtpm, tmp_path: Path) -> None:
    signer = TpmKeyStore(tpm.tcti).load_or_create(tmp_path / "key.pem")
    with open_tpm(tpm.tcti) as open_:
        # Evicting ends the handle as well, so no `with`.
        open_.esapi.evict_control(ESYS_TR.OWNER, open_.esapi.tr_from_tpmpublic(SRK_HANDLE), SRK_HANDLE)
    signer.sign_digest(DIGEST)


def test_two_hundred_operations_leave_no_handle_behind(tpm: Swtpm, tmp_path: Path) -> None:
    """Good ones and refused ones: a TPM without a resource manager has three slots for all of them."""
    signer = TpmKeyStore(tpm.tcti).load_or_create(tmp_path / "key.pem")
    sized = b"\x00\x20" + b"x" * 32
    wrong = ResidencyChallenge("c" * 16, sized, sized, b"n" * 32, (0,))
    builder = x509.CertificateSigningRequestBuilder().subject_name(NAME)
    for _ in range(40):
        signer.sign_digest(DIGEST)
        signer.sign_request(builder)
        signer.check()
        signer.residency_request(b"csr")
        with pytest.raises(TpmRefusedError):
            signer.residency_proof(wrong)
    assert transient_handles(tpm.tcti) == []


def test_a_full_tpm_says_so(tpm: Swtpm, tmp_path: Path) -> None:
    signer = TpmKeyStore(tpm.tcti).load_or_create(tmp_path / "key.pem")
    with open_tpm(tpm.tcti) as open_:
        for _ in range(3):
            open_.esapi.create_primary(TPM2B_SENSITIVE_CREATE(), DEVID, ESYS_TR.ENDORSEMENT)
    with pytest.raises(TpmRefusedError, match="slots"):
        signer.sign_digest(DIGEST)


@pytest.mark.parametrize("tcti", ["swtpm:host=127.0.0.1,port=1", "device:/dev/no-such-tpm", "nonsense:", "", ":"])
def test_a_tpm_that_is_not_there_is_named(tcti: str, tmp_path: Path) -> None:
    if not tcti and Path("/dev/tpmrm0").exists():
        pytest.skip("this machine has a TPM")
    with pytest.raises(TpmMissingError) as caught:
        TpmKeyStore(tcti).load_or_create(tmp_path / "key.pem")
    assert "[identity] tcti" in caught.value.advice
    assert list(tmp_path.iterdir()) == []


def test_a_tpm_that_goes_away_is_named(tmp_path: Path, tpm: Swtpm) -> None:
    signer = TpmKeyStore(tpm.tcti).load_or_create(tmp_path / "key.pem")
    with open_tpm(tpm.tcti) as open_:
        tpm.cut()
        with pytest.raises(TSS2_Exception) as caught:
            open_.esapi.get_random(8)
    assert isinstance(named("swtpm", caught.value), TpmMissingError)
    with pytest.raises(TpmMissingError):
        signer.sign_digest(DIGEST)


def test_a_software_key_is_never_taken_for_one_in_a_tpm(tpm: Swtpm, tmp_path: Path) -> None:
    soft, hard = tmp_path / "soft.pem", tmp_path / "hard.pem"
    SoftKey.load_or_create(soft)
    key_store("tpm", tpm.tcti).load_or_create(hard)
    with pytest.raises(KeyStoreDiffersError, match="software key came"):
        key_store("tpm", tpm.tcti).load_or_create(soft)
    with pytest.raises(KeyStoreDiffersError, match="key in a TPM came"):
        key_store("software").load_or_create(hard)


def test_a_key_file_that_others_may_read_is_refused(tpm: Swtpm, tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    TpmKeyStore(tpm.tcti).load_or_create(path)
    path.chmod(0o640)
    with pytest.raises(KeyExposedError):
        TpmKeyStore(tpm.tcti).load(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 400), change=st.binary(min_size=1, max_size=8), keep=st.integers(30, 500), text=st.booleans())
@example(at=92, change=b"A", keep=398, text=True)  # a point that is not on the curve
def test_a_broken_key_file_gives_a_key_or_the_named_error(
    at: int, change: bytes, keep: int, text: bool, tmp_path: Path
) -> None:
    # A key of a TPM that is gone.
    data = PEM if text else PEM.replace(b"A", b"\xff", 1)
    path = tmp_path / "key.pem"
    path.unlink(missing_ok=True)
    path.write_bytes((data[:at] + change + data[at + len(change) :])[:keep])
    path.chmod(0o600)
    with contextlib.suppress(KeyFileError):
        TpmKeyStore().load(path).spki_der()


PEM = b"""\
-----BEGIN TSS2 PRIVATE KEY-----
MIHxBgZngQUKAQOgAwEB/wIFAIEAAAEEWABWACMACwAEBHIAAAAQABAAAwAQACBZ
E4+spuDsxH+sFjHR/Nx3WfWJToDn+d49/2nLbErZOwAglHUbjEp0jWMMFj/uQcXC
exAepJajM2SLhdDzEG16E8AEgYAAfgAg99qlMWwi28cGYkOZXrHzyiV0hsvNoM8n
+TV6TSsEnXMAEFu0u2Blm5XhOorYLowk0jcNNhcwYJX9Plm6pcrC9nPw5K3kbK/9
ilr+q9H24CpcMBkTZPWPyxC+S2+Vs5tiVkDYkg8fKRKOnKtI0VmqOqyhzF9T1+n9
scYe7A==
-----END TSS2 PRIVATE KEY-----
"""
