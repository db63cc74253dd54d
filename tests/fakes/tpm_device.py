"""A TPM as the collector meets it: EK with certificate, AK, LDevID, and the structures they sign, all forgeable.

It marshals what TPM 2.0 Library part 2 defines, with keys of the cryptography library, and opens credentials by the
specification's own steps (part 1 section 24) written apart from the collector's. Every field may be told otherwise.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from appliance.wire.residency import ResidencyChallenge, ResidencyProof, ResidencyRequest

FIXED = 1 << 1 | 1 << 4 | 1 << 5
EK_ATTRIBUTES = FIXED | 1 << 7 | 1 << 16 | 1 << 17
AK_ATTRIBUTES = FIXED | 1 << 6 | 1 << 10 | 1 << 16 | 1 << 18
LDEVID_ATTRIBUTES = FIXED | 1 << 6 | 1 << 10 | 1 << 18
NO_SYMMETRIC = b"\x00\x10"
AES_128_CFB = b"\x00\x06\x00\x80\x00\x43"
AES_256_CFB = b"\x00\x06\x01\x00\x00\x43"
NO_SCHEME = b"\x00\x10"
ECDSA_SHA256 = b"\x00\x18\x00\x0b"
RSASSA_SHA256 = b"\x00\x14\x00\x0b"
CERTIFY, QUOTE = 0x8017, 0x8018
PCRS = (0, 1, 2, 3, 4, 5, 6, 7)
_HASHES: dict[int, Any] = {0x0B: hashlib.sha256, 0x0C: hashlib.sha384}
_CURVES = {"secp256r1": 3, "secp384r1": 4}


def u16(number: int) -> bytes:
    return number.to_bytes(2, "big")


def u32(number: int) -> bytes:
    return number.to_bytes(4, "big")


def sized(octets: bytes) -> bytes:
    return u16(len(octets)) + octets


def spki(key: Any) -> bytes:
    return bytes(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


@dataclass(frozen=True)
class Object:
    """A key in a TPM: private half, and the fields its public area is made of."""

    key: Any
    attributes: int
    symmetric: bytes = NO_SYMMETRIC
    scheme: bytes = NO_SCHEME
    policy: bytes = b""
    name_algorithm: int = 0x0B

    @property
    def area(self) -> bytes:
        """TPMT_PUBLIC."""
        public = self.key.public_key()
        if isinstance(public, rsa.RSAPublicKey):
            modulus = public.public_numbers().n.to_bytes(public.key_size // 8, "big")
            kind, rest = 0x0001, u16(public.key_size) + u32(0) + sized(modulus)
        else:
            size = (public.curve.key_size + 7) // 8
            point = [number.to_bytes(size, "big") for number in (public.public_numbers().x, public.public_numbers().y)]
            kind = 0x0023
            rest = u16(_CURVES[public.curve.name]) + NO_SCHEME + b"".join(map(sized, point))
        head = u16(kind) + u16(self.name_algorithm) + u32(self.attributes) + sized(self.policy)
        return head + self.symmetric + self.scheme + rest

    @property
    def public(self) -> bytes:
        """TPM2B_PUBLIC."""
        return sized(self.area)

    @property
    def name(self) -> bytes:
        """The object's name."""
        return u16(self.name_algorithm) + bytes(_HASHES[self.name_algorithm](self.area).digest())

    def sign(self, octets: bytes) -> bytes:
        """TPMT_SIGNATURE by the scheme of the key."""
        if isinstance(self.key, rsa.RSAPrivateKey):
            return RSASSA_SHA256 + sized(self.key.sign(octets, padding.PKCS1v15(), hashes.SHA256()))
        r, s = utils.decode_dss_signature(self.key.sign(octets, ec.ECDSA(hashes.SHA256())))
        return ECDSA_SHA256 + sized(r.to_bytes(32, "big")) + sized(s.to_bytes(32, "big"))


def attest(kind: int, nonce: bytes, body: bytes, *, magic: int = 0xFF544347) -> bytes:
    """TPMS_ATTEST."""
    clock = (987_654).to_bytes(8, "big") + u32(3) + u32(1) + b"\x01"
    return (
        u32(magic) + u16(kind) + sized(b"\x00\x0b" + b"q" * 32) + sized(nonce) + clock + (17).to_bytes(8, "big") + body
    )


