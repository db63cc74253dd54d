"""The bundles that a collector has for its boxes: taken in, read by pieces, let go.

Rules of this file: files in `updates/` and nothing else. A bundle has its SHA-256 for a name, so that what an offer
says is what is sent. Whose signature it bears is the boxes' to judge: a collector that was broken into can offer, and
no box installs it.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import BinaryIO, NamedTuple

from appliance.wire.bundle import HEAD_BYTES, MAX_BUNDLE_BYTES, BundleError, Manifest, read_head
from collector_client.errors import EnvironmentFault, OperatorError

FOLDER = "updates"
_PIECE_BYTES = 1024 * 1024


class Taken(NamedTuple):
    """A bundle that is in its place."""

    manifest: Manifest
    sha256: str
    size_bytes: int


def take_in(directory: Path, source: Path) -> Taken:
    """Copy a bundle to where boxes are served from; returns what it says of itself.

    Raises:
        OperatorError: it is no bundle, or not whole.
        EnvironmentFault: it cannot be read or copied.
    """
    folder = directory / FOLDER
    unfinished = folder / f".{os.getpid()}.new"
    try:
        folder.mkdir(mode=0o755, exist_ok=True)
        digest, size = hashlib.sha256(), 0
        with source.open("rb") as file, unfinished.open("wb") as copy:
            manifest = _manifest(file)
            whole = file.tell() + manifest.stored_bytes
            file.seek(0)
            while piece := file.read(_PIECE_BYTES):
                size += len(piece)
                digest.update(piece)
                copy.write(piece)
                if size > whole:
                    break
            copy.flush()
            os.fsync(copy.fileno())
        if size != whole or size > MAX_BUNDLE_BYTES:
            raise OperatorError(
                f"{source}: {size} bytes came, {whole} were allowed", advice="It was cut off or added to: copy it anew."
            )
        unfinished.replace(bundle_path(directory, digest.hexdigest()))
        return Taken(manifest, digest.hexdigest(), size)
    except BundleError as error:
        raise OperatorError(f"{source}: {error}", advice="Name a bundle: make image-bundle makes one.") from error
    except OSError as error:
        raise EnvironmentFault(f"{error.filename or source}: {error.strerror}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def bundle_path(directory: Path, sha256: str) -> Path:
    """Where a bundle is."""
    return directory / FOLDER / f"{sha256}.bundle"


def read_piece(directory: Path, sha256: str, first: int, size: int) -> bytes:
    """A stretch of a bundle; shorter at its end.

    Raises:
        OSError: it cannot be read.
    """
    with bundle_path(directory, sha256).open("rb") as file:
        return os.pread(file.fileno(), size, first)


def let_go(directory: Path, sha256: str) -> None:
    """Remove a bundle that is offered no more.

    Raises:
        EnvironmentFault: it cannot be removed.
    """
    try:
        bundle_path(directory, sha256).unlink(missing_ok=True)
    except OSError as error:
        raise EnvironmentFault(f"{error.filename}: {error.strerror}") from error


def _manifest(file: BinaryIO) -> Manifest:
    """What a bundle says of itself; the file stands before its parts then."""
    lengths = read_head(file.read(HEAD_BYTES))
    signed = file.read(lengths.manifest_bytes)
    file.seek(lengths.signature_bytes, os.SEEK_CUR)
    return Manifest.from_json(signed)
