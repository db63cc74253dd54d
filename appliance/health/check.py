"""What a health check is: a pure question to one snapshot of facts, with one finding as its answer.

Rules of this file: no I/O. A check never raises and never remembers; what it compares with an earlier moment is in the
facts. Names and severities are closed sets, because the collector and the page show them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from appliance.health.start import UNTOLD, Starts
from appliance.identity import Life
from appliance.mcu import ABSENT, SupervisorStatus
from appliance.spool import Depth
from appliance.uplink import UplinkStatus
from appliance.wire.heartbeat import HealthFinding, HostHealth, SystemHealth


class Severity(Enum):
    """The wire's words, from harmless to grave."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"


class CheckName(Enum):
    """Every check; append only."""

    DISK_SPACE = "disk_space"
    SPOOL_BACKLOG = "spool_backlog"
    CAPTURE_DROPS = "capture_drops"
    CLOCK_SKEW = "clock_skew"
    CERTIFICATE_EXPIRY = "certificate_expiry"
    UPLINK = "uplink"
    START = "start"
    SUPERVISOR = "supervisor"
    UPDATE = "update"


@dataclass(frozen=True, slots=True)
class CaptureInterval:
    """Packets seen and dropped since the snapshot before."""

    packets: int = 0
    drops: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """One snapshot of the box; None where something is not known (yet)."""

    now_ns: int
    host: HostHealth
    spool: Depth
    spool_max_bytes: int
    spool_lost_events: int
    uplink: UplinkStatus
    capture: CaptureInterval = CaptureInterval()
    certificate: Life | None = None
    starts: Starts = UNTOLD
    supervisor: SupervisorStatus = ABSENT
    system: SystemHealth | None = None
    """The image that runs and its updates; None on a sensor that is no image of ours."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; `advice` is empty when nothing is to do."""

    check: CheckName
    severity: Severity
    text: str
    advice: str = ""

    def to_wire(self) -> HealthFinding:
        """As the heartbeat carries it."""
        text = f"{self.text}; {self.advice}" if self.advice else self.text
        return HealthFinding(self.check.value, self.severity.value, text)


class Check(Protocol):
    """One file in `checks/`, with this one function."""

    def __call__(self, facts: Facts) -> Finding:
        """Judge a snapshot."""
