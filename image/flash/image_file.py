"""The image that goes onto a stick: a .raw or .raw.zst file, its sum, and what is in it.

Rules of this file: nothing of an image is used before its SHA-256 is what the list beside it (or the person) says, and
each later reading must give the same sum: a file that changes under way is refused. Pieces are bounded.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from image.flash.errors import ImageRefusedError
from image.flash.gpt import HEAD_BYTES, Table, parse_table
from image.flash.zstd_stream import AGAIN, MAGIC, content_size, decompressed

SUMS_NAME = "SHA256SUMS"
CHUNK_BYTES = 4 * 1024 * 1024
_MOST_SUMS_BYTES = 1024 * 1024
_LINE = re.compile(r"([0-9a-fA-F]{64}) [ *](.+)")


class ImageFile:
    """An image; `sum_hex` is that of the file as it lies there, once `check` has found it."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            ImageRefusedError: it cannot be read.
        """
        self.path = path
        self.sum_hex = ""
        try:
            with path.open("rb") as file:
                head = file.read(32)
            self.file_bytes = path.stat().st_size
        except OSError as error:
            raise ImageRefusedError(f"{path}: {error.strerror or error}", advice="name the image file") from error
        self.compressed = head[:4] == MAGIC
        self._told_bytes = content_size(head) if self.compressed else self.file_bytes
        self._table: Table | None = None

    def check(self, expected_hex: str, on_bytes: Callable[[int], None] = lambda _: None) -> None:
        """See that the file is the one that the sum is of; an empty sum takes any file and remembers its sum.

        Raises:
            ImageRefusedError: it is another, or cannot be read.
        """
        digest = hashlib.sha256()
        try:
            with self.path.open("rb") as file:
                while piece := file.read(CHUNK_BYTES):
                    digest.update(piece)
                    on_bytes(len(piece))
        except OSError as error:
            raise ImageRefusedError(f"{self.path}: {error.strerror or error}") from error
        if expected_hex and digest.hexdigest() != expected_hex.lower():
            raise ImageRefusedError(
                f"{self.path.name}: the sum {digest.hexdigest()} came, {expected_hex.lower()} was allowed", advice=AGAIN
            )
        self.sum_hex = digest.hexdigest()

    @property
    def table(self) -> Table:
        """Its partition table.

        Raises:
            ImageRefusedError: it has none.
        """
        if self._table is None:
            head = bytearray()
            for piece in self._pieces(lambda _: None):
                head += piece
                if len(head) >= HEAD_BYTES:
                    break
            self._table = parse_table(bytes(head[:HEAD_BYTES]))
            if self._told_bytes not in (None, self._table.disk_bytes):
                raise ImageRefusedError(
                    f"{self.path.name}: {self._told_bytes} bytes came, its table speaks of {self._table.disk_bytes}",
                    advice=AGAIN,
                )
        return self._table

    @property
    def size_bytes(self) -> int:
        """Of what goes onto the stick."""
        return self.table.disk_bytes

    def chunks(self) -> Iterator[bytes]:
        """The image in chunks of CHUNK_BYTES, the last one smaller.

        Raises:
            ImageRefusedError: it is damaged, has another size or, since the check, another sum.
        """
        digest = hashlib.sha256()
        held, total = bytearray(), 0
        for piece in self._pieces(digest.update):
            held += piece
            total += len(piece)
            if total > self.size_bytes:
                break
            while len(held) >= CHUNK_BYTES:
                yield bytes(held[:CHUNK_BYTES])
                del held[:CHUNK_BYTES]
        if total != self.size_bytes:
            came = "more" if total > self.size_bytes else str(total)
            raise ImageRefusedError(
                f"{self.path.name}: {came} bytes came out of it, {self.size_bytes} were allowed", advice=AGAIN
            )
        if self.sum_hex and digest.hexdigest() != self.sum_hex:
            raise ImageRefusedError(
                f"{self.path.name}: changed while it was read", advice="let nothing write to it and start again"
            )
        if held:
            yield bytes(held)

    def _pieces(self, on_read: Callable[[bytes], object]) -> Iterator[bytes]:
        try:
            with self.path.open("rb", buffering=0) as file:
                if self.compressed:
                    yield from decompressed(file, on_read)
                else:
                    while piece := file.read(CHUNK_BYTES):
                        on_read(piece)
                        yield piece
        except OSError as error:
            raise ImageRefusedError(f"{self.path}: {error.strerror or error}") from error


def listed_sum(sums: Path, name: str) -> str:
    """The sum of a file in a list as `sha256sum` writes it.

    Raises:
        ImageRefusedError: there is no list, or not one clear line.
    """
    try:
        with sums.open("rb") as file:
            text = file.read(_MOST_SUMS_BYTES).decode("utf-8", errors="replace")
    except OSError as error:
        raise ImageRefusedError(
            f"{sums}: {error.strerror or error}",
            advice=f"put {SUMS_NAME} beside the image, or give --sha256 from the provider, or --no-sum",
        ) from error
    found = {match[1].lower() for line in text.splitlines() if (match := _LINE.fullmatch(line)) and match[2] == name}
    if len(found) != 1:
        raise ImageRefusedError(
            f"{sums}: {len(found)} sums of {name} came, one was allowed", advice="was the image renamed?"
        )
    return found.pop()
