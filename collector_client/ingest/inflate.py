"""Inflating a body piece by piece, so that a bomb is refused while it grows and not after.

Rules of this file: at most the limit and one piece (8 MiB) is ever held; what follows the compressed data, and data
that ends early, are refused. Only the encodings of the session are known. No I/O.
"""

from __future__ import annotations

import zlib

import zstandard

from appliance.wire.codes import SessionCode
from appliance.wire.session import ContentEncoding
from collector_client.ingest.refuse import refuse

_ZSTD_BITE_BYTES = 256
"""An RLE block is 4 bytes for 128 KiB: this many input bytes give at most 8 MiB in one piece."""
_ZSTD_WINDOW_BYTES = 8 * 1024 * 1024
"""RFC 8878 asks decoders for at least 8 MiB, and more would let 20 bytes ask for gigabytes."""
_GZIP_ONLY = 16 + zlib.MAX_WBITS


def inflate(body: bytes, encoding: ContentEncoding, max_bytes: int) -> bytes:
    """The document in a body.

    Raises:
        RefusedError: it inflates to more than `max_bytes`, ends early, goes on after its end, or is damaged.
    """
    if encoding == "identity":
        _check_size(len(body), max_bytes)
        return body
    return _gzip(body, max_bytes) if encoding == "gzip" else _zstd(body, max_bytes)


def _gzip(body: bytes, max_bytes: int) -> bytes:
    inflater = zlib.decompressobj(_GZIP_ONLY)
    try:
        document = inflater.decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise refuse(
            SessionCode.COMPRESSION_BROKEN, f"gzip that breaks off ({error})", "one whole gzip member"
        ) from error
    _check_size(len(document), max_bytes)
    if not inflater.eof or inflater.unused_data:
        came = "more after the gzip member" if inflater.eof else "gzip that ends early"
        raise refuse(SessionCode.COMPRESSION_BROKEN, came, "one whole gzip member")
    return document


def _zstd(body: bytes, max_bytes: int) -> bytes:
    inflater = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES).decompressobj()
    pieces: list[bytes] = []
    size = 0
    try:
        for at in range(0, len(body), _ZSTD_BITE_BYTES):
            if inflater.eof:
                raise refuse(SessionCode.COMPRESSION_BROKEN, "more after the zstd frame", "one whole zstd frame")
            piece = inflater.decompress(body[at : at + _ZSTD_BITE_BYTES])
            size += len(piece)
            _check_size(size, max_bytes)
            pieces.append(piece)
    except zstandard.ZstdError as error:
        raise refuse(SessionCode.COMPRESSION_BROKEN, f"broken zstd ({error})", "one whole zstd frame") from error
    if not inflater.eof or inflater.unused_data:
        came = "more after the zstd frame" if inflater.eof else "zstd that ends early"
        raise refuse(SessionCode.COMPRESSION_BROKEN, came, "one whole zstd frame")
    return b"".join(pieces)


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise refuse(SessionCode.INFLATED_TOO_LARGE, f"more than {max_bytes} bytes", f"at most {max_bytes} bytes")
