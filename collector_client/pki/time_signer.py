"""The signer of the time: the server's key says what time it is, for boxes that have no clock to verify TLS by.

Rules of this file: it signs `wire.signed_time.time_statement` and nothing else, so a statement can be taken for nothing
else either (a TLS handshake's signature begins with 64 blanks, RFC 8446 section 4.4.3). Files are read again when the
server's certificate was renewed.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from appliance.wire.signed_time import SignedTime, time_statement
from collector_client.errors import OperatorError

_ECDSA = ec.ECDSA(hashes.SHA256())


class TimeSigner:
    """Of one authority's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._server = folder, folder / "server.pem"
        self._digest = b""
        self._key: ec.EllipticCurvePrivateKey | None = None
        self._chain: tuple[bytes, ...] = ()

    def sign(self, nonce: str, now_ns: int) -> SignedTime:
        """The time with the nonce, and the chain that the signature is to be judged by.

        Raises:
            OperatorError: the server's file is missing or damaged.
        """
        key = self._load()
        return SignedTime(nonce, now_ns, key.sign(time_statement(nonce, now_ns), _ECDSA), self._chain)

    def _load(self) -> ec.EllipticCurvePrivateKey:
        try:
            server = self._server.read_bytes()
            # Also a retired root's: a box that was away knows no other pin, and the link leads from it to the leaf.
            roots = b"".join(path.read_bytes() for path in sorted(self._folder.glob("root*.pem")))
            digest = hashlib.sha256(server + roots).digest()
            if self._key is None or digest != self._digest:
                key = load_pem_private_key(server, None)
                if not isinstance(key, ec.EllipticCurvePrivateKey):
                    raise OperatorError(f"{self._server}: {type(key).__name__} came, an elliptic-curve key was allowed")
                chain = [*x509.load_pem_x509_certificates(server), *x509.load_pem_x509_certificates(roots)]
                self._key, self._digest = key, digest
                self._chain = tuple(dict.fromkeys(certificate.public_bytes(Encoding.DER) for certificate in chain))
        except (OSError, ValueError, TypeError) as error:
            raise OperatorError(
                f"{self._server}: cannot be used to sign the time ({error})", advice="restore it from a backup"
            ) from error
        return self._key
