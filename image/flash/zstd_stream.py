"""A zstd file as the bytes in it, by whatever this computer has: Python 3.14's own module, zstandard, or the program.

Rules of this file: memory is bounded whatever the stream says (4 bytes of it can mean 128 KiB of zeros). Source of the
header: RFC 8878, 3.1.1.
"""

from __future__ import annotations

import importlib
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from image.flash.errors import HostError, ImageRefusedError

OnRead = Callable[[bytes], object]

MAGIC = b"\x28\xb5\x2f\xfd"
AGAIN = "download it again"
_PIECE_BYTES = 1024 * 1024
# What a decoder may be made to keep: `zstd -19` asks for 8 MiB, 128 MiB is the program's own limit.
_WINDOW_BYTES = 128 * 1024 * 1024


def content_size(head: bytes) -> int | None:
    """The size of the content, where the first frame's header says it."""
    if len(head) < 18 or head[:4] != MAGIC:
        return None
    descriptor = head[4]
    single, size_flag, dictionary_flag = descriptor >> 5 & 1, descriptor >> 6, descriptor & 3
    length = (1 if single else 0, 2, 4, 8)[size_flag]
    if not length:
        return None
    at = 5 + (0 if single else 1) + (0, 1, 2, 4)[dictionary_flag]
    return int.from_bytes(head[at : at + length], "little") + (256 if length == 2 else 0)


class _Told:
    """A file whose reader is overheard: `on_read` sees every byte, also those that a decoder does not need."""

    def __init__(self, file: BinaryIO, on_read: OnRead) -> None:
        self._file, self._on_read = file, on_read

    def read(self, size: int = -1) -> bytes:
        """As the file's."""
        data = self._file.read(size)
        self._on_read(data)
        return data

    def seekable(self) -> bool:
        """Never: what was read was told."""
        return False

    def drain(self) -> None:
        """Tell what the decoder has not asked for."""
        while self.read(_PIECE_BYTES):
            pass


def decompressed(file: BinaryIO, on_read: OnRead) -> Iterator[bytes]:
    """The content in pieces of bounded size; `on_read(bytes)` sees all of the file.

    A stream that ends early may end here without an error: zstandard does not tell. The caller knows the size.

    Raises:
        ImageRefusedError: it is damaged.
        HostError: there is nothing here that reads zstd.
    """
    for name, way in (("compression.zstd", _by_stdlib), ("zstandard", _by_zstandard)):
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        return way(module, _Told(file, on_read))
    if shutil.which("zstd"):
        return _by_program(file, on_read)
    raise HostError(
        "a zstd file came, and nothing here reads it: Python 3.14, the package zstandard or the program zstd would",
        advice="pip install zstandard, or take the .raw file",
    )


def _by_stdlib(module: Any, file: _Told) -> Iterator[bytes]:
    return _pieces(module.ZstdFile(file, "rb"), module.ZstdError, file)


def _by_zstandard(module: Any, file: _Told) -> Iterator[bytes]:
    decoder = module.ZstdDecompressor(max_window_size=_WINDOW_BYTES)
    reader = decoder.stream_reader(file, read_size=_PIECE_BYTES, read_across_frames=True, closefd=False)
    return _pieces(reader, module.ZstdError, file)


def _pieces(reader: Any, damage: type[Exception], file: _Told) -> Iterator[bytes]:
    try:
        while piece := reader.read(_PIECE_BYTES):
            yield piece
    except (damage, EOFError) as error:
        raise ImageRefusedError(f"the zstd stream is damaged: {error}", advice=AGAIN) from error
    file.drain()


def _by_program(file: BinaryIO, on_read: OnRead) -> Iterator[bytes]:
    """The program reads the file itself; what it read is told afterwards from the file."""
    with subprocess.Popen(
        ["zstd", "-d", "-q", "-c"], stdin=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        whole = False
        try:
            while piece := process.stdout.read(_PIECE_BYTES):
                yield piece
            whole = True
        finally:
            if not whole:
                process.kill()
    if process.returncode != 0:
        raise ImageRefusedError("the zstd stream is damaged, says zstd", advice=AGAIN)
    file.seek(0)
    _Told(file, on_read).drain()
