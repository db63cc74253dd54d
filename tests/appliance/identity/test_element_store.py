"""The store whose keys a secure element signs for: which key signs, what the file holds, which file is whose."""

from __future__ import annotations

import copy
import hashlib
import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from appliance.enroll.csr import certificate_request, element_enrollment
from appliance.identity import (
    CertificateInvalidError,
    ElementKeyLostError,
    ElementKeyStore,
    ElementMissingError,
    ElementRefusedError,
    KeyExposedError,
    KeyFileError,
    KeyStoreDiffersError,
    ResidentSigner,
    SoftKeyStore,
    VouchedSigner,
    key_store,
)
from appliance.identity.element import _Delegate
from appliance.wire.element import ElementEnrollment
from appliance.wire.enrollment import sensor_id
from appliance.wire.fields import SessionError


class Element:
    """In memory; really signs."""

    def __init__(self) -> None:
        self.key: ec.EllipticCurvePrivateKey | None = None
        self.point = b""
        self.bad = False
        self.asked = 0

    def serial(self) -> bytes:
        return b"\x01" * 9

    def public_key(self) -> bytes | None:
        self.asked += 1
        if self.key is None:
            return None
        numbers = self.key.public_key().public_numbers()
        return self.point or numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")

    def make_key(self) -> bytes:
        self.key = ec.generate_private_key(ec.SECP256R1())
        return self.public_key() or b""

    def sign(self, digest: bytes) -> bytes:
        assert self.key is not None
        r, s = decode_dss_signature(self.key.sign(digest, ec.ECDSA(Prehashed(SHA256()))))
        return bytes(64) if self.bad else r.to_bytes(32, "big") + s.to_bytes(32, "big")


@pytest.fixture
def element() -> Element:
    return Element()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "identity" / "key.pem"


def test_the_elements_key_is_made_once_and_each_file_has_a_key_of_its_own(element: Element, tmp_path: Path) -> None:
    store = ElementKeyStore(element)
    one, two = store.load_or_create(tmp_path / "1" / "key.pem"), store.load_or_create(tmp_path / "2" / "key.pem")
    assert one.spki_der() != two.spki_der()
    assert one.voucher.spki_der() == two.voucher.spki_der() != one.spki_der()
    assert {one.assurance, one.voucher.assurance, store.assurance} == {"secure-element"}
    assert (isinstance(one, VouchedSigner), isinstance(one, ResidentSigner)) == (True, False)
    assert stat.S_IMODE((tmp_path / "1" / "key.pem").stat().st_mode) == 0o600


def test_who_we_are_is_known_without_the_element(element: Element, path: Path) -> None:
    made = ElementKeyStore(element).load_or_create(path)
    asked = element.asked
    loaded = ElementKeyStore(element).load(path)
    assert (loaded.spki_der(), loaded.voucher.spki_der()) == (made.spki_der(), made.voucher.spki_der())
    assert element.asked == asked


def test_the_element_signs_requests_and_digests_that_others_verify(element: Element, path: Path) -> None:
    voucher = ElementKeyStore(element).load_or_create(path).voucher
    request = x509.load_der_x509_csr(certificate_request(voucher))
    assert request.is_signature_valid
    assert request.public_key() == voucher.public_key
    digest = hashlib.sha256(b"x").digest()
    voucher.public_key.verify(voucher.sign_digest(digest), digest, ec.ECDSA(Prehashed(SHA256())))
    with pytest.raises(ValueError, match="31 bytes came"):
        voucher.sign_digest(bytes(31))


def test_the_first_word_of_an_element_travels(element: Element, path: Path) -> None:
    signer = ElementKeyStore(element).load_or_create(path)
    said = element_enrollment(signer)
    read = ElementEnrollment.from_json(said.to_json())
    assert read == said
    assert said.asked.key_id == said.asked.sensor_id == sensor_id(signer.voucher.spki_der())
    assert x509.load_der_x509_csr(said.asked.request).public_key() == signer.public_key
    signer.voucher.public_key.verify(said.asked.proof_der, said.asked.statement(), ec.ECDSA(SHA256()))
    for wrong in (b"", b"{}", said.to_json()[:-1], said.to_json().replace(b'"asked"', b'"other"')):
        with pytest.raises(SessionError):
            ElementEnrollment.from_json(wrong)


