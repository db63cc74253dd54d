"""Detection -> SNML event -> bytes: what the box says about a match.

Rules of this file: pure; the sensor's facts, the sanitizer and the sequence number are handed in. Any detection
becomes an event that the encoder takes: what the network or a rule file put into a text is made fit, never refused,
for an alert must go out. The event's UUID is made from (sensor id, epoch, sequence), so the same event written twice
has the same name.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from appliance.engine.community_id import ICMP, ICMPV6, community_id
from appliance.engine.datagram import decode_datagram, header_only
from appliance.wire.snml import (
    Event,
    EventId,
    Extension,
    Facts,
    Flow,
    IcmpHeader,
    Reference,
    Rule,
    Sanitizer,
    Sensor,
    Sequence,
    Signature,
    Transport,
    encode_event,
)
from appliance.wire.snml.fields import MAX_FACT_CHARS, MAX_FACTS, MAX_REFERENCES, U63, is_fact_name, is_word
from appliance.wire.snml.text import clean_octets
from appliance.wire.snml.timestamp import MAX_TIMESTAMP_NS

if TYPE_CHECKING:
    from vedette_engine import Detection
    from vedette_engine import Rule as EngineRule

EVENT_NAMESPACE = uuid.UUID("ccdb612f-b7a7-4f01-8d17-554c74dfc51f")
"""Ours, drawn once at random; events are named by UUID version 5 (RFC 9562 section 5.5) below it."""

_RulePart = tuple[Signature, tuple[Reference, ...], Rule]


def event_uuid(sensor_id: str, epoch: int, seq: int) -> str:
    """The event's name."""
    return str(uuid.uuid5(EVENT_NAMESPACE, f"{sensor_id}/{epoch}/{seq}"))


def rule_part(rule: EngineRule) -> _RulePart:
    """What every event of a rule has in common."""
    signature = Signature(
        text=rule.msg or f"rule {rule.gid}:{rule.sid} has no message",
        id=rule.sid,
        revision=rule.rev,
        class_=rule.classtype or None,
        priority=min(max(rule.priority, 0), 255),
    )
    references = tuple(Reference(system, text) for system, text in rule.references if system and text)
    return signature, references[:MAX_REFERENCES], Rule(rule.gid, rule.sid, rule.rev)


def build_event(detection: Detection, rule: EngineRule, *, part: _RulePart | None = None) -> Event:
    """The event without its sequence number and name. `part` saves making `rule_part(rule)` again."""
    signature, references, numbers = part or rule_part(rule)
    octets = detection.packet
    saddr, daddr, proto = detection.src_ip, detection.dest_ip, detection.proto
    if octets:
        packet, ipv6 = decode_datagram(octets)
    else:
        packet, ipv6 = header_only(saddr, daddr, proto, detection.src_port, detection.dest_port)
    extensions: list[Extension] = [numbers]
    l4: Transport | None = ipv6.header.l4 if ipv6 is not None else getattr(packet, "l4", None)
    extensions.append(
        Flow(
            flow_id=detection.flow_id & U63,
            community_id=_community_id(saddr, daddr, proto, detection.src_port, detection.dest_port, l4),
            to_server=detection.to_server,
            app_proto=detection.app_proto if is_word(detection.app_proto) else None,
        )
    )
    if ipv6 is not None:
        extensions.append(ipv6)
    facts = tuple((name, clean_octets(value, MAX_FACT_CHARS)) for name, value in detection.facts if is_fact_name(name))
    if facts:
        extensions.append(Facts(facts[:MAX_FACTS]))
    return Event(signature, references, min(max(detection.ts_ns, 0), MAX_TIMESTAMP_NS), packet, tuple(extensions))


def _community_id(saddr: str, daddr: str, proto: int, sport: int, dport: int, l4: Transport | None) -> str | None:
    if proto in (ICMP, ICMPV6):
        if not isinstance(l4, IcmpHeader):
            return None
        sport, dport = l4.type, l4.code
    try:
        return community_id(saddr, daddr, proto, sport, dport)
    except OSError:  # no address: an alert on something below IP
        return None


class EventBuilder:
    """Builds and writes the events of one sensor."""

    def __init__(self, sensor_id: str, sensor: Sensor, sanitizer: Sanitizer | None = None) -> None:
        """`sensor`: whose encoding and detail the events are written in."""
        self.sensor_id = sensor_id
        self.sensor = sensor
        self._sanitizer = sanitizer
        self._parts: dict[tuple[int, int, int, str], _RulePart] = {}

    def build(self, detection: Detection, rule: EngineRule) -> Event:
        """The event as it may leave the box, without sequence number and name."""
        key = (rule.gid, rule.sid, rule.rev, rule.msg)
        part = self._parts.get(key)
        if part is None:
            if len(self._parts) >= 65536:  # reloads may bring new rules for ever
                self._parts.clear()
            part = self._parts[key] = rule_part(rule)
        event = build_event(detection, rule, part=part)
        return event if self._sanitizer is None else self._sanitizer.apply(event)

    def number(self, event: Event, epoch: int, seq: int) -> Event:
        """The event with its sequence number and name."""
        return event.with_extensions(EventId(event_uuid(self.sensor_id, epoch, seq)), Sequence(epoch, seq))

    def render(self, detection: Detection, rule: EngineRule, epoch: int, seq: int) -> bytes:
        """The event's bytes: one line of SNML."""
        return self.write(self.number(self.build(detection, rule), epoch, seq))

    def write(self, event: Event) -> bytes:
        """A numbered event's bytes."""
        return encode_event(event, self.sensor.encoding, self.sensor.detail)
