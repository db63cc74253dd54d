"""The key that this box and its supervisor have in common.

Rules of this file: where the sensor's key is in a TPM, the TPM makes this one too, each time it is asked for, and
nothing of it is on the disk: neither a reset nor an empty disk parts the pair. Otherwise it is a file for its owner
only, made once. It authorises power and watchdog actions, and where the board has a secure element
its signatures: who has the key and the line can restart this box and have it sign.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from appliance.identity import KeyFileError, KeyStore
from appliance.identity.keyfile import read_private, write_once
from appliance.wire.mcu_link import KEY

LABEL = b"vedette supervisor link 1"
FOLDER = "supervisor"
"""In the state folder; a factory reset leaves it, because the pair was made by the box's maker."""


def link_key(keys: KeyStore, state_dir: Path) -> bytes | None:
    """The key; None when there is none yet.

    Raises:
        KeyFileError: the TPM does not answer, or the file is not whole or others may have read it.
    """
    secret = keys.box_secret(LABEL)
    if secret is not None:
        return secret
    path = state_dir / FOLDER / "link.key"
    if not path.exists():
        return None
    secret = read_private(path)
    if len(secret) != KEY or not any(secret):
        raise KeyFileError(
            f"{path}: {len(secret)} octets came, {KEY} were allowed, not all of them zero",
            advice="delete the file, take the key out of the supervisor by its service port, and pair again",
        )
    return secret


class KeySource:
    """The key, asked for once; one that is not there yet is asked for again, or made where `random` is given."""

    def __init__(self, keys: KeyStore, state_dir: Path, random: Callable[[int], bytes] | None = None) -> None:
        self._keys = keys
        self._state_dir = state_dir
        self._random = random
        self._key: bytes | None = None

    def __call__(self) -> bytes | None:
        """See `link_key` and `make_link_key`.

        Raises:
            KeyFileError: as they.
        """
        if self._key is None and self._random is None:
            self._key = link_key(self._keys, self._state_dir)
        elif self._key is None and self._random is not None:
            self._key = make_link_key(self._keys, self._state_dir, self._random)
        return self._key


def make_link_key(keys: KeyStore, state_dir: Path, random: Callable[[int], bytes]) -> bytes:
    """The key, made now if there was none; on the disk before anybody else has it.

    Raises:
        KeyFileError: as `link_key`, or the file cannot be written.
    """
    key = link_key(keys, state_dir)
    if key is None:
        write_once(state_dir / FOLDER / "link.key", random(KEY))
        key = link_key(keys, state_dir)
        assert key is not None  # noqa: S101 - write_once has just succeeded
    return key