def selection(pcrs: tuple[int, ...], bank: int = 0x0B) -> bytes:
    """TPML_PCR_SELECTION of one bank."""
    bitmap = sum(1 << number for number in pcrs)
    return u32(1) + u16(bank) + b"\x03" + bitmap.to_bytes(3, "little")


class Maker:
    """A maker of TPMs: root CA, issuing CA, and EK certificates as the TCG's profile wants them."""

    def __init__(self, name: str = "Example TPM maker") -> None:
        self.root_key, self.issuing_key = (
            ec.generate_private_key(ec.SECP384R1()),
            ec.generate_private_key(ec.SECP256R1()),
        )
        self.root = self._certificate(f"{name} root", None, self.root_key.public_key(), ca=True)
        self.issuing = self._certificate(f"{name} EK CA", self.root, self.issuing_key.public_key(), ca=True)

    @property
    def pem(self) -> bytes:
        """What an operator puts under pki/tpm-roots."""
        return b"".join(one.public_bytes(Encoding.PEM) for one in (self.root, self.issuing))

    def ek_certificate(self, ek_key: Any, **changed: Any) -> bytes:
        """The certificate of an endorsement key, DER."""
        return self._certificate("", self.issuing, ek_key, ca=False, **changed).public_bytes(Encoding.DER)

    def _certificate(
        self,
        name: str,
        issuer: x509.Certificate | None,
        key: Any,
        *,
        ca: bool,
        days: tuple[int, int] = (-1, 3650),
        extra: x509.ExtensionType | None = None,
        words: Mapping[str, str] | None = None,
        purpose: str = "2.23.133.8.1",
    ) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)] if name else [])
        now = datetime.now(UTC).replace(microsecond=0)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if issuer is None else issuer.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=days[0]))
            .not_valid_after(now + timedelta(days=days[1]))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(_usage(ca, isinstance(key, rsa.RSAPublicKey)), critical=True)
        )
        if not ca:
            said = words if words is not None else {"1": "id:53544D20", "2": "ST33", "3": "id:00010101"}
            tpm = x509.Name([x509.NameAttribute(x509.ObjectIdentifier(f"2.23.133.2.{n}"), v) for n, v in said.items()])
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DirectoryName(tpm)]), critical=True)
            builder = builder.add_extension(x509.ExtendedKeyUsage([x509.ObjectIdentifier(purpose)]), critical=False)
        if extra is not None:
            builder = builder.add_extension(extra, critical=True)
        signer = self.root_key if issuer is None or issuer is getattr(self, "root", None) else self.issuing_key
        return builder.sign(signer, hashes.SHA256())


def _usage(ca: bool, wraps: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=not ca and wraps,
        data_encipherment=False,
        key_agreement=not ca and not wraps,
        encipher_only=False,
        decipher_only=False,
    )


def rsa_ek() -> Object:
    """An RSA-2048 endorsement key by the TCG's L-1 template."""
    return Object(rsa.generate_private_key(65537, 2048), EK_ATTRIBUTES, AES_128_CFB, policy=b"p" * 32)


def ecc_ek() -> Object:
    """A P-384 endorsement key by the TCG's H-3 template."""
    key = ec.generate_private_key(ec.SECP384R1())
    return Object(key, EK_ATTRIBUTES | 1 << 6, AES_256_CFB, policy=b"p" * 48, name_algorithm=0x0C)


def _ak() -> Object:
    return Object(ec.generate_private_key(ec.SECP256R1()), AK_ATTRIBUTES, scheme=ECDSA_SHA256)


def _ldevid() -> Object:
    return Object(ec.generate_private_key(ec.SECP256R1()), LDEVID_ATTRIBUTES)


