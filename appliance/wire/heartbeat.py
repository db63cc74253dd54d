"""What a sensor says of its own health, and the collector's answer; both roles, without I/O.

Rules of this file: flat, bounded, typed; every parser gives its value or `SessionError`. Health is a snapshot: the
collector may lose any heartbeat and learns the whole state from the next. Counters only ever grow while
`started_ts_ns` stays the same.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Literal, TypeAlias

from appliance.wire.fields import (
    MAX_INT63,
    Fields,
    SessionError,
    dump_object,
    format_clock,
    load_object,
    parse_clock,
    plain,
)
from appliance.wire.session import MAX_ANSWER_BYTES, MAX_SLOW_DOWN_MS

MAX_HEARTBEAT_BYTES = 64 * 1024
MAX_COUNTERS = 128
MAX_FINDINGS = 32
MAX_SKEW_MS = 1_000_000_000_000
"""About 31 years: a box that starts in 1970 must be able to say so."""

Severity: TypeAlias = Literal["ok", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = ("ok", "warning", "critical")

MAX_OUTCOMES = 8
OUTCOME_KINDS = ("good", "fell-back", "refused", "restarted")
"""How an update, or a start of the system, has ended; append only."""

_COUNTER = re.compile(r"[a-z][a-z0-9_.]{0,63}", re.ASCII)
_CHECK = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{0,64}", re.ASCII)
_WORD = re.compile(r"(?:[a-z][a-z-]{0,31})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class HostHealth:
    """The machine: load, memory and the disk that carries the spool."""

    cpu_percent: float
    load_1m: float
    memory_percent: float
    disk_percent: float
    disk_free_bytes: int
    temperature_c: float | None = None


@dataclass(frozen=True, slots=True)
class SpoolHealth:
    """What waits on the sensor's disk; `lost_events` counts since the spool was made."""

    epoch: int
    next_seq: int
    events: int
    bytes: int
    oldest_ts_ns: int | None = None
    lost_events: int = 0


@dataclass(frozen=True, slots=True)
class RulesHealth:
    """The loaded rule set; `digest` is SHA-256 in hex, empty before the first load."""

    digest: str = ""
    loaded: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class SupervisorHealth:
    """The microcontroller that guards the box's power. `state` and `last_reset` are words of the sensor's, in lower
    case; `last_reset` says why the box was last started, empty when nobody could tell.
    """

    state: str
    last_reset: str = ""
    boots: int | None = None
    """Starts of the box since it was last well for a while."""
    firmware: str = ""
    temperature_c: float | None = None
    voltage_mv: int | None = None


@dataclass(frozen=True, slots=True)
class HealthFinding:
    """What one health check found."""

    check: str
    severity: Severity
    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", plain(self.text))


@dataclass(frozen=True, slots=True)
class UpdateOutcome:
    """How one update ended, or why the box started again; `number` is the box's own and only grows.

    `update_id` is the collector's, 0 for one that came from a stick. The box repeats its last outcomes in every
    heartbeat, so that none is lost with one.
    """

    number: int
    at_ns: int
    kind: str
    version: str
    reason: str = ""
    update_id: int = 0


@dataclass(frozen=True, slots=True)
class SystemHealth:
    """The image that runs and how its updates went; absent on a sensor that is no image of ours."""

    version: str
    state: str = "idle"
    update_version: str = ""
    security_floor: str = ""
    outcomes: tuple[UpdateOutcome, ...] = ()


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """One snapshot. `capture` holds the engine's and the capture's counters under their own names."""

    sent_ts_ns: int
    started_ts_ns: int
    version: str
    host: HostHealth
    spool: SpoolHealth
    rules: RulesHealth = RulesHealth()
    engine_version: str = ""
    clock_skew_ms: int | None = None
    """The sensor's clock minus the collector's, as last measured."""
    capture: dict[str, int] = field(default_factory=dict)
    findings: tuple[HealthFinding, ...] = ()
    supervisor: SupervisorHealth | None = None
    """None: a sensor of before this field, or one that is not built to have a supervisor."""
    system: SystemHealth | None = None

    def to_json(self) -> bytes:
        """The body of the request.

        Raises:
            SessionError: a value is out of its bounds, so the other side would refuse it.
        """
        data = dump_object({"schema": 1, **asdict(self)})
        Heartbeat.from_json(data)
        return data

    @staticmethod
    def from_json(data: bytes) -> Heartbeat:
        """Read a heartbeat.

        Raises:
            SessionError: too large, not JSON, a field missing or out of its bounds, another schema.
        """
        fields = load_object("heartbeat", data, MAX_HEARTBEAT_BYTES)
        fields.integer("schema", low=1, high=1)
        return Heartbeat(
            sent_ts_ns=fields.integer("sent_ts_ns"),
            started_ts_ns=fields.integer("started_ts_ns"),
            version=fields.text("version", 64),
            host=_host(fields.fields("host")),
            spool=_spool(fields.fields("spool")),
            rules=_rules(fields.fields("rules")),
            engine_version=fields.text("engine_version", 64),
            clock_skew_ms=fields.optional_integer("clock_skew_ms", low=-MAX_SKEW_MS, high=MAX_SKEW_MS),
            capture=_counters(fields.fields("capture")),
            findings=tuple(_finding(item) for item in fields.objects("findings", MAX_FINDINGS)),
            supervisor=_supervisor(fields.fields("supervisor")) if "supervisor" in fields else None,
            system=_system(fields.fields("system")) if "system" in fields else None,
        )


