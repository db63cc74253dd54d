"""Bytes -> element tree, hardened: everything that can be refused before a parser sees it is.

Rules of this file: no DTD of the document's, no entity, no file, no network is ever touched. The order is: size,
emptiness, UTF-8, markup that has no place (`<!`, `<?`), amount of markup, parse. `<` cannot stand in character data
or attributes of well-formed XML, so a search of the bytes finds every DOCTYPE, comment and CDATA section. Each step
is linear in the size; memory is bounded by the amount of markup (libxml2 takes about 120 bytes an element or
attribute). Depth is bounded by libxml2 (256) here and by the structure (7) afterwards.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, cast

from lxml import etree

from appliance.wire.snml.reject import RejectCode, SnmlError


@dataclass(frozen=True, slots=True)
class Limits:
    """What one document may cost. The defaults are those of a batch (4 MiB inflated, 500 events)."""

    document_bytes: int = 4 * 1024 * 1024
    events: int = 500
    markup: int = 320_000
    """Tags plus attributes: 500 events with every field, option, reference and fact that one may have are 300,000."""


_DECLARATION = re.compile(
    rb"""<\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*(["'])(?P<version>[^"'<>]{0,16})\1"""
    rb"""(?:[ \t\r\n]+encoding[ \t\r\n]*=[ \t\r\n]*(["'])(?P<encoding>[^"'<>]{0,40})\3)?"""
    rb"""(?:[ \t\r\n]+standalone[ \t\r\n]*=[ \t\r\n]*(["'])(?:yes|no)\5)?[ \t\r\n]*\?>"""
)
_BOM = b"\xef\xbb\xbf"


def parse_document(data: bytes, limits: Limits) -> etree._Element:
    """The root element of a well-formed document without DOCTYPE, comments, CDATA sections and processing instructions.

    Raises:
        SnmlError: INPUT_EMPTY, a code below INPUT_MALFORMED, or one below INPUT_OVERFLOW.
    """
    if len(data) > limits.document_bytes:
        raise SnmlError(RejectCode.DOCUMENT_TOO_LARGE, f"{len(data)} bytes", f"at most {limits.document_bytes} bytes")
    body = data.removeprefix(_BOM)
    if not body or body.isspace():
        raise SnmlError(RejectCode.INPUT_EMPTY, f"{len(data)} bytes of nothing", "an SNML document")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SnmlError(
            RejectCode.NOT_UTF8, f"byte 0x{data[error.start]:02X} at offset {error.start}", "UTF-8"
        ) from None
    start = _check_declaration(body)
    _check_markup(body, start, limits)
    # A parser of its own for each document: parsers are cheap and threads do not share them.
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        message = error.msg or "no reason given"
        if "xcessive depth" in message:
            raise SnmlError(RejectCode.DEPTH_TOO_GREAT, message, "at most 256 levels") from None
        raise SnmlError(RejectCode.INPUT_MALFORMED, message, "well-formed XML 1.0") from None
    docinfo = cast(Any, root.getroottree().docinfo)
    if docinfo.doctype:  # the byte search has found it already; kept in case a parser thinks otherwise
        raise SnmlError(RejectCode.DOCTYPE_PRESENT, "a DOCTYPE", "no DOCTYPE: the collector holds the DTD")
    return root


def _check_declaration(body: bytes) -> int:
    """Length of the XML declaration, 0 without one (XML 1.0 section 2.8: then it is version 1.0 in UTF-8)."""
    if not body.startswith(b"<?xml"):
        return 0
    allowed = 'version="1.0" and encoding="UTF-8"'
    match = _DECLARATION.match(body)
    if match is None:
        raise SnmlError(RejectCode.XML_DECLARATION, repr(body[:80]), allowed)
    if match["version"] != b"1.0" or (match["encoding"] or b"UTF-8").upper() != b"UTF-8":
        raise SnmlError(RejectCode.XML_DECLARATION, match[0].decode("utf-8", "replace"), allowed)
    return match.end()


def _check_markup(body: bytes, start: int, limits: Limits) -> None:
    at = body.find(b"<!", start)
    if at >= 0:
        came = body[at : at + 40].decode("utf-8", "replace")
        if body.startswith(b"<!DOCTYPE", at):
            raise SnmlError(RejectCode.DOCTYPE_PRESENT, came, "no DOCTYPE: the collector holds the DTD")
        raise SnmlError(RejectCode.MARKUP_PRESENT, came, "no comments and no CDATA sections")
    at = body.find(b"<?", start)
    if at >= 0:
        came = body[at : at + 40].decode("utf-8", "replace")
        raise SnmlError(RejectCode.MARKUP_PRESENT, came, "no processing instructions")
    markup = body.count(b"<") + (body.count(b'"') + body.count(b"'")) // 2
    if markup > limits.markup:
        raise SnmlError(RejectCode.MARKUP_TOO_MUCH, f"{markup} tags and attributes", f"at most {limits.markup}")
