"""From facts to findings, and from findings to what people and the collector read.

Rules of this file: pure. The heartbeat is put together here, from the same snapshot that the checks saw.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from appliance.health.check import Check, Facts, Finding, Severity
from appliance.health.checks import CHECKS
from appliance.wire.heartbeat import MAX_COUNTERS, Heartbeat, RulesHealth, SpoolHealth

_ORDER = {Severity.OK: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}


@dataclass(frozen=True, slots=True)
class Standing:
    """What stays the same or is counted elsewhere: versions, the start, the rules, the spool's numbers."""

    version: str
    engine_version: str
    started_ns: int
    rules: RulesHealth
    spool_epoch: int
    spool_next_seq: int


def examine(facts: Facts, checks: Iterable[Check] = CHECKS) -> list[Finding]:
    """Every check's finding, in the checks' order."""
    return [check(facts) for check in checks]


def worst(findings: Iterable[Finding]) -> Severity:
    """The gravest of them; OK when there are none."""
    return max((finding.severity for finding in findings), key=_ORDER.__getitem__, default=Severity.OK)


def table(findings: Sequence[Finding]) -> str:
    """For a terminal: one line a finding, its advice below it."""
    width = max((len(finding.check.value) for finding in findings), default=0)
    lines = []
    for finding in findings:
        lines.append(f"{finding.severity.value:8}  {finding.check.value:{width}}  {finding.text}")
        if finding.advice and finding.severity is not Severity.OK:
            lines.append(f"{'':8}  {'':{width}}  -> {finding.advice}")
    return "\n".join(lines)


def heartbeat(facts: Facts, standing: Standing, counters: Mapping[str, int], findings: Sequence[Finding]) -> Heartbeat:
    """One snapshot for the collector; `counters` are the capture's and the engine's, under their own names."""
    return Heartbeat(
        sent_ts_ns=facts.now_ns,
        started_ts_ns=standing.started_ns,
        version=standing.version,
        host=facts.host,
        spool=SpoolHealth(
            epoch=standing.spool_epoch,
            next_seq=standing.spool_next_seq,
            events=facts.spool.events,
            bytes=facts.spool.bytes,
            oldest_ts_ns=facts.spool.oldest_ts_ns,
            lost_events=facts.spool_lost_events,
        ),
        rules=standing.rules,
        engine_version=standing.engine_version,
        system=facts.system,
        clock_skew_ms=facts.uplink.clock_skew_ms,
        capture=dict(sorted(counters.items())[:MAX_COUNTERS]),
        findings=tuple(finding.to_wire() for finding in findings),
        supervisor=facts.supervisor.to_wire(),
    )
