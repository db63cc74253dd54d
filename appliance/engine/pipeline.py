"""From the engine's detections to accepted events.

Rules of this file: an event is rendered with its sequence number and handed to the sink in the order the engine
reported it; nothing is dropped here. When the sink cannot take events (disk full) the pipeline waits and the engine's
own queue fills: files then wait, live capture counts what it cannot keep (`alerts_dropped`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from vedette_engine import Capture, Detection, Rule, RuleSet

from appliance.errors import EnvironmentFault

BATCH_DETECTIONS = 256
POLL_MS = 200
RETRY_S = 1.0

Render = Callable[[Detection, Rule, int, int], bytes]
"""(detection, its rule, epoch, sequence number) -> the event's bytes."""


class EventSink(Protocol):
    """Where accepted events go: the spool."""

    def append(self, events: Sequence[tuple[int, Callable[[int, int], bytes]]]) -> list[int]:
        """Store (priority, render) pairs durably and return their sequence numbers."""


class Pipeline:
    """Moves detections from one capture to one sink until the capture ends."""

    def __init__(self, capture: Capture, rules: RuleSet, render: Render, sink: EventSink, *, skip: int = 0) -> None:
        """`skip`: detections of this very input that an earlier run has already accepted (deterministic files only)."""
        self._capture = capture
        self._render = render
        self._sink = sink
        self._skip = skip
        self._lock = threading.Lock()
        self._generations = {0: rules.rules}
        self.rules = rules
        self.accepted = 0
        self.fault = ""
        self.finished = False
        self.left_behind = 0
        """Detections that no disk would take while the daemon was told to stop, and all that came behind them: what is
        accepted is an unbroken beginning, because the next run skips it by count."""

    def run(self, stop: threading.Event, *, beat: Callable[[], None] = lambda: None) -> None:
        """Work until the capture is exhausted or stopped; `stop` only cuts short the waiting for a full disk.

        `beat` is called at every turn, for the watchdog.

        Raises:
            vedette_engine.EngineError: an engine thread failed.
        """
        while (batch := self._capture.next_batch(BATCH_DETECTIONS, POLL_MS)) is not None:
            beat()
            if self._skip:
                passed = min(self._skip, len(batch))
                self._skip -= passed
                batch = batch[passed:]
            if batch and (self.left_behind or not self._accept(batch, stop, beat)):
                self.left_behind += len(batch)
            self._retire(batch)
        self.finished = True

    def reload(self, rules: RuleSet) -> int:
        """Swap the rule set without losing a packet; returns its generation."""
        with self._lock:
            generation = self._capture.reload(rules)
            self._generations[generation] = rules.rules
            self.rules = rules
        return generation

    def _retire(self, batch: list[Detection]) -> None:
        """Forget rule sets that no detection can name any more.

        An empty batch says that nothing waits in the engine; the set before the newest stays all the same, for the
        packet at hand while it was swapped. Until then older sets stay, however many reloads a full disk outlasts.
        """
        with self._lock:
            newest = max((d.generation for d in batch), default=max(self._generations))
            for old in [number for number in self._generations if number < newest - 1]:
                del self._generations[old]

    def _accept(self, batch: list[Detection], stop: threading.Event, beat: Callable[[], None]) -> bool:
        """Hand a batch to the sink, waiting while it cannot take it; False when told to stop meanwhile."""
        with self._lock:
            events = [self._event(detection, self._generations[detection.generation]) for detection in batch]
        while True:
            try:
                self._sink.append(events)
            except EnvironmentFault as fault:
                self.fault = str(fault)
                beat()
                if stop.wait(RETRY_S):
                    return False
            else:
                self.fault = ""
                self.accepted += len(events)
                return True

    def _event(self, detection: Detection, rules: list[Rule]) -> tuple[int, Callable[[int, int], bytes]]:
        """One entry for the sink: the alert's priority, and how to write it once its number is known."""
        rule = rules[detection.rule]
        return rule.priority, lambda epoch, seq: self._render(detection, rule, epoch, seq)
