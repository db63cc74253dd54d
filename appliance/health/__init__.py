"""How the box is: checks, the heartbeat made of them, and the watchdog that is fed only while all parts live."""

from appliance.health.check import CheckName, Facts, Finding, Severity
from appliance.health.monitor import Monitor
from appliance.health.report import examine, table, worst
from appliance.health.start import Start, Starts, parse_start, read_starts
from appliance.health.watchdog import Liveness, Notifier, NotifyError, Watchdog

__all__ = [
    "CheckName",
    "Facts",
    "Finding",
    "Liveness",
    "Monitor",
    "Notifier",
    "NotifyError",
    "Severity",
    "Start",
    "Starts",
    "Watchdog",
    "examine",
    "parse_start",
    "read_starts",
    "table",
    "worst",
]
