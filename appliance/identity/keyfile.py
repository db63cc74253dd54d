"""The file of a key: written once, whole, for its owner only, and refused when others may have read it.

Rules of this file: bytes in, bytes out; what kind of key they are is the stores' business. A file is never overwritten:
whoever comes second uses what the first one made.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from appliance.files import fsync_folder
from appliance.identity.errors import KeyExposedError, KeyFileError

MAX_KEY_BYTES = 8192
NEW_KEY = "delete the file and enroll again with a new token"
TSS2_PEM = b"-----BEGIN TSS2 PRIVATE KEY-----"
"""First line of a key that only a TPM can use. Looked for before parsing: cryptography 43 panics at such a file."""

ELEMENT_PEM = b"-----BEGIN PUBLIC KEY-----"
"""Behind a key that a secure element signs for: the public half of the element's own."""


def read_private(path: Path) -> bytes:
    """At most `MAX_KEY_BYTES` of a key file.

    Raises:
        KeyExposedError: others may read the file, or it is not ours.
        KeyFileError: it is missing or a link.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as exc:
        raise KeyFileError(f"{path}: cannot read the key: {exc.strerror}", advice="enroll first") from exc
    with os.fdopen(fd, "rb") as file:
        # Of the open file, so that nobody can swap it between the question and the answer.
        status = os.fstat(fd)
        if stat.S_IMODE(status.st_mode) & 0o077:
            mode = f"{stat.S_IMODE(status.st_mode):04o}"
            raise KeyExposedError(
                f"{path}: mode {mode} came, 0600 was allowed: others may have read the key",
                advice=f"{NEW_KEY}; if surely nobody read it: chmod 600 {path}",
            )
        if status.st_uid not in (os.geteuid(), 0):
            raise KeyExposedError(
                f"{path}: belongs to user {status.st_uid}, {os.geteuid()} was allowed", advice=NEW_KEY
            )
        return file.read(MAX_KEY_BYTES)


def write_once(path: Path, data: bytes) -> None:
    """Put a key in place: whole, durable, and only if there is none, even when two processes try.

    Raises:
        KeyFileError: it cannot be written.
    """
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            os.fchmod(fd, 0o600)
            file.write(data)
            file.flush()
            os.fsync(fd)
        try:
            # Unlike a rename, a link never replaces: whoever came second uses the first one's key.
            os.link(temporary, path)
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
        fsync_folder(path.parent)
    except OSError as exc:
        raise KeyFileError(f"{path}: cannot make the key: {exc.strerror}", advice="check sensor.state_dir") from exc
