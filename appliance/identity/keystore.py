"""Where the sensor's key lives, as configured: in a file, in a TPM, or in a secure element that signs for files.

Rules of this file: the configured store or a named error, never another one instead.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Protocol, cast

from appliance.identity.element import ElementKeyStore, SecureElement
from appliance.identity.errors import ElementMissingError, KeyFileError, TpmMissingError
from appliance.identity.signer import Assurance, Signer
from appliance.identity.softkey import SoftKey

NO_TPM = 'a box without a TPM, for a trial: [identity] key_store = "software"'


class KeyStore(Protocol):
    """Makes and loads keys of one kind."""

    @property
    def assurance(self) -> Assurance:
        """What the collector may think of keys from here."""

    def load(self, path: Path) -> Signer:
        """Read a key's file.

        Raises:
            KeyFileError: it cannot be used.
        """

    def load_or_create(self, path: Path) -> Signer:
        """Read a key's file, or make key and file if there is none.

        Raises:
            KeyFileError: the key cannot be used or made.
        """

    def ek_sha256(self) -> bytes:
        """What a collector knows the TPM by (of its endorsement key's SubjectPublicKeyInfo); empty: there is no TPM.

        Raises:
            KeyFileError: the TPM cannot be asked.
        """

    def prepare(self, key_path: Path, configuration_path: Path) -> None:
        """See that TLS in this process can use the key; may start the program again as the same process.

        `configuration_path` is where a configuration for OpenSSL may be written.

        Raises:
            KeyFileError: TLS cannot use it, by the name of the reason.
        """

    def check_present(self) -> None:
        """See that keys can be made here, without making one.

        Raises:
            KeyFileError: they cannot, by the name of the reason.
        """

    def clear_device(self) -> None:
        """Make every key that was ever made here worthless, copies included.

        Raises:
            KeyFileError: there is no device that could, or it refuses.
        """

    def box_secret(self, label: bytes) -> bytes | None:
        """32 octets of this label that only this box can know, the same each time; None: there is no device for it.

        Raises:
            KeyFileError: the device cannot be asked.
        """


class SoftKeyStore:
    """Keys in files."""

    assurance: Assurance = "software"

    def load(self, path: Path) -> Signer:
        """See `KeyStore.load`."""
        return SoftKey.load(path)

    def load_or_create(self, path: Path) -> Signer:
        """See `KeyStore.load_or_create`."""
        return SoftKey.load_or_create(path)

    def ek_sha256(self) -> bytes:
        """None."""
        return b""

    def prepare(self, key_path: Path, configuration_path: Path) -> None:
        """Nothing: OpenSSL reads the file."""

    def check_present(self) -> None:
        """Nothing: a file can always be made, or the disk's check says why not."""

    def clear_device(self) -> None:
        """Raises `KeyFileError`: nothing can reach the copies of a file."""
        raise KeyFileError(
            'a software key came, [identity] key_store = "tpm" was allowed',
            advice="without --clear-tpm the key's file is removed; revoke the sensor at the collector",
        )

    def box_secret(self, label: bytes) -> bytes | None:  # noqa: ARG002 - the protocol's shape
        """None."""
        return None


class AbsentKeyStore:
    """The store that is asked for and cannot be opened: says so whenever a key is wanted, for who looks at the rest."""

    def __init__(self, assurance: Assurance, reason: KeyFileError) -> None:
        self.assurance: Assurance = assurance
        self._reason = reason

    def load(self, path: Path) -> Signer:  # noqa: ARG002 - the protocol's shape
        """Raises the reason."""
        raise self._reason

    def load_or_create(self, path: Path) -> Signer:  # noqa: ARG002 - the protocol's shape
        """Raises the reason."""
        raise self._reason

    def ek_sha256(self) -> bytes:
        """Raises the reason."""
        raise self._reason

    def prepare(self, key_path: Path, configuration_path: Path) -> None:  # noqa: ARG002 - the protocol's shape
        """Raises the reason."""
        raise self._reason

    def check_present(self) -> None:
        """Raises the reason."""
        raise self._reason

    def clear_device(self) -> None:
        """Raises the reason."""
        raise self._reason

    def box_secret(self, label: bytes) -> bytes | None:  # noqa: ARG002 - the protocol's shape
        """Raises the reason."""
        raise self._reason


def key_store(kind: str, tcti: str = "", element: SecureElement | None = None) -> KeyStore:
    """The store that the configuration names; `tcti` is where the TPM is, `element` the way to the secure element.

    Raises:
        ElementMissingError: a secure element is asked for and there is no way to one.
        TpmMissingError: a TPM is asked for and the library to speak to it is not installed.
    """
    if kind == "secure-element":
        if element is None:
            raise ElementMissingError(
                '[identity] key_store = "secure-element": no way to one came', advice="set [supervisor] port"
            )
        return ElementKeyStore(element)
    if kind != "tpm":
        return SoftKeyStore()
    try:
        # Only now: a box with its key in a file needs neither tpm2-pytss nor the TPM's libraries.
        tpm = importlib.import_module("appliance.identity.tpm")
    except ImportError as exc:
        raise TpmMissingError(
            f'[identity] key_store = "tpm": {exc}',
            advice="install Debian 13's python3-tpm2-pytss or the extra vedette[tpm]; in a source tree make setup-test;"
            f" {NO_TPM}",
        ) from exc
    return cast("KeyStore", tpm.TpmKeyStore(tcti))
