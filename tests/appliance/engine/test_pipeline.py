"""The pipeline hands on every detection with the rule that raised it, and accepts an unbroken beginning of them.

The engine's side of the seam is scripted: what a queue holds across reloads and full disks cannot be timed with a real
one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, cast

from vedette_engine import Capture, RuleSet

from appliance.engine.pipeline import Pipeline
from appliance.errors import EnvironmentFault
from tests.appliance.engine.detections import FakeDetection, FakeRule


class ScriptedCapture:
    """Hands over what it was given, batch by batch; an entry may be something to do before the next batch."""

    def __init__(self, *script: list[FakeDetection] | Callable[[], object]) -> None:
        self._script = list(script)
        self._generation = 0

    def next_batch(self, _most: int, _timeout_ms: int) -> list[FakeDetection] | None:
        while self._script:
            entry = self._script.pop(0)
            if isinstance(entry, list):
                return entry
            entry()
        return None

    def reload(self, _rules: object) -> int:
        self._generation += 1
        return self._generation


class Rules:
    """A rule set of one rule whose sid tells which set it is of."""

    def __init__(self, sid: int) -> None:
        self.rules = [FakeRule(sid=sid)]


class Sink:
    """Keeps what is accepted; refuses while `full`."""

    def __init__(self) -> None:
        self.kept: list[bytes] = []
        self.full = False

    def append(self, events: Sequence[tuple[int, Callable[[int, int], bytes]]]) -> list[int]:
        if self.full:
            raise EnvironmentFault("no space left")
        first = len(self.kept) + 1
        self.kept += [render(1, first + at) for at, (_, render) in enumerate(events)]
        return list(range(first, len(self.kept) + 1))


def render(detection: Any, rule: Any, _epoch: int, seq: int) -> bytes:
    return f"{seq}:{detection.ts_ns}:{rule.sid}".encode()


def pipeline(capture: ScriptedCapture, sink: Sink, *, skip: int = 0) -> Pipeline:
    return Pipeline(cast(Capture, capture), cast(RuleSet, Rules(sid=100)), render, sink, skip=skip)


def hit(ts: int, generation: int = 0) -> FakeDetection:
    return FakeDetection(ts_ns=ts, generation=generation)


def test_a_detection_keeps_its_rule_however_many_reloads_it_waits_through() -> None:
    """It waits in the engine while the disk is full; its index means something else in each newer set."""
    sink = Sink()
    reloads = [lambda sid=sid: made.reload(cast(RuleSet, Rules(sid=sid))) for sid in (101, 102, 103)]
    made = pipeline(ScriptedCapture(*reloads, [hit(1, 0), hit(2, 1)], [hit(3, 0), hit(4, 3)]), sink)
    made.run(threading.Event())
    assert sink.kept == [b"1:1:100", b"2:2:101", b"3:3:100", b"4:4:103"]


def test_rule_sets_that_nothing_can_name_any_more_are_forgotten() -> None:
    made = pipeline(
        ScriptedCapture(*[entry for _ in range(50) for entry in (lambda: made.reload(cast(RuleSet, Rules(1))), [])]),
        Sink(),
    )
    made.run(threading.Event())
    assert len(made._generations) == 2


def test_what_an_earlier_run_has_accepted_is_skipped_across_batches() -> None:
    sink = Sink()
    pipeline(ScriptedCapture([hit(1), hit(2)], [], [hit(3), hit(4)]), sink, skip=3).run(threading.Event())
    assert sink.kept == [b"1:4:100"]


def test_nothing_is_accepted_behind_what_no_disk_would_take() -> None:
    """The next run skips by count: a hole would be skipped for good and what lies behind it told twice."""
    sink, stop = Sink(), threading.Event()

    def fill() -> None:
        sink.full = True
        stop.set()

    def free() -> None:
        sink.full = False

    made = pipeline(ScriptedCapture([hit(1)], fill, [hit(2)], free, [hit(3)]), sink)
    made.run(stop)
    assert sink.kept == [b"1:1:100"]
    assert made.left_behind == 2
    assert made.fault == "no space left"
