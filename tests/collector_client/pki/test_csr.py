"""A request is taken for its proven key alone; everything else ends in CsrError."""

from __future__ import annotations

import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from appliance.wire.enrollment import MAX_CSR_BYTES
from collector_client.pki import CsrError, read_csr

KEY = ec.generate_private_key(ec.SECP256R1())


def request(key: object = KEY, digest: hashes.HashAlgorithm | None = hashes.SHA256()) -> bytes:  # noqa: B008
    name = x509.Name(
        [
            x509.NameAttribute(x509.NameOID.COMMON_NAME, "root CA"),
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "x"),
        ]
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(key, digest).public_bytes(Encoding.DER)  # type: ignore[arg-type]


GOOD = request()


def test_a_good_request_gives_its_key() -> None:
    assert read_csr(base64.encodebytes(GOOD)) == KEY.public_key()


@pytest.mark.parametrize(
    ("der", "came"),
    [
        (request(ec.generate_private_key(ec.SECP384R1())), "secp384r1"),
        (request(rsa.generate_private_key(65537, 2048)), "RSA"),
        (request(ed25519.Ed25519PrivateKey.generate(), None), "Ed25519"),
        (GOOD[:-1] + bytes([GOOD[-1] ^ 1]), "signature"),
        (GOOD + b"\0", "no PKCS#10"),
        (GOOD[:-20], "no PKCS#10"),
        (b"\x30\x80", "no PKCS#10"),
    ],
    ids=["another curve", "RSA", "Ed25519", "wrong signature", "bytes after it", "cut off", "no DER"],
)
def test_another_request_is_refused_by_name(der: bytes, came: str) -> None:
    with pytest.raises(CsrError, match=came):
        read_csr(base64.encodebytes(der))


@pytest.mark.parametrize("body", [b"", b"\xff", b"=" * 8, b"A" * (MAX_CSR_BYTES + 1)])
def test_what_is_no_base64_is_refused(body: bytes) -> None:
    with pytest.raises(CsrError):
        read_csr(body)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_a_request_with_any_byte_changed_is_never_taken(at: int, change: int) -> None:
    damaged = GOOD[:at] + bytes([GOOD[at] ^ change]) + GOOD[at + 1 :]
    with pytest.raises(CsrError):
        read_csr(base64.encodebytes(damaged))
