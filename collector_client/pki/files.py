"""Files for their owner alone: certificates and keys in PEM, and whatever else must be written whole.

Rules of this file: a file appears whole or not at all and is on disk before the call returns; a file that others can
read is refused, because its key must be taken for lost. What the files mean is decided elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from collector_client.errors import EnvironmentFault, OperatorError

MAX_FILE_BYTES = 256 * 1024
_CHECK = "check free space and permissions"


def new_key() -> ec.EllipticCurvePrivateKey:
    """A P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def pem_of(*certificates: x509.Certificate) -> bytes:
    """Certificates as one PEM file."""
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key, PKCS#8 in PEM, not encrypted."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def load_certificates(path: Path, *, private: bool = True) -> list[x509.Certificate]:
    """Every certificate of a PEM file, at least one.

    Raises:
        OperatorError: missing, damaged, or (with `private`) readable for others.
        EnvironmentFault: the disk or its permissions refuse.
    """
    data = read(path, private=private)
    try:
        return x509.load_pem_x509_certificates(data)
    except (ValueError, x509.InvalidVersion) as error:
        raise OperatorError(f"{path}: no certificate ({error})", advice="restore it from a backup") from error


def load_certificate(path: Path) -> x509.Certificate:
    """The first certificate of a private PEM file; raises as `load_certificates`."""
    return load_certificates(path)[0]


def load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """A P-256 private key.

    Raises:
        OperatorError: missing, damaged, another kind of key, or readable for others.
        EnvironmentFault: the disk or its permissions refuse.
    """
    data = read(path)
    try:
        key = load_pem_private_key(data, None)
    except (ValueError, TypeError) as error:
        raise OperatorError(f"{path}: no private key ({error})", advice="restore it from a backup") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise OperatorError(f"{path}: {type(key).__name__} came, an elliptic-curve key on P-256 was allowed")
    return key


def check_private(path: Path) -> None:
    """Refuse a file that is missing or that others can read.

    Raises:
        OperatorError: so it is.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise OperatorError(
            f"{path}: {error.strerror or error}", advice="restore it from a backup, or make a new store"
        ) from error
    if stat.S_IMODE(mode) & 0o077:
        raise OperatorError(f"{path}: mode {stat.S_IMODE(mode):04o} came, 0600 was allowed", advice=f"chmod 600 {path}")


def read(path: Path, *, private: bool = True) -> bytes:
    """A small file's bytes; raises as `load_certificates`."""
    if private:
        check_private(path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise OperatorError(f"{path}: {error.strerror}", advice="check the path") from error
    except OSError as error:
        raise fault(path, error) from error
    if len(data) > MAX_FILE_BYTES:
        raise OperatorError(f"{path}: more than {MAX_FILE_BYTES} bytes came, at most that was allowed")
    return data


def write(path: Path, data: bytes, *, fresh_only: bool = False, advice: str = _CHECK) -> None:
    """Write a file that appears whole or not at all, and is on disk when this returns.

    Raises:
        OperatorError: with `fresh_only`, the file is there already.
        EnvironmentFault: the disk or its permissions refuse (`advice` is what to do); nothing of the file is left.
    """
    fresh = path.with_name(path.name + ".new")
    try:
        _write(fresh, path, data, fresh_only=fresh_only)
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise fault(path, error, advice) from error


def _write(fresh: Path, path: Path, data: bytes, *, fresh_only: bool) -> None:
    fresh.unlink(missing_ok=True)
    # With O_EXCL a link in the file's place is refused, not followed.
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    if fresh_only:
        _place_fresh(fresh, path)
    else:
        fresh.replace(path)
    sync_folder(path.parent)


def _place_fresh(fresh: Path, path: Path) -> None:
    # A memory stick's FAT knows no hard links, so the name is taken by creating it.
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        fresh.unlink()
        raise OperatorError(
            f"{path}: exists already, a new file was allowed", advice="nothing was changed; name another place"
        ) from None
    fresh.replace(path)


def remove(path: Path) -> None:
    """Take a file away, durably; one that is not there is fine.

    Raises:
        EnvironmentFault: the disk or its permissions refuse.
    """
    try:
        path.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise fault(path, error) from error


def make_folder(folder: Path) -> None:
    """A new folder for the owner alone.

    Raises:
        OperatorError: it exists.
        EnvironmentFault: the disk or its permissions refuse.
    """
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        raise OperatorError(f"{folder}: exists already, a new folder was allowed") from None
    except OSError as error:
        raise fault(folder, error) from error


def sync_folder(folder: Path) -> None:
    """Bring a folder's entries to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fault(path: Path, error: OSError, advice: str = _CHECK) -> EnvironmentFault:
    """The machine's refusal, named."""
    return EnvironmentFault(f"{path}: {error.strerror or error}", advice=advice)
