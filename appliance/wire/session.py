"""The uplink session, both roles, without I/O: what a batch says of itself, what a receipt and a refusal say back.

    sensor                                   collector
      POST /v1/batches   BatchHeader + SNML ->
                          <- 200 Receipt           stored and on disk
                          <- 4xx/503 Refusal       nothing of the batch was stored

Rules of this file: every parser gives its value or `SessionError`; sizes are bounded by the constants below; the same
value always makes the same bytes. A receipt is only ever written for what a commit has put on disk, and it is the
only thing that lets a sensor forget an event. Paths, headers and limits of the HTTP interface are named here and
nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, cast

from appliance.wire.fields import (
    MAX_INT63,
    Fields,
    SessionError,
    dump_object,
    format_clock,
    load_object,
    lower_headers,
    parse_clock,
    parse_int,
    parse_range,
    parse_word,
    plain,
)

__all__ = [
    "BatchHeader",
    "ConfigAnswer",
    "ContentEncoding",
    "Loss",
    "Receipt",
    "Refusal",
    "RejectedEvent",
    "SessionError",
    "Verdict",
]

BATCHES_PATH = "/v1/batches"
HEARTBEAT_PATH = "/v1/heartbeat"
CONFIG_PATH = "/v1/config"

SNML_MEDIA_TYPE = "application/xml"

MAX_BATCH_BYTES = 4 * 1024 * 1024
"""Of the SNML document after inflating, and of the body as it travels."""
MAX_BATCH_EVENTS = 500
MAX_LOSSES = 64
MAX_GAPS = 100
MAX_ANSWER_BYTES = 2 * 1024 * 1024
"""Room for 500 rejected events whose texts are all four-byte characters."""
MAX_SLOW_DOWN_MS = 3_600_000
MAX_RETRY_AFTER_S = 86_400

ContentEncoding: TypeAlias = Literal["zstd", "gzip", "identity"]
CONTENT_ENCODINGS: tuple[ContentEncoding, ...] = ("zstd", "gzip", "identity")

EPOCH_HEADER = "Vedette-Epoch"
SEQUENCE_HEADER = "Vedette-Sequence"
SHA256_HEADER = "Vedette-SHA256"
LOSSES_HEADER = "Vedette-Losses"
ENCODING_HEADER = "Content-Encoding"
RUN_HEADER = "Vedette-Run"
"""32 hex digits that a daemon draws when it starts, on batches and heartbeats: two that alternate are two boxes."""

REFUSAL_STATUSES = frozenset({400, 401, 403, 404, 405, 408, 409, 411, 413, 415, 422, 429, 500, 503})

_BATCH_HEADERS = frozenset(
    name.lower() for name in (EPOCH_HEADER, SEQUENCE_HEADER, SHA256_HEADER, LOSSES_HEADER, ENCODING_HEADER)
)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_RUN = re.compile(r"[0-9a-f]{32}", re.ASCII)
_REASON = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)
_CODE = re.compile(r"[0-9]{3,6} [A-Z][A-Z0-9_]{0,47}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Loss:
    """Events that the sensor numbered but no longer has, and why (`spool-full`, `damaged`, ...)."""

    first_seq: int
    last_seq: int
    reason: str

    def __post_init__(self) -> None:
        if not 1 <= self.first_seq <= self.last_seq <= MAX_INT63:
            raise SessionError("loss", came=f"{self.first_seq}-{self.last_seq}", allowed="1 <= first <= last < 2^63")
        parse_word("loss reason", self.reason, _REASON)


@dataclass(frozen=True, slots=True)
class BatchHeader:
    """What a batch says of itself in its HTTP headers; `sha256` is hex over the uncompressed document."""

    epoch: int
    first_seq: int
    last_seq: int
    sha256: str
    encoding: ContentEncoding = "identity"
    losses: tuple[Loss, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.epoch <= MAX_INT63:
            raise SessionError(EPOCH_HEADER, came=str(self.epoch), allowed=f"a number from 0 to {MAX_INT63}")
        if not 1 <= self.first_seq <= self.last_seq <= MAX_INT63:
            raise SessionError(
                SEQUENCE_HEADER, came=f"{self.first_seq}-{self.last_seq}", allowed="1 <= first <= last < 2^63"
            )
        parse_word(SHA256_HEADER, self.sha256, _SHA256)
        if self.encoding not in CONTENT_ENCODINGS:
            raise SessionError(ENCODING_HEADER, came=self.encoding, allowed=", ".join(CONTENT_ENCODINGS))
        if len(self.losses) > MAX_LOSSES:
            raise SessionError(LOSSES_HEADER, came=f"{len(self.losses)} ranges", allowed=f"at most {MAX_LOSSES}")

    def to_headers(self) -> dict[str, str]:
        """The HTTP headers, without the media type."""
        headers = {
            EPOCH_HEADER: str(self.epoch),
            SEQUENCE_HEADER: f"{self.first_seq}-{self.last_seq}",
            SHA256_HEADER: self.sha256,
            ENCODING_HEADER: self.encoding,
        }
        if self.losses:
            headers[LOSSES_HEADER] = ",".join(f"{loss.first_seq}-{loss.last_seq}:{loss.reason}" for loss in self.losses)
        return headers

    @staticmethod
    def from_headers(headers: Mapping[str, str]) -> BatchHeader:
        """Read the headers of a request; names in any case, other headers passed over.

        Raises:
            SessionError: a header is missing, came twice, or does not parse.
        """
        found = lower_headers(headers, _BATCH_HEADERS)
        for name in (EPOCH_HEADER, SEQUENCE_HEADER, SHA256_HEADER):
            if name.lower() not in found:
                raise SessionError(f"header {name}", came="nothing", allowed="one in every batch")
        first_seq, last_seq = parse_range(SEQUENCE_HEADER, found[SEQUENCE_HEADER.lower()])
        return BatchHeader(
            epoch=parse_int(EPOCH_HEADER, found[EPOCH_HEADER.lower()]),
            first_seq=first_seq,
            last_seq=last_seq,
            sha256=found[SHA256_HEADER.lower()],
            encoding=cast("ContentEncoding", found.get(ENCODING_HEADER.lower(), "identity").lower()),
            losses=_parse_losses(found.get(LOSSES_HEADER.lower(), "")),
        )


def parse_run(headers: Mapping[str, str]) -> str:
    """The run that a request says it comes from; empty when it says none (a sensor of before that header).

    Raises:
        SessionError: it came twice, or has another form.
    """
    found = lower_headers(headers, frozenset({RUN_HEADER.lower()})).get(RUN_HEADER.lower(), "")
    return parse_word(RUN_HEADER, found, _RUN) if found else ""


def _parse_losses(text: str) -> tuple[Loss, ...]:
    losses = []
    for part in text.split(",", MAX_LOSSES + 1) if text else ():
        span, colon, reason = part.strip(" ").partition(":")
        if not colon:
            raise SessionError(LOSSES_HEADER, came=repr(part[:60]), allowed="first-last:reason, separated by commas")
        losses.append(Loss(*parse_range(LOSSES_HEADER, span), reason))
    return tuple(losses)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One code of each of the three groups of 2001, judged in this order: may you, may you now, was it good."""

    auth: str = "300 AUTH_CLIENT_OK"
    throttle: str = "500 THROTTLE_OK"
    input: str = "400 INPUT_COMMIT_OK"

    def __post_init__(self) -> None:
        for name in ("auth", "throttle", "input"):
            parse_word(f"verdict.{name}", getattr(self, name), _CODE)