def _host(fields: Fields) -> HostHealth:
    return HostHealth(
        cpu_percent=fields.number("cpu_percent", 0, 100_000),
        load_1m=fields.number("load_1m", 0, 1_000_000),
        memory_percent=fields.number("memory_percent", 0, 100),
        disk_percent=fields.number("disk_percent", 0, 100),
        disk_free_bytes=fields.integer("disk_free_bytes"),
        temperature_c=fields.optional_number("temperature_c", -273.2, 1000),
    )


def _spool(fields: Fields) -> SpoolHealth:
    return SpoolHealth(
        epoch=fields.integer("epoch"),
        next_seq=fields.integer("next_seq"),
        events=fields.integer("events"),
        bytes=fields.integer("bytes"),
        oldest_ts_ns=fields.optional_integer("oldest_ts_ns"),
        lost_events=fields.integer("lost_events"),
    )


def _rules(fields: Fields) -> RulesHealth:
    return RulesHealth(
        digest=fields.text("digest", 64, _DIGEST), loaded=fields.integer("loaded"), refused=fields.integer("refused")
    )


def _supervisor(fields: Fields) -> SupervisorHealth:
    return SupervisorHealth(
        state=fields.text("state", 32, _WORD),
        last_reset=fields.text("last_reset", 32, _WORD),
        boots=fields.optional_integer("boots"),
        firmware=fields.text("firmware", 64),
        temperature_c=fields.optional_number("temperature_c", -273.2, 1000),
        voltage_mv=fields.optional_integer("voltage_mv", high=1_000_000),
    )


def _counters(fields: Fields) -> dict[str, int]:
    names = fields.keys()
    if len(names) > MAX_COUNTERS:
        raise SessionError(fields.what, came=f"{len(names)} counters", allowed=f"at most {MAX_COUNTERS}")
    for name in names:
        if not _COUNTER.fullmatch(name):
            raise SessionError(fields.what, came=repr(name[:80]), allowed=f"names like {_COUNTER.pattern}")
    return {name: fields.integer(name, low=-MAX_INT63) for name in names}


def _finding(fields: Fields) -> HealthFinding:
    severity = fields.text("severity", 16)
    if severity not in SEVERITIES:
        raise SessionError(f"{fields.what}.severity", came=severity, allowed=", ".join(SEVERITIES))
    return HealthFinding(check=fields.text("check", 32, _CHECK), severity=severity, text=fields.text("text"))


def _system(fields: Fields) -> SystemHealth:
    return SystemHealth(
        version=fields.text("version", 64),
        state=fields.text("state", 16),
        update_version=fields.text("update_version", 64),
        security_floor=fields.text("security_floor", 64),
        outcomes=tuple(_outcome(item) for item in fields.objects("outcomes", MAX_OUTCOMES)),
    )


def _outcome(fields: Fields) -> UpdateOutcome:
    kind = fields.text("kind", 16)
    if kind not in OUTCOME_KINDS:
        raise SessionError(f"{fields.what}.kind", came=kind, allowed=", ".join(OUTCOME_KINDS))
    return UpdateOutcome(
        number=fields.integer("number", low=1),
        at_ns=fields.integer("at_ns"),
        kind=kind,
        version=fields.text("version", 64),
        reason=fields.text("reason"),
        update_id=fields.integer("update_id"),
    )


@dataclass(frozen=True, slots=True)
class HeartbeatAnswer:
    """The collector's clock, and how long the sensor should wait before it sends anything more."""

    clock_ns: int
    slow_down_ms: int = 0

    def to_json(self) -> bytes:
        """The body of the answer."""
        return dump_object({"clock": format_clock(self.clock_ns), "slow_down_ms": self.slow_down_ms})

    @staticmethod
    def from_json(data: bytes) -> HeartbeatAnswer:
        """Read the answer.

        Raises:
            SessionError: it does not parse.
        """
        fields = load_object("heartbeat answer", data, MAX_ANSWER_BYTES)
        return HeartbeatAnswer(
            clock_ns=parse_clock("heartbeat answer.clock", fields.text("clock", 40)),
            slow_down_ms=fields.integer("slow_down_ms", high=MAX_SLOW_DOWN_MS),
        )
