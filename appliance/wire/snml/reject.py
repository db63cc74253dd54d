"""The closed catalogue of answers to an SNML document, and the one error that the decoder raises.

Rules of this file: the three groups and their numbers are those of the 2001 collector (AUTH 3xx, THROTTLE 5xx, INPUT
4xx). Finer codes of ours stand below one of them: number = 2001 number x 100 + n,
n below 50 (from 50 on stand the session's own). Append only; a number that has been
on the wire is never used again. Each code has an HTTP status, one doc line and one example; the README's table is
checked against it.
"""

from __future__ import annotations

from enum import Enum


class RejectCode(Enum):
    """One answer: `number`, `status` (HTTP), `doc` (what it says), `example` (what came that earns it)."""

    AUTH_CLIENT_OK = (300, 200, "The client is known and may speak.", "a valid client certificate")
    AUTH_CLIENT_DENIED = (301, 403, "The client is known and may not speak.", "a revoked sensor")
    AUTH_CLIENT_UNKNOWN = (302, 403, "Nobody knows this client.", "a certificate of no registered sensor")
    AUTH_CLIENT_IGNORED = (
        303,
        403,
        "The client's identity was not looked at.",
        "a request refused before its certificate was read",
    )

    INPUT_COMMIT_OK = (400, 200, "The events are stored.", "a good batch")
    INPUT_COMMIT_ERROR = (401, 503, "The events could not be stored; send them again.", "the collector's disk is full")
    INPUT_EMPTY = (402, 400, "No document came.", "a body of 0 bytes")
    INPUT_MALFORMED = (403, 400, "Not a well-formed XML 1.0 document.", "<SNML-Message><sensor></SNML-Message>")
    INPUT_INVALID = (
        404,
        422,
        "Well-formed, but breaks the vocabulary in a way no finer code names.",
        'xmlns:a="urn:a"',
    )
    INPUT_PARSER_ERROR = (405, 503, "The collector's parser failed, which is not the sender's fault.", "out of memory")
    INPUT_INCOMPLETE = (
        406,
        422,
        "Something that must be there is missing, in a way no finer code names.",
        "a sensor without a source",
    )
    INPUT_DB_READ_FAIL = (407, 503, "The store could not be read; send the events again.", "a damaged database")
    INPUT_OVERFLOW = (
        408,
        413,
        "Larger than the collector takes, in a way no finer code names.",
        "a body beyond the limit",
    )
    INPUT_IGNORED = (
        409,
        403,
        "The input was not looked at, because AUTH or THROTTLE refused.",
        "a batch of a revoked sensor",
    )

    THROTTLE_OK = (500, 200, "Within the quota.", "a batch below the quota")
    THROTTLE_CONGESTION = (501, 503, "The collector is busy; come back after Retry-After.", "a store that falls behind")
    THROTTLE_QUENCH = (502, 429, "The quota is used up; the input was ignored.", "more alerts than the sensor's quota")
    THROTTLE_DENIED = (503, 429, "The sensor has been silenced by its operator.", "a sensor with a quota of 0")
    THROTTLE_IGNORED = (504, 403, "The quota was not looked at, because AUTH refused.", "a batch of a revoked sensor")

    NOT_UTF8 = (40301, 400, "The bytes are not UTF-8.", "a byte FF")
    XML_DECLARATION = (40302, 400, "The XML declaration is not version 1.0 in UTF-8.", 'encoding="ISO-8859-1"')
    DOCTYPE_PRESENT = (40303, 400, "The document brings its own DOCTYPE.", "<!DOCTYPE SNML-Message>")
    MARKUP_PRESENT = (40304, 400, "A comment, CDATA section or processing instruction.", "<!-- hidden -->")

    ROOT_UNKNOWN = (40401, 422, "The root element is not SNML-Message.", "<report/>")
    ELEMENT_UNEXPECTED = (
        40402,
        422,
        "An element or text stands where the vocabulary has no place for it.",
        "<port/> in packet",
    )
    ATTRIBUTE_UNKNOWN = (40403, 422, "An attribute that its element does not have.", '<udphdr window="1"/>')
    VERSION = (40404, 422, "A version of SNML that is not spoken here.", '<SNML-Message version="0.2">')
    TOKEN = (40405, 422, "A value outside a closed list of words.", 'encoding="rot13"')
    NUMBER = (40406, 422, "Not a plain decimal number within the field's range.", 'sport="99999"')
    ADDRESS = (40407, 422, "Not an address of the version that the field carries.", 'saddr="999.0.2.0"')
    TIMESTAMP = (40408, 422, "Not an ISO 8601 date, time and zone between 1970 and 2262.", "2001-01-02 08:06:01+-05")
    DATA_ENCODING = (40409, 422, "Octets that are not in the sensor's encoding.", "<data>4G</data> in hex")
    TEXT = (
        40410,
        422,
        "Text that is empty, has control characters, or breaks its field's form.",
        "<hostname>a b</hostname>",
    )
    PROTOCOL = (40411, 422, "A transport header that contradicts the protocol number.", 'tcphdr below proto="17"')
    OPTION_LENGTH = (
        40412,
        422,
        "An option's len is not the number of its octets.",
        '<option code="2" len="3">05B4</option>',
    )
    EXTENSION_NAME = (
        40413,
        422,
        "An extension whose name is unknown or not that of its content.",
        'name="rule" around a flow',
    )
    EXTENSION_REPEATED = (40414, 422, "The same extension twice in one event.", "two sequence extensions")
    EXTENSION_CONFLICT = (40415, 422, "An extension that contradicts the rest of its event.", "ipv6 beside an iphdr")

    ELEMENT_MISSING = (40601, 422, "An element that must be there is missing.", "an event without its timestamp")
    ATTRIBUTE_MISSING = (40602, 422, "An attribute that must be there is missing.", "<tcphdr> without sport")

    DOCUMENT_TOO_LARGE = (40801, 413, "More bytes than one document may have.", "a 5 MiB batch")
    EVENTS_TOO_MANY = (40802, 413, "More events than one message may have.", "501 events")
    MARKUP_TOO_MUCH = (
        40803,
        413,
        "More elements and attributes than any real message has.",
        "a million empty elements",
    )
    DEPTH_TOO_GREAT = (40804, 413, "Elements nested deeper than the parser follows.", "300 nested elements")
    TEXT_TOO_LONG = (40805, 413, "A text longer than its field may be.", "a signature of 2,000 characters")
    DATA_TOO_LONG = (40806, 413, "More octets than the field may have.", "a payload of 70,000 octets")
    ITEMS_TOO_MANY = (
        40807,
        413,
        "More references, options, extensions or facts than one event may have.",
        "100 references",
    )

    def __init__(self, number: int, status: int, doc: str, example: str) -> None:
        self.number = number
        self.status = status
        self.doc = doc
        self.example = example

    @property
    def parent(self) -> RejectCode:
        """The 2001 code above this one; itself when it is a 2001 code."""
        return self if self.number < 1000 else _BY_NUMBER[self.number // 100]

    @property
    def group(self) -> str:
        """`AUTH`, `INPUT` or `THROTTLE`."""
        return {3: "AUTH", 4: "INPUT", 5: "THROTTLE"}[self.parent.number // 100]

    @property
    def refuses(self) -> bool:
        """False for the three OK codes."""
        return self.number not in (300, 400, 500)

    @classmethod
    def from_number(cls, number: int) -> RejectCode:
        """The code of a wire number.

        Raises:
            KeyError: no code has it.
        """
        return _BY_NUMBER[number]

    def __str__(self) -> str:
        return f"{self.number} {self.name}"


_BY_NUMBER: dict[int, RejectCode] = {code.number: code for code in RejectCode}

_CAME_CHARS = 200
"""A refusal quotes at most this much of what came: enough to find it, too little to carry a payload into a log."""


def printable(text: str) -> str:
    """`text` cut to 200 characters, everything unprintable escaped, for messages and logs."""
    cut = text[: _CAME_CHARS + 1]
    if len(cut) > _CAME_CHARS:
        cut = cut[:_CAME_CHARS] + "…"
    return cut if cut.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cut)


class SnmlError(Exception):
    """A document or event is refused: the code, what came, what was allowed, and the event's index from 0 if it is
    one event's.
    """

    def __init__(self, code: RejectCode, came: str, allowed: str, event_index: int | None = None) -> None:
        super().__init__(code, came, allowed, event_index)
        self.code = code
        self.came = printable(came)
        self.allowed = allowed
        self.event_index = event_index

    def at_event(self, index: int) -> SnmlError:
        """The same refusal, laid at one event's door."""
        return SnmlError(self.code, self.came, self.allowed, index)

    def __str__(self) -> str:
        where = "" if self.event_index is None else f" in event {self.event_index}"
        return f"{self.code}{where}: came {self.came}; allowed: {self.allowed}"
