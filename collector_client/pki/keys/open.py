"""From an authority's entry in the register to its key, wherever that is.

Rules of this file: the one place that knows all kinds. Access (module, PIN, command, time) comes from the configuration
as it is now; which key it is comes from the register, so that a token may move and a key may not change unseen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from collector_client.errors import OperatorError
from collector_client.pki.files import key_pem, load_key, new_key, write
from collector_client.pki.keys.command import CommandSigner
from collector_client.pki.keys.remote import RemoteKey, RemoteSigner
from collector_client.pki.keys.token import token_signer
from collector_client.pki.keys.uri import parse_token_place
from collector_client.pki.register import Entry


@dataclass(frozen=True, slots=True)
class KeyPlaces:
    """How keys that are not files are reached; `environment` is where a PIN may be."""

    pkcs11_uri: str = ""
    command: tuple[str, ...] = ()
    timeout_ms: int = 10_000
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    def signer(self, entry: Entry) -> RemoteSigner:
        """What signs for an authority whose key is no file.

        Raises:
            OperatorError: the configuration does not say where such keys are.
        """
        if entry.key == "pkcs11":
            if not self.pkcs11_uri:
                raise OperatorError(f"the key of {entry.name} is in a token, and [ca] pkcs11_uri is empty", advice=_SET)
            return token_signer(parse_token_place(self.pkcs11_uri), entry.key_id, self.environment)
        if not self.command or not self.command[0].startswith("/"):
            raise OperatorError(
                f"the key of {entry.name} is behind a command, and [ca] command names none by an absolute path",
                advice=_SET,
            )
        return CommandSigner(self.command, entry.key_id, self.timeout_ms)


def open_key(
    folder: Path, entry: Entry, public_key: ec.EllipticCurvePublicKey, places: KeyPlaces
) -> ec.EllipticCurvePrivateKey:
    """The key of an authority whose certificate has `public_key`. A place is asked only when something is signed.

    Raises:
        OperatorError: a file that is missing, damaged, or of another certificate; or a place that is not configured.
    """
    if entry.key != "file":
        return RemoteKey(places.signer(entry), public_key)
    key = load_key(folder / f"{entry.name}.key")
    if key.public_key() != public_key:
        raise OperatorError(
            f"{folder}: {entry.name}.key is not the key of {entry.name}.pem", advice="restore both from a backup"
        )
    return key


def make_key(folder: Path, entry: Entry, places: KeyPlaces) -> ec.EllipticCurvePrivateKey:
    """A new key where the entry says. A token makes it; behind a command it must be there already.

    Raises:
        OperatorError: the place is not configured, or the file is there already.
        KeyFault: the place does not answer or refuses.
        EnvironmentFault: the disk or its permissions refuse.
    """
    if entry.key == "file":
        key = new_key()
        write(folder / f"{entry.name}.key", key_pem(key), fresh_only=True)
        return key
    signer = places.signer(entry)
    return RemoteKey(signer, signer.make())


_SET = "set it in collector.toml, section [ca]"
