"""The output formats of `vedette replay`.

Rules of this file: one class a format, all alike (`engine.replay.AlertWriter`); what an alert looks like is said in
`appliance.engine` and `appliance.wire.snml`.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import BinaryIO

from vedette_engine import Detection, Rule

from appliance.engine.alerting import EventBuilder
from appliance.engine.eve import Sources, eve_line
from appliance.engine.replay import AlertWriter
from appliance.engine.text import text_line
from appliance.wire.snml import Detail, Encoding, Sensor, encode_message_from_fragments

EVENTS_PER_DOCUMENT = 500


class EveWriter:
    """One JSON object a line, with Suricata's EVE field names."""

    def __init__(self, out: BinaryIO, rules: Sequence[Rule], files: Sequence[str]) -> None:
        self._out, self._rules, self._sources = out, rules, Sources(files)

    def write(self, detections: list[Detection]) -> None:
        """Write some detections, in order."""
        self._out.write(b"".join(eve_line(d, self._rules[d.rule], self._sources) for d in detections))

    def close(self) -> None:
        """Nothing is held back."""


class TextWriter:
    """One line an alert, for people."""

    def __init__(self, out: BinaryIO, rules: Sequence[Rule], files: Sequence[str]) -> None:  # noqa: ARG002 - as its peers
        self._out, self._rules = out, rules

    def write(self, detections: list[Detection]) -> None:
        """Write some detections, in order."""
        self._out.write("".join(text_line(d, self._rules[d.rule]) + "\n" for d in detections).encode("utf-8"))

    def close(self) -> None:
        """Nothing is held back."""


class SnmlWriter:
    """SNML-Message documents, each beginning with its XML declaration, each of one capture file."""

    def __init__(self, out: BinaryIO, rules: Sequence[Rule], files: Sequence[str]) -> None:
        self._out, self._rules = out, rules
        hostname = platform.node() or "localhost"
        self._builders = [
            EventBuilder("replay", Sensor(Encoding.BASE64, Detail.FULL, hostname=hostname, file=name)) for name in files
        ]
        self._held: list[Detection] = []
        self._numbers = 0

    def write(self, detections: list[Detection]) -> None:
        """Write whole documents; the rest waits for company."""
        self._held += detections
        while len(self._held) >= EVENTS_PER_DOCUMENT:
            self._documents(self._held[:EVENTS_PER_DOCUMENT])
            del self._held[:EVENTS_PER_DOCUMENT]

    def close(self) -> None:
        """Write what is held back."""
        self._documents(self._held)
        self._held = []

    def _documents(self, detections: list[Detection]) -> None:
        for source, group in groupby(detections, key=lambda d: d.source):
            builder = self._builders[source]
            fragments = [builder.write(builder.build(d, self._rules[d.rule])) for d in group]
            self._out.write(encode_message_from_fragments(builder.sensor, fragments))


WRITERS: dict[str, Callable[[BinaryIO, Sequence[Rule], Sequence[str]], AlertWriter]] = {
    "eve": EveWriter,
    "snml": SnmlWriter,
    "text": TextWriter,
}
