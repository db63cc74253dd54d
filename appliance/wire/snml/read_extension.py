"""The extension elements -> model.

Rules of this file: as in read.py. extension/@name must be that of the content; both lists are closed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from appliance.wire.snml import fields as f
from appliance.wire.snml.element import Children, Element, attributes, empty, leaf
from appliance.wire.snml.extension import EventId, Extension, Facts, Flow, Ipv6, Rule, Sequence
from appliance.wire.snml.model import Encoding
from appliance.wire.snml.packet import Ipv6Header
from appliance.wire.snml.read_packet import PROTOCOL_V6, TRANSPORT, read_transport
from appliance.wire.snml.reject import RejectCode, SnmlError

_IPV6HDR = f.readers(f.IPV6HDR, saddr=f.masked_ipv6, daddr=f.masked_ipv6)
_IPV6HDR_REQUIRED = f.required(f.IPV6HDR, "saddr", "daddr")
_SEQUENCE = {**f.readers(f.SEQUENCE), "seq": f.number(f.U63, 1)}
_RULE = f.readers(f.RULE)

_FLOW: Mapping[str, f.Reader | int] = {
    "id": f.U63, "community": f.community_id, "direction": f.token("to-server", "to-client"), "app": f.word,
}  # fmt: skip


def _read_event_id(children: Children, _: Encoding) -> Extension:
    node = children.take("event-id")
    empty(node)
    return EventId(**attributes(node, {"uuid": f.uuid}, ("uuid",)))


def _read_sequence(children: Children, _: Encoding) -> Extension:
    node = children.take("sequence")
    empty(node)
    return Sequence(**attributes(node, _SEQUENCE, ("epoch", "seq")))


def _read_rule(children: Children, _: Encoding) -> Extension:
    node = children.take("rule")
    empty(node)
    return Rule(**attributes(node, _RULE, ("gid", "sid", "rev")))


def _read_flow(children: Children, _: Encoding) -> Extension:
    node = children.take("flow")
    empty(node)
    values = attributes(node, _FLOW, ("id", "direction"))
    return Flow(values["id"], values.get("community"), values["direction"] == "to-server", values.get("app"))


def _read_ipv6(children: Children, encoding: Encoding) -> Extension:
    node = children.take("ipv6hdr")
    values = attributes(node, _IPV6HDR, _IPV6HDR_REQUIRED)
    fields = {f.IPV6_FIELDS.get(name, name): value for name, value in values.items()}
    inner = Children(node)
    tag = inner.peek()
    if tag in TRANSPORT:
        fields["l4"], data = read_transport(inner.take(tag), values["proto"], PROTOCOL_V6, encoding)
        if data is not None:
            raise SnmlError(
                RejectCode.ELEMENT_UNEXPECTED, "data below ipv6hdr", "the payload in packet/raw, from doff on"
            )
    inner.end()
    return Ipv6(Ipv6Header(**fields))


def _read_facts(children: Children, _: Encoding) -> Extension:
    items = []
    for node in [children.take("fact"), *children.take_all("fact", f.MAX_FACTS - 1)]:
        name = attributes(node, {"name": f.fact_name}, ("name",))["name"]
        items.append((name, f.fact_text("fact", name, leaf(node))))
    return Facts(tuple(items))


EXTENSIONS: Mapping[str, tuple[str, Callable[[Children, Encoding], Extension]]] = {
    "event-id": ("event-id", _read_event_id),
    "sequence": ("sequence", _read_sequence),
    "rule": ("rule", _read_rule),
    "flow": ("flow", _read_flow),
    "ipv6": ("ipv6hdr", _read_ipv6),
    "facts": ("fact", _read_facts),
}
_EXTENSION = {"name": f.word_text}


def read_extension(element: Element, encoding: Encoding) -> Extension:
    name = attributes(element, _EXTENSION, ("name",))["name"]
    known = EXTENSIONS.get(name)
    children = Children(element)
    if known is None or children.peek() not in (known[0], ""):
        allowed = ", ".join(f"{key} with {tag}" for key, (tag, _) in EXTENSIONS.items())
        raise SnmlError(RejectCode.EXTENSION_NAME, f"{name} with {children.peek() or 'nothing'}", allowed)
    extension = known[1](children, encoding)
    children.end()
    return extension
