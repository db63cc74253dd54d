"""Capture files through the engine to a writer, with progress and figures: what `vedette replay` does.

Rules of this file: no argument parsing and no output format; the writer is given.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from vedette_engine import Capture, Detection, RuleSet

BATCH_DETECTIONS = 1024
POLL_MS = 100


class AlertWriter(Protocol):
    """Turns detections into one output format."""

    def write(self, detections: list[Detection]) -> None:
        """Write some detections, in order."""

    def close(self) -> None:
        """Write what is held back."""


@dataclass(frozen=True, slots=True)
class ReplayStats:
    """What `--stats` reports. Times are seconds, sizes bytes."""

    packets: int
    bytes: int
    seconds_wall: float
    seconds_cpu_engine: float
    start_seconds_cpu: float
    peak_rss_bytes: int
    rules_loaded: int
    rules_refused: int
    alerts: int
    drops: int
    counters: dict[str, int]
    warnings: list[str]

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def replay(
    capture: Capture,
    rules: RuleSet,
    writer: AlertWriter,
    *,
    start_seconds_cpu: float,
    on_progress: Callable[[int, int, int], None],
) -> ReplayStats:
    """Run a capture to its end. `on_progress(bytes read, bytes in all, alerts)` is called between batches.

    Raises:
        vedette_engine.EngineError: an engine thread failed.
    """
    began = time.perf_counter()
    alerts = 0
    while (batch := capture.next_batch(BATCH_DETECTIONS, POLL_MS)) is not None:
        if batch:
            writer.write(batch)
            alerts += len(batch)
        on_progress(*capture.progress(), alerts)
    writer.close()
    counters = capture.stats()
    return ReplayStats(
        packets=counters["packets"],
        bytes=counters["bytes"],
        seconds_wall=round(time.perf_counter() - began, 6),
        seconds_cpu_engine=round(counters["engine_cpu_ns"] / 1e9, 6),
        start_seconds_cpu=round(start_seconds_cpu, 6),
        peak_rss_bytes=peak_rss_bytes(),
        rules_loaded=len(rules.rules),
        rules_refused=len(rules.refused),
        alerts=alerts,
        drops=counters["kernel_drops"],
        counters=counters,
        warnings=capture.warnings(),
    )


def peak_rss_bytes() -> int:
    """The largest resident size this process has had (VmHWM; getrusage would count the parent's before the exec)."""
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
