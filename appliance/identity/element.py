"""A sensor named by a key in a secure element: the element signs, a file speaks.

    key of the element    made in it, never out of it   names the sensor; signs for the file's key; cannot do TLS
    key of the file       lives for a day               TLS, with the certificate that the element's word got it

Rules of this file: how the element is reached is `SecureElement`'s business, not known here. The file holds both: its
own key, and the public half of the element's that it belongs to, so that knowing who we are needs no element. A
signature is checked before it leaves: an element that was exchanged is named here, not guessed from a refusal.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, NoReturn, Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from appliance.identity.errors import (
    CertificateInvalidError,
    ElementKeyLostError,
    ElementRefusedError,
    KeyFileError,
    KeyStoreDiffersError,
)
from appliance.identity.keyfile import ELEMENT_PEM, NEW_KEY, TSS2_PEM, read_private, write_once
from appliance.identity.signer import Assurance, Signer
from appliance.identity.softkey import SoftKey, new_key_pem, parse_key

_DIGEST_BYTES = 32


class SecureElement(Protocol):
    """The one slot of a secure element that is ours, wherever it is.

    Every method raises `ElementMissingError` when it cannot be reached, `ElementRefusedError` when it says no.
    """

    def serial(self) -> bytes:
        """Nine octets that no other element has."""

    def public_key(self) -> bytes | None:
        """X and Y, 64 octets; None: there is no key yet."""

    def make_key(self) -> bytes:
        """Make the key; its X and Y. Refused where there is one, unless a hand at the board has allowed it."""

    def sign(self, digest: bytes) -> bytes:
        """ECDSA over 32 octets: R and S, 64 octets."""


class ElementKey:
    """A `Signer`: the key in the element."""

    def __init__(self, element: SecureElement, public_key: ec.EllipticCurvePublicKey) -> None:
        self._element = element
        self._public_key = public_key

    @property
    def assurance(self) -> Assurance:
        """Nobody can copy it."""
        return "secure-element"

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public half, as it was when the key was first used."""
        return self._public_key

    def spki_der(self) -> bytes:
        """SubjectPublicKeyInfo in DER: what the sensor's id is made of."""
        return self._public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def sign_digest(self, digest: bytes) -> bytes:
        """ECDSA over a SHA-256 digest, DER.

        Raises:
            ValueError: the digest is not 32 bytes long.
            ElementMissingError, ElementRefusedError: it cannot be had.
            ElementKeyLostError: what came is not by this key: it is another element, or another key is in it.
        """
        if len(digest) != _DIGEST_BYTES:
            raise ValueError(f"a digest of {len(digest)} bytes came, {_DIGEST_BYTES} were allowed")
        made = self._element.sign(digest)
        signature = encode_dss_signature(int.from_bytes(made[:32], "big"), int.from_bytes(made[32:], "big"))
        try:
            self._public_key.verify(signature, digest, ec.ECDSA(Prehashed(hashes.SHA256())))
        except InvalidSignature:
            self.check()
            raise ElementRefusedError("secure element: the signature that came is not one of its key") from None
        return signature

    def sign_request(self, request: x509.CertificateSigningRequestBuilder) -> bytes:
        """A PKCS#10 request in DER.

        Raises:
            ElementMissingError, ElementRefusedError, ElementKeyLostError: as `sign_digest`.
        """
        return request.sign(_Delegate(self), hashes.SHA256()).public_bytes(Encoding.DER)

    def load_into(self, context: ssl.SSLContext, certificate_path: Path) -> NoReturn:  # noqa: ARG002 - the protocol's shape
        """Raises `CertificateInvalidError`: OpenSSL has no way to the element."""
        raise CertificateInvalidError(
            f"{certificate_path}: a certificate of the key in the secure element came, one of a key that it signs for"
            " was allowed",
            advice="enroll again with a new token",
        )

    def check(self) -> None:
        """See that the element is there and has this key.

        Raises:
            ElementMissingError, ElementRefusedError: it cannot be asked.
            ElementKeyLostError: it has another one, or none.
        """
        numbers = self._public_key.public_numbers()
        if self._element.public_key() != numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big"):
            raise _lost()


class VouchedKey:
    """A `VouchedSigner`; made by `ElementKeyStore`."""

    def __init__(self, file_key: SoftKey, voucher: ElementKey) -> None:
        self._file_key = file_key
        self._voucher = voucher

    @property
    def assurance(self) -> Assurance:
        """Of the key that signs for this one."""
        return "secure-element"

    @property
    def voucher(self) -> Signer:
        """The element's key."""
        return self._voucher

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public half of the file's key."""
        return self._file_key.public_key

    def spki_der(self) -> bytes:
        """SubjectPublicKeyInfo of the file's key in DER."""
        return self._file_key.spki_der()

    def sign_digest(self, digest: bytes) -> bytes:
        """By the file's key."""
        return self._file_key.sign_digest(digest)

    def sign_request(self, request: x509.CertificateSigningRequestBuilder) -> bytes:
        """By the file's key."""
        return self._file_key.sign_request(request)

    def load_into(self, context: ssl.SSLContext, certificate_path: Path) -> None:
        """See `Signer.load_into`."""
        self._file_key.load_into(context, certificate_path)

    def check_voucher(self) -> None:
        """See `ElementKey.check`."""
        self._voucher.check()


