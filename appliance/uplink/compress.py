"""A document as it travels: zstd where the library is there, else gzip, or as it is.

Rules of this file: the only place that knows a compression library. The choice is made once, at start.
"""

from __future__ import annotations

import gzip

from appliance.wire.session import ContentEncoding

try:
    import zstandard
except ImportError:  # an install without the sensor's extra: gzip is in the standard library
    zstandard = None  # type: ignore[assignment, unused-ignore]

# The default of each library: alerts of one batch are so alike that a higher level buys little.
_ZSTD_LEVEL = 3
_GZIP_LEVEL = 6


def available(wanted: ContentEncoding) -> ContentEncoding:
    """`wanted`, or gzip when that was zstd and the library is not installed."""
    return "gzip" if wanted == "zstd" and zstandard is None else wanted


def compress(document: bytes, encoding: ContentEncoding) -> bytes:
    """The body of a request; `encoding` is one that `available` gave."""
    if encoding == "zstd":
        return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(document)
    if encoding == "gzip":
        return gzip.compress(document, _GZIP_LEVEL, mtime=0)
    return document
