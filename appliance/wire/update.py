"""How a sensor gets updates from its collector: what is offered, and the bundle by pieces; without I/O.

    sensor                                  collector
      GET /v1/update                    ->
                                        <-  200 Offer, or an offer of nothing
      GET /v1/update/bundle             ->        Vedette-Update: UPDATE_ID, Range: bytes=FIRST-LAST (RFC 9110, 14.2)
                                        <-  206 at most MAX_PIECE_BYTES, so that a box goes on where it was

Rules of this file: every parser gives its value or `SessionError`. An offer says nothing about trust: the box believes
the bundle's own signature.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from appliance.wire.bundle import MAX_BUNDLE_BYTES, is_version
from appliance.wire.fields import SessionError, dump_object, load_object, parse_int

UPDATE_PATH = "/v1/update"
BUNDLE_PATH = "/v1/update/bundle"
UPDATE_HEADER = "Vedette-Update"
BUNDLE_MEDIA_TYPE = "application/octet-stream"
MAX_OFFER_BYTES = 16 * 1024
MAX_PIECE_BYTES = 1024 * 1024

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_RANGE = re.compile(r"bytes=([0-9]{1,12})-([0-9]{1,12})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Offer:
    """A bundle that the collector has for this sensor; `update_id` is new for each offer, also of the same bundle."""

    update_id: int
    version: str
    size_bytes: int
    sha256: str
    """Of the whole file, hex."""
    older: bool = False
    """The operator wants it also where a newer version runs."""


def dump_offer(offer: Offer | None) -> bytes:
    """The body of the answer; None: nothing is offered."""
    if offer is None:
        return dump_object({"offer": {}})
    return dump_object(
        {
            "offer": {
                "update_id": offer.update_id,
                "version": offer.version,
                "size_bytes": offer.size_bytes,
                "sha256": offer.sha256,
                "older": int(offer.older),
            }
        }
    )


def load_offer(data: bytes) -> Offer | None:
    """Read the answer.

    Raises:
        SessionError: it does not parse.
    """
    fields = load_object("update", data, MAX_OFFER_BYTES).fields("offer")
    if not fields.keys():
        return None
    version = fields.text("version", 20)
    if not is_version(version):
        raise SessionError("update.offer.version", came=repr(version), allowed="a version such as 0.1.0")
    return Offer(
        update_id=fields.integer("update_id", low=1),
        version=version,
        size_bytes=fields.integer("size_bytes", low=1, high=MAX_BUNDLE_BYTES),
        sha256=fields.text("sha256", 64, _SHA256),
        older=bool(fields.optional_integer("older", high=1)),
    )


def format_range(first: int, size: int) -> str:
    """The header for `size` bytes from `first` on."""
    return f"bytes={first}-{first + size - 1}"


def parse_range_header(text: str) -> tuple[int, int]:
    """First byte and how many: one range with both ends, of at most `MAX_PIECE_BYTES`.

    Raises:
        SessionError: another form.
    """
    match = _RANGE.fullmatch(text)
    if match:
        first, last = parse_int("range", str(int(match[1]))), int(match[2])
        if 0 <= last - first < MAX_PIECE_BYTES:
            return first, last - first + 1
    allowed = f"bytes=FIRST-LAST, at most {MAX_PIECE_BYTES} bytes"
    raise SessionError("header Range", came=repr(text[:40]), allowed=allowed)