class ElementKeyStore:
    """Keys in files that the key of an element signs for."""

    assurance: Assurance = "secure-element"

    def __init__(self, element: SecureElement) -> None:
        self._element = element

    def load(self, path: Path) -> VouchedKey:
        """Read a key's file; the element is not asked.

        Raises:
            KeyExposedError: others may read the file, or it is not ours.
            KeyStoreDiffersError: it is of another store.
            KeyFileError: it is missing, a link, or damaged.
        """
        data = read_private(path)
        at = data.find(ELEMENT_PEM)
        if at < 0 or TSS2_PEM in data:
            kind = "tpm" if TSS2_PEM in data else "software"
            raise KeyStoreDiffersError(
                f"{path}: a key of another store came, one that a secure element signs for was allowed",
                advice=f'set [identity] key_store = "{kind}"; or {NEW_KEY}',
            )
        try:
            public = load_pem_public_key(data[at:])
        except (ValueError, UnsupportedAlgorithm) as exc:
            raise KeyFileError(f"{path}: the element's public key does not read", advice=NEW_KEY) from exc
        if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256R1):
            raise KeyFileError(f"{path}: the element's key is not a P-256 key", advice=NEW_KEY)
        return VouchedKey(SoftKey(path, parse_key(path, data[:at])), ElementKey(self._element, public))

    def load_or_create(self, path: Path) -> VouchedKey:
        """Read a key's file, or make key and file; makes the element's key where it has none.

        Raises:
            KeyFileError: as `load`, or the file cannot be written.
            ElementMissingError, ElementRefusedError: the element cannot be asked.
            ElementKeyLostError: the file belongs to another element's key.
        """
        if not path.is_symlink() and not path.exists():
            public = self.element_key().public_key
            write_once(
                path, new_key_pem() + public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            )  # fmt: skip
        signer = self.load(path)
        signer.check_voucher()
        return signer

    def element_key(self) -> ElementKey:
        """The key in the element, made now if there is none.

        Raises:
            ElementMissingError, ElementRefusedError: it cannot be had.
        """
        point = self._element.public_key() or self._element.make_key()
        try:
            public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + point)
        except ValueError as exc:
            raise ElementRefusedError("secure element: what came is no point of P-256") from exc
        return ElementKey(self._element, public)

    def ek_sha256(self) -> bytes:
        """None: there is no TPM."""
        return b""

    def prepare(self, key_path: Path, configuration_path: Path) -> None:
        """Nothing: OpenSSL reads the file."""

    def check_present(self) -> None:
        """See that the element answers.

        Raises:
            ElementMissingError, ElementRefusedError: it does not.
        """
        self._element.serial()

    def clear_device(self) -> None:
        """Put another key in the place of the element's, for which a hand at the board must have allowed it.

        Raises:
            ElementMissingError, ElementRefusedError: it cannot be had, or nobody has allowed it.
        """
        self._element.make_key()

    def box_secret(self, label: bytes) -> bytes | None:  # noqa: ARG002 - the protocol's shape
        """None: the link to the element needs a secret before the element can be asked for one."""
        return None


def _lost() -> ElementKeyLostError:
    return ElementKeyLostError(
        "secure element: it has another key than the one that this sensor is named by",
        advice="was the supervisor's board exchanged? pin its key and enroll again: vedette supervisor element, then"
        " vedette-collector token new --for SENSOR --key",
    )


class _Delegate(ec.EllipticCurvePrivateKey):
    """What `cryptography` takes for a private key, in order to have a request signed; it signs with SHA-256 only."""

    def __init__(self, key: ElementKey) -> None:
        self._key = key

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:  # noqa: ARG002
        digest = hashes.Hash(hashes.SHA256())
        digest.update(data)
        return self._key.sign_digest(digest.finalize())

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._key.public_key

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._key.public_key.curve

    @property
    def key_size(self) -> int:
        return self.curve.key_size

    def exchange(self, *_: Any) -> NoReturn:
        raise UnsupportedAlgorithm("a key in a secure element only signs")

    def private_numbers(self) -> NoReturn:
        raise UnsupportedAlgorithm("a key in a secure element stays there")

    def private_bytes(self, *_: Any, **__: Any) -> NoReturn:
        raise UnsupportedAlgorithm("a key in a secure element stays there")

    def __copy__(self) -> _Delegate:
        return self

    def __deepcopy__(self, memo: Any) -> _Delegate:
        return self
