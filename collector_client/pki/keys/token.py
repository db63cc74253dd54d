"""A key in a PKCS#11 token: a hardware security module, a smart card, SoftHSM.

    asked          no session open      session open
    sign           log in, find, sign   sign
    it failed      KeyFault             close, look for the token anew, log in, find, sign; KeyFault if that fails too
    wrong PIN      KeyFault, and the token is not asked again with this PIN: three wrong ones lock it

Rules of this file: the only one that imports the PKCS#11 library, which may be absent. Every exception of it ends here
as `KeyFault`. A key is made so that it can never be read out. One thread at a time (a lock).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key

from collector_client.errors import CollectorError, OperatorError
from collector_client.pki.keys.remote import KeyFault, p256
from collector_client.pki.keys.uri import TokenPlace

try:
    import pkcs11
    import pkcs11.util.ec
except ImportError:  # the extra [pkcs11] is not installed
    pkcs11 = None

_SIGNATURE_BYTES = 64


@dataclass(slots=True)
class TokenSigner:
    """One key of one token, by its label."""

    place: TokenPlace
    label: str
    environment: Mapping[str, str] = field(repr=False)
    where: str = field(init=False)
    _session: Any = field(init=False, default=None, repr=False)
    _key: Any = field(init=False, default=None, repr=False)
    _refused_pin: bytes = field(init=False, default=b"", repr=False)
    _mutex: threading.Lock = field(init=False, default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        self.where = f"{self.place}, key {self.label}"

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public half, as the token tells it; raises `KeyFault`."""
        return p256(self.where, self._tried(self._read_public))

    def sign_digest(self, digest: bytes) -> bytes:
        """Sign in the token; raises `KeyFault`."""
        raw = self._tried(lambda: self._private().sign(digest, mechanism=pkcs11.Mechanism.ECDSA))
        if not isinstance(raw, bytes) or len(raw) != _SIGNATURE_BYTES:
            raise KeyFault(f"{self.where}: a signature of another form came, r and s of 32 bytes each were allowed")
        half = _SIGNATURE_BYTES // 2
        return encode_dss_signature(int.from_bytes(raw[:half]), int.from_bytes(raw[half:]))

    def make(self) -> ec.EllipticCurvePublicKey:
        """Make the key in the token, unless one of this label is there.

        Raises:
            KeyFault: the token does not answer, refuses, or cannot make such keys.
        """
        with self._mutex:
            try:
                self._open(writing=True)
                self._generate()
                return self._read_public()
            except (pkcs11.PKCS11Error, OSError) as error:
                raise self._fault(error) from error
            finally:
                self._close()

    def close(self) -> None:
        """Log out."""
        with self._mutex:
            self._close()

    def _tried(self, ask: Any) -> Any:
        """What the token answers; asked once more with a fresh session when an open one failed."""
        with self._mutex:
            try:
                if self._session is not None:
                    try:
                        return ask()
                    except pkcs11.PKCS11Error:
                        self._close()
                self._open(writing=False)
                return ask()
            except (pkcs11.PKCS11Error, OSError, ValueError) as error:
                self._close()
                raise self._fault(error) from error

    def _open(self, *, writing: bool) -> None:
        pin = self._pin()
        digest = hashlib.sha256(pin.encode()).digest()
        if digest == self._refused_pin:
            raise KeyFault(f"{self.where}: the PIN was wrong before and is not tried again", advice=_PIN)
        library = pkcs11.lib(str(self.place.module))
        # Only so do tokens that came or went after the first look become visible (C_Initialize again).
        library.reinitialize()
        wanted = {"token_label": self.place.token} | (
            {"token_serial": self.place.serial.encode()} if self.place.serial else {}
        )
        token = library.get_token(**wanted)
        try:
            self._session = token.open(rw=writing, user_pin=pin)
        except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange, pkcs11.PinLocked):
            self._refused_pin = digest
            raise

    def _pin(self) -> str:
        try:
            return self.place.pin(self.environment)
        except CollectorError as error:
            raise KeyFault(f"{self.where}: {error}", advice=error.advice or "check pin-source") from error

    def _private(self) -> Any:
        if self._key is None:
            self._key = self._session.get_key(pkcs11.ObjectClass.PRIVATE_KEY, label=self.label)
        return self._key

    def _read_public(self) -> ec.EllipticCurvePublicKey:
        found = self._session.get_key(pkcs11.ObjectClass.PUBLIC_KEY, label=self.label)
        return p256(self.where, load_der_public_key(pkcs11.util.ec.encode_ec_public_key(found)))

    def _generate(self) -> None:
        try:
            self._session.get_key(pkcs11.ObjectClass.PRIVATE_KEY, label=self.label)
        except pkcs11.NoSuchKey:
            curve = pkcs11.util.ec.encode_named_curve_parameters("secp256r1")
            parameters = self._session.create_domain_parameters(
                pkcs11.KeyType.EC, {pkcs11.Attribute.EC_PARAMS: curve}, local=True
            )
            private = {
                pkcs11.Attribute.SENSITIVE: True,
                pkcs11.Attribute.EXTRACTABLE: False,
                pkcs11.Attribute.DERIVE: False,
            }
            parameters.generate_keypair(
                store=True, label=self.label, id=hashlib.sha256(self.label.encode()).digest()[:8],
                private_template=private,
            )  # fmt: skip

    def _close(self) -> None:
        session, self._session, self._key = self._session, None, None
        if session is not None:
            try:
                session.close()
            except pkcs11.PKCS11Error:
                return  # the token is gone, and the session with it

    def _fault(self, error: Exception) -> KeyFault:
        for kind, words, advice in _WORDS():
            if isinstance(error, kind):
                return KeyFault(f"{self.where}: {words}", advice=advice)
        name = type(error).__name__
        return KeyFault(
            f"{self.where}: the token failed ({name})", advice="is the token there, and its module current?"
        )


_PIN = "put the right PIN where pin-source says; look at the token first: wrong PINs lock it"


def _WORDS() -> tuple[tuple[type[Exception], str, str], ...]:  # noqa: N802 - a table that needs the library
    return (
        (pkcs11.PinLocked, "the PIN is locked", "unlock it with the security officer's PIN"),
        (pkcs11.PinIncorrect, "the PIN is wrong", _PIN),
        (pkcs11.PinInvalid, "the PIN is wrong", _PIN),
        (pkcs11.PinLenRange, "the PIN is wrong", _PIN),
        (
            pkcs11.NoSuchToken,
            "no token of this label",
            "is it plugged in? is the label that of `p11tool --list-tokens`?",
        ),
        (pkcs11.TokenNotPresent, "the token is gone", "plug it in again"),
        (pkcs11.DeviceRemoved, "the token is gone", "plug it in again"),
        (pkcs11.NoSuchKey, "no key of this label is in the token", "was it restored or initialized anew?"),
        (pkcs11.MultipleObjectsReturned, "several keys of this label are in the token", "take the wrong ones out"),
        (OSError, "the module cannot be loaded", "check module-path"),
    )


def token_signer(place: TokenPlace, label: str, environment: Mapping[str, str]) -> TokenSigner:
    """A signer for one key.

    Raises:
        OperatorError: the PKCS#11 library is not installed here.
    """
    if pkcs11 is None:
        raise OperatorError(
            "the Python package python-pkcs11 is not installed, a key in a token needs it",
            advice="pip install 'vedette[collector,pkcs11]'",
        )
    return TokenSigner(place, label, environment)
