"""The exact bytes of each event of a document, as evidence: cut, never written anew.

Rules of this file: the document has passed the decoder, so it is well-formed UTF-8 without comments, CDATA sections,
processing instructions or a DOCTYPE. There, `<event` followed by a blank, a slash or `>` can only be an element's start
(XML 1.0 section 2.4: `<` stands nowhere else), and the cuts are exact. One pass, linear time.
"""

from __future__ import annotations

import re

_ATTRIBUTES = rb"(?:[ \t\r\n]+[^ \t\r\n=>/]+[ \t\r\n]*=[ \t\r\n]*(?:\"[^\"]*\"|'[^']*'))*[ \t\r\n]*"
_TAG = re.compile(rb"<(?:(?P<end>/event[ \t\r\n]*)|event" + _ATTRIBUTES + rb"(?P<empty>/)?)>")


def event_pieces(document: bytes) -> list[bytes]:
    """The bytes from `<event` to `</event>` of each outermost event, in order."""
    pieces: list[bytes] = []
    depth = start = 0
    for tag in _TAG.finditer(document):
        if tag["end"] is not None:
            depth -= 1
        elif tag["empty"] is None:
            start = tag.start() if depth == 0 else start
            depth += 1
            continue
        elif depth == 0:
            start = tag.start()
        if depth == 0:
            pieces.append(document[start : tag.end()])
    return pieces