@dataclass(frozen=True, slots=True)
class RejectedEvent:
    """One event of a stored batch that the collector keeps in quarantine; `seq` is None when it could not be read."""

    seq: int | None
    code: str
    came: str
    allowed: str

    def __post_init__(self) -> None:
        parse_word("rejected code", self.code, _CODE)
        object.__setattr__(self, "came", plain(self.came))
        object.__setattr__(self, "allowed", plain(self.allowed))


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the collector holds on disk of one epoch of this sensor.

    `stored_to`: every event up to here is stored, in quarantine, or in `gaps`; the sensor may forget them.
    `accepted_to`: the highest sequence the collector has taken in (equal to `stored_to` in a collector that stores
    before it answers).
    """

    epoch: int
    accepted_to: int
    stored_to: int
    clock_ns: int
    gaps: tuple[tuple[int, int], ...] = ()
    rejected: tuple[RejectedEvent, ...] = ()
    slow_down_ms: int = 0
    verdict: Verdict = field(default_factory=Verdict)

    def to_json(self) -> bytes:
        """The body of the answer. At most `MAX_GAPS` gaps are listed, the oldest first."""
        return dump_object(
            {
                "verdict": {"auth": self.verdict.auth, "throttle": self.verdict.throttle, "input": self.verdict.input},
                "epoch": self.epoch,
                "accepted_to": self.accepted_to,
                "stored_to": self.stored_to,
                "gaps": [list(gap) for gap in self.gaps[:MAX_GAPS]],
                "rejected": [
                    {"seq": event.seq, "code": event.code, "came": event.came, "allowed": event.allowed}
                    for event in self.rejected[:MAX_BATCH_EVENTS]
                ],
                "slow_down_ms": self.slow_down_ms,
                "clock": format_clock(self.clock_ns),
            }
        )

    @staticmethod
    def from_json(data: bytes) -> Receipt:
        """Read a receipt.

        Raises:
            SessionError: not a receipt, or it contradicts itself (stored beyond what was accepted).
        """
        fields = load_object("receipt", data, MAX_ANSWER_BYTES)
        verdict = fields.fields("verdict")
        receipt = Receipt(
            epoch=fields.integer("epoch"),
            accepted_to=fields.integer("accepted_to"),
            stored_to=fields.integer("stored_to"),
            clock_ns=_clock(fields),
            gaps=fields.ranges("gaps", MAX_GAPS),
            rejected=tuple(_rejected(item) for item in fields.objects("rejected", MAX_BATCH_EVENTS)),
            slow_down_ms=fields.integer("slow_down_ms", high=MAX_SLOW_DOWN_MS),
            verdict=Verdict(*(verdict.text(name, 64) for name in ("auth", "throttle", "input"))),
        )
        if receipt.stored_to > receipt.accepted_to:
            raise SessionError(
                "receipt.stored_to", came=str(receipt.stored_to), allowed=f"at most accepted_to = {receipt.accepted_to}"
            )
        return receipt


def _rejected(item: Fields) -> RejectedEvent:
    return RejectedEvent(
        seq=item.optional_integer("seq", low=1),
        code=item.text("code", 64),
        came=item.text("came"),
        allowed=item.text("allowed"),
    )


def _clock(fields: Fields) -> int:
    return parse_clock(f"{fields.what}.clock", fields.text("clock", 40))


@dataclass(frozen=True, slots=True)
class Refusal:
    """The collector took nothing of a request: a code of the catalogue, what came, what was allowed, what to do."""

    status: int
    code: str
    came: str
    allowed: str
    do: str
    retry_after_s: int | None = None

    def __post_init__(self) -> None:
        if self.status not in REFUSAL_STATUSES:
            raise SessionError("refusal status", came=str(self.status), allowed=str(sorted(REFUSAL_STATUSES)))
        parse_word("refusal code", self.code, _CODE)
        for name in ("came", "allowed", "do"):
            object.__setattr__(self, name, plain(getattr(self, name)))

    def to_headers(self) -> dict[str, str]:
        """`Retry-After` in seconds where there is one."""
        return {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}

    def to_json(self) -> bytes:
        """The body of the answer."""
        error: dict[str, Any] = {"code": self.code, "came": self.came, "allowed": self.allowed, "do": self.do}
        return dump_object({"error": error})

    @staticmethod
    def from_answer(status: int, headers: Mapping[str, str], data: bytes) -> Refusal:
        """Read an answer that was not 200.

        Raises:
            SessionError: it is not the collector's (a proxy's page, say) or does not parse.
        """
        error = load_object("refusal", data, MAX_ANSWER_BYTES).fields("error")
        retry_after = lower_headers(headers, frozenset({"retry-after"})).get("retry-after")
        return Refusal(
            status=status,
            code=error.text("code", 64),
            came=error.text("came"),
            allowed=error.text("allowed"),
            do=error.text("do"),
            retry_after_s=parse_int("Retry-After", retry_after, high=MAX_RETRY_AFTER_S) if retry_after else None,
        )


@dataclass(frozen=True, slots=True)
class ConfigAnswer:
    """The answer of `GET /v1/config`: the version of the configuration the collector holds, and its clock.

    `quarantine`: since when and why no batch of this sensor is taken; empty, and absent on the wire, when they are.
    """

    version: int
    clock_ns: int
    quarantine: str = ""

    def to_json(self) -> bytes:
        """The body of the answer."""
        more = {"quarantine": self.quarantine} if self.quarantine else {}
        return dump_object({"version": self.version, "clock": format_clock(self.clock_ns)} | more)

    @staticmethod
    def from_json(data: bytes) -> ConfigAnswer:
        """Read the answer.

        Raises:
            SessionError: it does not parse.
        """
        fields = load_object("config", data, MAX_ANSWER_BYTES)
        why = fields.text("quarantine") if "quarantine" in fields else ""
        return ConfigAnswer(version=fields.integer("version", low=1), clock_ns=_clock(fields), quarantine=why)
