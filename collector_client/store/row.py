"""An SNML event as the flat columns of the `alerts` table, and a sensor's description as text and back.

Rules of this file: no I/O, nothing refused: the event passed the decoder. A column the event does not say is NULL.
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from appliance.wire.snml import Event, Sensor

EVENT_COLUMNS = (
    "ts_ns", "gid", "sid", "rev", "msg", "classtype", "priority", "proto", "src_ip", "src_port", "dst_ip", "dst_port",
    "flow_id", "community_id", "app_proto", "event_uuid",
)  # fmt: skip


def event_columns(event: Event) -> tuple[object, ...]:
    """The values of `EVENT_COLUMNS`, in that order. `gid` is 1 and `sid`, `rev` are 0 where the event does not say."""
    rule, flow, event_id = event.rule, event.flow, event.event_id
    src_ip, dst_ip, proto = event.endpoints or (None, None, None)
    transport = event.transport
    return (
        event.timestamp_ns,
        rule.gid if rule else 1,
        rule.sid if rule else (event.signature.id or 0),
        rule.rev if rule else (event.signature.revision or 0),
        event.signature.text,
        event.signature.class_,
        event.signature.priority,
        proto,
        src_ip,
        getattr(transport, "sport", None),
        dst_ip,
        getattr(transport, "dport", None),
        flow.flow_id if flow else None,
        flow.community_id if flow else None,
        flow.app_proto if flow else None,
        event_id.uuid if event_id else None,
    )


def describe_sensor(sensor: Sensor) -> str:
    """A sensor's description as one line of canonical JSON (same description, same text)."""
    return json.dumps(
        {field.name: _plain(getattr(sensor, field.name)) for field in fields(sensor)},
        sort_keys=True, separators=(",", ":"), ensure_ascii=False,
    )  # fmt: skip


def _plain(value: object) -> object:
    return getattr(value, "value", value)
