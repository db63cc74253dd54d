"""A bundle as a file on the box: read, trusted, unpacked piece by piece.

Rules of this file: no more than one piece and zstd's window is in memory. Nothing is handed out before the signature
over the manifest is checked; every piece is hashed on its way, and the end of a part is only reached when length and
hash are those that were signed. Whatever is wrong is `BundleRefusedError`.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from appliance.errors import EnvironmentFault
from appliance.update.errors import BundleRefusedError
from appliance.update.trust import UpdateKeys
from appliance.wire.bundle import HEAD_BYTES, WINDOW_LOG, BundleError, Manifest, Part, read_head

PIECE_BYTES = 1024 * 1024
_DAMAGED = "Take it anew: it was cut off or changed on its way."


class Bundle:
    """A bundle whose signature holds. Close it, or use it with `with`."""

    def __init__(self, file: BinaryIO, manifest: Manifest, key_name: str, begin: int, digest: str) -> None:
        self._file = file
        self.manifest = manifest
        self.key_name = key_name
        self.digest = digest
        """SHA-256 (hex) of the signed manifest, which names everything in the bundle."""
        self._begin = begin

    @classmethod
    def open(cls, path: Path, keys: UpdateKeys) -> Bundle:
        """Open a bundle and believe it, or not.

        Raises:
            BundleRefusedError: it is none, is not whole, or is not signed by one of `keys`.
            EnvironmentFault: the file cannot be read.
        """
        try:
            # The folder is another user's: no link of theirs leads us elsewhere, and no pipe holds us up.
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise EnvironmentFault(f"{path}: {error.strerror}", advice="Name a bundle that is there.") from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise BundleRefusedError(f"{path}: no file came, a bundle was allowed")
        file = os.fdopen(descriptor, "rb")
        try:
            return cls._read(file, keys)
        except BaseException:
            file.close()
            raise

    @classmethod
    def _read(cls, file: BinaryIO, keys: UpdateKeys) -> Bundle:
        try:
            lengths = read_head(file.read(HEAD_BYTES))
            signed = file.read(lengths.manifest_bytes)
            signature = file.read(lengths.signature_bytes)
            key_name = keys.check(signed, signature)
            manifest = Manifest.from_json(signed)
            size = os.fstat(file.fileno()).st_size
        except BundleError as error:
            raise BundleRefusedError(str(error), advice=_DAMAGED) from error
        except OSError as error:
            raise EnvironmentFault(f"bundle: {error.strerror}") from error
        begin = HEAD_BYTES + sum(lengths)
        if size != begin + manifest.stored_bytes:
            raise BundleRefusedError(
                f"bundle: {size} bytes came, {begin + manifest.stored_bytes} were allowed", advice=_DAMAGED
            )
        return cls(file, manifest, key_name, begin, hashlib.sha256(signed).hexdigest())

    def __enter__(self) -> Bundle:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def pieces(self, part: Part) -> Iterator[bytes]:
        """A part unpacked, in pieces of at most `PIECE_BYTES`; ends only when it is whole and as it was signed.

        Raises:
            BundleRefusedError: it is not; the pieces until then are not to be used.
            EnvironmentFault: the file cannot be read.
        """
        before = self.manifest.parts[: self.manifest.parts.index(part)]
        window = _Window(self._file, self._begin + sum(p.stored_bytes for p in before), part.stored_bytes)
        source = cast("BinaryIO", window)
        digest, size = hashlib.sha256(), 0
        try:
            unpacker = zstandard.ZstdDecompressor(max_window_size=1 << WINDOW_LOG)
            # Read, never decompress: a few bytes of zstd may stand for gigabytes.
            with unpacker.stream_reader(source, read_size=PIECE_BYTES, closefd=False) as reader:
                while piece := reader.read(min(PIECE_BYTES, part.size_bytes - size + 1)):
                    size += len(piece)
                    if size > part.size_bytes:
                        break
                    digest.update(piece)
                    yield piece
        except zstandard.ZstdError as error:
            raise BundleRefusedError(f"bundle: {part.name} does not unpack ({error})", advice=_DAMAGED) from error
        except OSError as error:
            raise EnvironmentFault(f"bundle: {error.strerror}") from error
        if size != part.size_bytes or digest.hexdigest() != part.sha256:
            raise BundleRefusedError(
                f"bundle: {part.name} of {min(size, part.size_bytes + 1)} bytes and SHA-256 {digest.hexdigest()} came,"
                f" {part.size_bytes} and {part.sha256} were allowed",
                advice=_DAMAGED,
            )

    def check(self) -> None:
        """Go through all parts and use none.

        Raises:
            BundleRefusedError, EnvironmentFault: as `pieces`.
        """
        for part in self.manifest.parts:
            for _ in self.pieces(part):
                continue


class _Window:
    """A stretch of a file as a file of its own."""

    def __init__(self, file: BinaryIO, begin: int, size: int) -> None:
        self._file, self._at, self._left = file, begin, size

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; none at the end."""
        wanted = self._left if size < 0 else min(size, self._left)
        data = os.pread(self._file.fileno(), wanted, self._at)
        self._at += len(data)
        self._left -= len(data)
        return data
