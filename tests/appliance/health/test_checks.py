"""The checks: one table of snapshots and what must be found in each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.health import CheckName, Facts, Severity, Start, Starts, examine, table, worst
from appliance.health.check import CaptureInterval
from appliance.health.checks import CHECKS
from appliance.identity import Life
from appliance.spool import Depth
from appliance.uplink import State, UplinkStatus
from appliance.wire.heartbeat import HostHealth

S = 1_000_000_000
DAY = 86_400 * S
NOW = 1_700_000_000 * S
GOOD = Facts(
    now_ns=NOW,
    host=HostHealth(3.0, 0.1, 20.0, 40.0, 50 << 30, 41.0),
    spool=Depth(3, 4096, NOW - 2 * S),
    spool_max_bytes=512 << 20,
    spool_lost_events=0,
    uplink=UplinkStatus(State.UP, 50.0, "https://c:443", clock_skew_ms=12),
    capture=CaptureInterval(1_000_000, 0),
    certificate=Life(NOW - 5 * DAY, NOW + 25 * DAY),
)
OK, WARNING, CRITICAL = Severity.OK, Severity.WARNING, Severity.CRITICAL

CASES = [
    (CheckName.DISK_SPACE, {"host": replace(GOOD.host, disk_free_bytes=200 << 20)}, WARNING, "200 MiB free"),
    (CheckName.DISK_SPACE, {"host": replace(GOOD.host, disk_free_bytes=0)}, CRITICAL, "0 MiB free"),
    (CheckName.SPOOL_BACKLOG, {"spool": Depth(9, 300 << 20, NOW - S)}, WARNING, "59% of the spool's budget"),
    (CheckName.SPOOL_BACKLOG, {"spool": Depth(9, 500 << 20, NOW - S)}, CRITICAL, "98% of"),
    (CheckName.SPOOL_BACKLOG, {"spool": Depth(1, 4096, NOW - 1000 * S)}, WARNING, "oldest for 1000 s"),
    (CheckName.SPOOL_BACKLOG, {"spool": Depth(1, 4096, NOW + 1000 * S)}, OK, "oldest for 0 s"),
    (CheckName.SPOOL_BACKLOG, {"spool_lost_events": 7}, OK, "7 lost"),
    (CheckName.CAPTURE_DROPS, {"capture": CaptureInterval(0, 0)}, OK, "0 of 0"),
    (CheckName.CAPTURE_DROPS, {"capture": CaptureInterval(998, 2)}, WARNING, "2 of 1000"),
    (CheckName.CAPTURE_DROPS, {"capture": CaptureInterval(90, 10)}, CRITICAL, "10.00%"),
    (CheckName.CLOCK_SKEW, {"uplink": replace(GOOD.uplink, clock_skew_ms=None)}, OK, "not compared"),
    (CheckName.CLOCK_SKEW, {"uplink": replace(GOOD.uplink, clock_skew_ms=-11_000)}, WARNING, "11.0 s behind"),
    (CheckName.CLOCK_SKEW, {"uplink": replace(GOOD.uplink, clock_skew_ms=400_000)}, CRITICAL, "400.0 s ahead of"),
    (CheckName.CERTIFICATE_EXPIRY, {"certificate": None}, CRITICAL, "not enrolled"),
    (CheckName.CERTIFICATE_EXPIRY, {"certificate": Life(NOW - 21 * DAY, NOW + 9 * DAY)}, OK, "renewal is due"),
    (
        CheckName.CERTIFICATE_EXPIRY,
        {"certificate": Life(NOW - 26 * DAY, NOW + 4 * DAY)},
        WARNING,
        "not renewed in time",
    ),
    (CheckName.CERTIFICATE_EXPIRY, {"certificate": Life(NOW - 31 * DAY, NOW - DAY)}, CRITICAL, "expired on 2023-11-13"),
    (CheckName.CERTIFICATE_EXPIRY, {"certificate": Life(NOW + DAY, NOW + 30 * DAY)}, CRITICAL, "clock is behind"),
    (CheckName.START, {}, OK, "nothing is noted"),
    (CheckName.START, {"starts": Starts(Start("planned", "restart"))}, OK, "box: planned (restart)"),
    (CheckName.START, {"starts": Starts(Start("watchdog", "reset"))}, WARNING, "box: watchdog (reset)"),
    (CheckName.START, {"starts": Starts(Start("first", ""), Start("watchdog", ""))}, WARNING, "sensor: watchdog"),
    (CheckName.UPLINK, {"uplink": UplinkStatus(State.RETRYING, 60.0, reason="refused")}, OK, "refused"),
    (CheckName.UPLINK, {"uplink": UplinkStatus(State.RETRYING, 130.0, reason="refused")}, WARNING, "refused"),
    (CheckName.UPLINK, {"uplink": UplinkStatus(State.STARTING, 700.0)}, CRITICAL, "starting for 700 s"),
    (CheckName.UPLINK, {"uplink": UplinkStatus(State.HELD, 0.0, reason="40455 SEQUENCE_FORK")}, CRITICAL, "FORK"),
    (CheckName.UPLINK, {"uplink": UplinkStatus(State.SLOWED, 700.0, reason="quota")}, WARNING, "quota"),
]


@pytest.mark.parametrize(
    ("name", "change", "severity", "said"), CASES, ids=[f"{c[0].value}-{c[2].value}-{c[3]}" for c in CASES]
)
def test_each_check_sees_what_it_is_for_and_nothing_else(
    name: CheckName, change: dict[str, object], severity: Severity, said: str
) -> None:
    findings = {finding.check: finding for finding in examine(replace(GOOD, **change))}
    assert findings[name].severity is severity
    assert said in findings[name].text
    assert all(finding.severity is OK for check, finding in findings.items() if check is not name)


def test_every_check_has_its_name_and_is_run() -> None:
    assert [finding.check for finding in examine(GOOD)] == [CheckName(check.__name__) for check in CHECKS]
    assert {finding.check for finding in examine(GOOD)} == set(CheckName)


def test_a_good_box_has_nothing_to_do() -> None:
    findings = examine(GOOD)
    assert worst(findings) is OK
    assert "->" not in table(findings)


def test_the_table_puts_the_advice_below_the_finding() -> None:
    findings = examine(replace(GOOD, certificate=None))
    assert worst(findings) is CRITICAL
    lines = table(findings).splitlines()
    at = next(n for n, line in enumerate(lines) if "not enrolled" in line)
    assert lines[at].startswith("critical  certificate_expiry  ")
    assert lines[at + 1].strip() == "-> enroll: vedette enroll"


def test_a_finding_fits_the_wire_whatever_a_collector_said() -> None:
    hostile = UplinkStatus(State.HELD, 1.0, reason="\x1b[31m" + "x" * 10_000)
    finding = next(f for f in examine(replace(GOOD, uplink=hostile)) if f.check is CheckName.UPLINK)
    assert len(finding.to_wire().text) <= 256
    assert "\x1b" not in finding.to_wire().text


def test_a_certificate_of_tomorrow_is_a_matter_for_the_clock_not_for_enrollment() -> None:
    findings = examine(replace(GOOD, certificate=Life(NOW + DAY, NOW + 30 * DAY)))
    finding = next(f for f in findings if f.check is CheckName.CERTIFICATE_EXPIRY)
    assert "set the clock" in finding.advice
    assert "enroll" not in finding.advice
