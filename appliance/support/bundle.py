"""The bundle: every piece collected within its time, made harmless, packed with a manifest.

    vedette-support-TIME/manifest.json       each piece: source, size, SHA-256, seconds, what was wrong
    vedette-support-TIME/...                 the pieces

Rules of this file: a piece that fails, hangs or floods is a line in the manifest, never the end of the bundle: half of
the box may be broken, that is when it is made. Nothing gets past the sanitiser but what is public by its nature. The
file is whole or not there. Time and randomness are arguments.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from appliance import __version__
from appliance.errors import EnvironmentFault
from appliance.support.command import Output
from appliance.support.pieces import Piece
from appliance.support.sanitise import Sanitiser

FORMAT = 1
# A program is ended at its limit; a read that hangs in the kernel is left behind a little later.
GRACE_S = 3.0


@dataclass(frozen=True, slots=True)
class Made:
    """A bundle in memory; `missing` is (piece, why) for each that is not whole."""

    name: str
    data: bytes
    sha256: str
    pieces: int
    missing: tuple[tuple[str, str], ...]


def make_bundle(
    pieces: Sequence[Piece],
    sanitise: Sanitiser,
    *,
    now: datetime,
    addresses: str,
    on_piece: Callable[[str], None] = lambda _: None,
) -> Made:
    """Collect and pack; `addresses` says in the manifest what was done with them."""
    top = f"vedette-support-{now:%Y%m%dT%H%M%SZ}"
    rows: list[dict[str, object]] = []
    files: list[tuple[str, bytes]] = []
    missing = []
    for piece in pieces:
        on_piece(piece.name)
        start_s = time.monotonic()
        output = _collected(piece)
        seconds = time.monotonic() - start_s
        text = output.data.decode("utf-8", errors="replace")
        data = output.data if piece.public else sanitise(text).encode()
        # A pseudonym may be longer than the address.
        cut = output.cut or len(data) > piece.most_bytes
        data = data[: piece.most_bytes]
        error = output.error if piece.public else sanitise(output.error)
        row = {"name": piece.name, "source": piece.source, "size_bytes": len(data)}
        row |= {"sha256": hashlib.sha256(data).hexdigest(), "seconds": round(seconds, 2), "cut": cut, "error": error}
        rows.append(row)
        if error:
            missing.append((piece.name, error))
        if data:
            files.append((piece.name, data))
    manifest = {"format": FORMAT, "made_at": f"{now:%Y-%m-%dT%H:%M:%SZ}", "vedette": __version__}
    manifest |= {"addresses": addresses, "pieces": rows}
    files.insert(0, ("manifest.json", json.dumps(manifest, indent=1).encode()))
    packed = _packed(top, files, int(now.timestamp()))
    return Made(f"{top}.tar.gz", packed, hashlib.sha256(packed).hexdigest(), len(files) - 1, tuple(missing))


def write_bundle(made: Made, target: Path) -> Path:
    """Put it there, under its own name where `target` is a folder; readable for its owner alone.

    Raises:
        EnvironmentFault: it cannot be written whole; nothing of it is left.
    """
    path = target / made.name if target.is_dir() else target
    fresh = path.with_name(path.name + ".new")
    try:
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(made.data)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except OSError:
            fresh.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise EnvironmentFault(
            f"{path}: {error.strerror or error}", advice="name a folder with room for 20 MB: --output DIR"
        ) from error
    return path


def _collected(piece: Piece) -> Output:
    """What the piece gives, in its time."""
    box: list[Output] = []

    def collect() -> None:
        try:
            box.append(piece.collect())
        except Exception as error:  # a broken box breaks in ways nobody listed
            box.append(Output(b"", error=f"{type(error).__name__}: {error}"))

    worker = threading.Thread(target=collect, name=piece.name, daemon=True)
    worker.start()
    worker.join(piece.limit_s + GRACE_S)
    return box[0] if box else Output(b"", error=f"left behind after {piece.limit_s + GRACE_S:g} s")


def _packed(top: str, files: Sequence[tuple[str, bytes]], at: int) -> bytes:
    made = io.BytesIO()
    with gzip.GzipFile(fileobj=made, mode="wb", mtime=at) as packed, tarfile.open(fileobj=packed, mode="w|") as archive:
        for name, data in files:
            info = tarfile.TarInfo(f"{top}/{name}")
            info.size, info.mtime, info.mode = len(data), at, 0o600
            archive.addfile(info, io.BytesIO(data))
    return made.getvalue()