@dataclass
class TpmDevice:
    """One TPM with its keys; `certificate` is what its NV holds."""

    ek: Object = field(default_factory=ecc_ek)
    ak: Object = field(default_factory=_ak)
    ldevid: Object = field(default_factory=_ldevid)
    certificate: bytes | None = None
    pcrs: dict[int, bytes] = field(default_factory=lambda: {n: bytes([n]) * 32 for n in PCRS})

    @staticmethod
    def made_by(maker: Maker, ek: Object | None = None) -> TpmDevice:
        """A TPM that leaves its factory."""
        device = TpmDevice(ek or ecc_ek())
        device.certificate = maker.ek_certificate(device.ek.key.public_key())
        return device

    def csr(self, key: Any = None) -> bytes:
        """A certificate request, DER."""
        request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
        return request.sign(key or self.ldevid.key, hashes.SHA256()).public_bytes(Encoding.DER)

    def request(self, **changed: Any) -> ResidencyRequest:
        """The first message."""
        honest = ResidencyRequest(self.ek.public, self.certificate, self.ak.public, self.ldevid.public, self.csr())
        return replace(honest, **changed)

    def answer(self, challenge: ResidencyChallenge, **changed: Any) -> ResidencyProof:
        """The second message; the credential is opened only if this TPM has that EK and that AK."""
        secret = self.activate(challenge.credential_blob, challenge.encrypted_secret)
        certified, quoted = self.certify(challenge.nonce), self.quote(challenge.nonce, challenge.pcrs)
        honest = ResidencyProof(
            challenge.challenge_id, secret, certified, self.ak.sign(certified), quoted, self.ak.sign(quoted), self.pcrs
        )
        return replace(honest, **changed)

    def certify(self, nonce: bytes, name: bytes | None = None) -> bytes:
        """TPM2_Certify's statement about the LDevID."""
        return attest(
            CERTIFY, nonce, sized(self.ldevid.name if name is None else name) + sized(b"\x00\x0b" + b"n" * 32)
        )

    def quote(self, nonce: bytes, pcrs: tuple[int, ...] = PCRS, *, bank: int = 0x0B) -> bytes:
        """TPM2_Quote's statement."""
        digest = hashlib.sha256(b"".join(self.pcrs[number] for number in pcrs)).digest()
        return attest(QUOTE, nonce, selection(pcrs, bank) + sized(digest))

    def activate(self, blob: bytes, encrypted_secret: bytes, name: bytes | None = None) -> bytes:
        """TPM2_ActivateCredential; a credential for another EK or AK fails its integrity check (ValueError)."""
        hash_name = _HASHES[self.ek.name_algorithm]
        size = hash_name().digest_size
        name = self.ak.name if name is None else name
        seed = self._seed(encrypted_secret[2:], size)
        mac, identity = blob[4 : 4 + size], blob[4 + size :]
        mac_key = _kdfa(hash_name, seed, b"INTEGRITY", b"", size * 8)
        if not hmac.compare_digest(hmac.new(mac_key, identity + name, hash_name).digest(), mac):
            raise ValueError("integrity check failed")
        bits = int.from_bytes(self.ek.symmetric[2:4], "big")
        decryptor = Cipher(AES(_kdfa(hash_name, seed, b"STORAGE", name, bits)), CFB(bytes(16))).decryptor()
        plain = decryptor.update(identity) + decryptor.finalize()
        return plain[2 : 2 + int.from_bytes(plain[:2], "big")]

    def _seed(self, encrypted: bytes, size: int) -> bytes:
        key = self.ek.key
        if isinstance(key, rsa.RSAPrivateKey):
            algorithm = hashes.SHA256() if size == 32 else hashes.SHA384()
            return key.decrypt(encrypted, padding.OAEP(padding.MGF1(algorithm), algorithm, b"IDENTITY\x00"))
        n = (key.curve.key_size + 7) // 8
        x, y = (int.from_bytes(encrypted[start : start + n], "big") for start in (2, 4 + n))
        shared = key.exchange(ec.ECDH(), ec.EllipticCurvePublicNumbers(x, y, key.curve).public_key())
        ours = key.public_key().public_numbers().x.to_bytes(n, "big")
        block = u32(1) + shared + b"IDENTITY\x00" + x.to_bytes(n, "big") + ours
        return bytes(_HASHES[self.ek.name_algorithm](block).digest())


def _kdfa(hash_name: Any, key: bytes, label: bytes, context: bytes, bits: int) -> bytes:
    """One block is enough for every key here."""
    return hmac.new(key, u32(1) + label + b"\x00" + context + u32(bits), hash_name).digest()[: bits // 8]
