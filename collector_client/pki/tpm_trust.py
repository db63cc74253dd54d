"""Which TPMs are believed, from files that the operator puts under `DIR/pki/`:

    tpm-roots/*.pem              CA certificates of TPM makers, roots and the links below them: assurance `tpm`
    tpm-roots-development/*.pem  the same of software TPMs: verified as well, but the assurance stays `software`
    tpm-allowed                  SHA-256 (hex) of an endorsement key's SubjectPublicKeyInfo, one a line: `tpm`

Rules of this file: the only reader of these files; all may be absent, and then no TPM is known. They are read again
when one has changed, so that a new root needs no restart. What is there must be readable whole: a file with an error
stops enrollment by TPM with its name rather than trusting less, or more, than the operator wrote.
"""

from __future__ import annotations

import re
import stat
import threading
from pathlib import Path

from cryptography import x509

from collector_client.attest import Trust
from collector_client.errors import EnvironmentFault, OperatorError

MAKERS_NAME = "tpm-roots"
DEVELOPMENT_NAME = "tpm-roots-development"
ALLOWED_NAME = "tpm-allowed"
MAX_FILE_BYTES = 4 * 1024 * 1024
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)

_Stamp = tuple[tuple[str, int, int], ...]


class TpmTrust:
    """The files of one collector; thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mutex = threading.Lock()
        self._read: tuple[_Stamp, Trust] | None = None

    def current(self) -> Trust:
        """What the files say now.

        Raises:
            OperatorError: a file is no certificate or no list of digests, or others may write it.
            EnvironmentFault: the disk or its permissions refuse.
        """
        with self._mutex:
            try:
                stamp = self._stamp()
                if self._read is None or self._read[0] != stamp:
                    self._read = (stamp, self._load())
            except OSError as error:
                raise EnvironmentFault(
                    f"{error.filename or self._folder}: {error.strerror or error}", advice="check its permissions"
                ) from error
            return self._read[1]

    def _stamp(self) -> _Stamp:
        paths = [*self._pems(MAKERS_NAME), *self._pems(DEVELOPMENT_NAME)]
        allowed = self._folder / ALLOWED_NAME
        if allowed.exists():
            paths.append(allowed)
        return tuple((str(path), found.st_mtime_ns, found.st_size) for path in paths for found in [path.stat()])

    def _load(self) -> Trust:
        return Trust(
            makers=tuple(one for path in self._pems(MAKERS_NAME) for one in _certificates(path)),
            development=tuple(one for path in self._pems(DEVELOPMENT_NAME) for one in _certificates(path)),
            allowed=_allowed(self._folder / ALLOWED_NAME),
        )

    def _pems(self, name: str) -> list[Path]:
        folder = self._folder / name
        return sorted(folder.glob("*.pem")) if folder.is_dir() else []


def _bytes(path: Path) -> bytes:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o022:
        raise OperatorError(f"{path}: mode {mode:04o} came, one that others cannot write was allowed")
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise OperatorError(f"{path}: more than {MAX_FILE_BYTES} bytes came, at most that was allowed")
    return data


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_bytes(path))
    except ValueError as error:
        raise OperatorError(
            f"{path}: no certificates in PEM ({error})", advice="convert it: openssl x509 -inform DER -in FILE"
        ) from error


def _allowed(path: Path) -> frozenset[bytes]:
    if not path.exists():
        return frozenset()
    found: set[bytes] = set()
    for number, line in enumerate(_bytes(path).decode("utf-8", "replace").splitlines(), 1):
        text = line.partition("#")[0].strip().lower()
        if text and not _DIGEST.fullmatch(text):
            raise OperatorError(f"{path}:{number}: {text[:80]!r} came, a SHA-256 in hex was allowed")
        if text:
            found.add(bytes.fromhex(text))
    return frozenset(found)