def test_a_signature_that_is_not_the_keys_never_leaves(element: Element, path: Path) -> None:
    voucher = ElementKeyStore(element).load_or_create(path).voucher
    element.bad = True
    with pytest.raises(ElementRefusedError, match="not one of its key"):
        voucher.sign_digest(bytes(32))
    element.bad = False
    element.make_key()
    with pytest.raises(ElementKeyLostError):
        voucher.sign_digest(bytes(32))


@pytest.mark.parametrize("emptied", [False, True], ids=["another key", "no key"])
def test_an_element_with_another_key_is_named_before_anything_is_asked(
    element: Element, path: Path, emptied: bool
) -> None:
    ElementKeyStore(element).load_or_create(path)
    other = Element()
    if not emptied:
        other.make_key()
    with pytest.raises(ElementKeyLostError, match="another key"):
        ElementKeyStore(other).load_or_create(path)
    assert (other.key is None) == emptied


def test_what_is_no_point_of_the_curve_is_no_key(element: Element, path: Path) -> None:
    element.make_key()
    element.point = b"\x01" * 64
    with pytest.raises(ElementRefusedError, match="no point"):
        ElementKeyStore(element).load_or_create(path)
    assert not path.exists()


def test_no_store_takes_the_file_of_another(element: Element, tmp_path: Path) -> None:
    soft, vouched, tpm = tmp_path / "soft.pem", tmp_path / "vouched.pem", tmp_path / "tpm.pem"
    SoftKeyStore().load_or_create(soft)
    ElementKeyStore(element).load_or_create(vouched)
    tpm.write_bytes(b"-----BEGIN TSS2 PRIVATE KEY-----\nAA==\n-----END TSS2 PRIVATE KEY-----\n")
    tpm.chmod(0o600)
    with pytest.raises(KeyStoreDiffersError, match="secure element"):
        SoftKeyStore().load(vouched)
    for path, kind in ((soft, "software"), (tpm, "tpm")):
        with pytest.raises(KeyStoreDiffersError) as told:
            ElementKeyStore(element).load(path)
        assert f'"{kind}"' in told.value.advice


@pytest.mark.parametrize("cut", [b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_a_damaged_file_is_named(element: Element, path: Path, cut: bytes) -> None:
    ElementKeyStore(element).load_or_create(path)
    whole = path.read_bytes()
    at = whole.index(b"-----BEGIN PUBLIC KEY-----")
    path.write_bytes(whole[:at] + cut if cut else whole[at:])
    with pytest.raises(KeyFileError):
        ElementKeyStore(element).load(path)
    path.write_bytes(whole)
    path.chmod(0o640)
    with pytest.raises(KeyExposedError):
        ElementKeyStore(element).load(path)


def test_tls_has_no_way_to_the_element_and_nothing_takes_its_key_out(element: Element, path: Path) -> None:
    voucher = ElementKeyStore(element).load_or_create(path).voucher
    with pytest.raises(CertificateInvalidError, match="signs for"):
        voucher.load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), path)
    delegate = _Delegate(voucher)  # type: ignore[arg-type]
    assert (delegate.key_size, copy.deepcopy(delegate)) == (256, delegate)
    for taken in (delegate.private_numbers, delegate.private_bytes, delegate.exchange):
        with pytest.raises(UnsupportedAlgorithm, match=r"only signs|stays"):
            taken()


def test_the_store_is_the_one_that_was_asked_for_or_an_error(element: Element) -> None:
    assert isinstance(key_store("secure-element", element=element), ElementKeyStore)
    with pytest.raises(ElementMissingError, match="no way to one"):
        key_store("secure-element")
    store = ElementKeyStore(element)
    store.check_present()
    assert (store.ek_sha256(), store.box_secret(b"link")) == (b"", None)
