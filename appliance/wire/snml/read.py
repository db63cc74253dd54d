"""Elements -> model: the hard-coded checks of structure, types, ranges, addresses and of what a DTD cannot say.

Rules of this file: every element is read whole (tag, attributes, text, children in order); what is not expected is
refused by name. It must refuse everything that snml.dtd refuses, and may refuse more; a property test compares the
two. Raises SnmlError only, whatever the tree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from appliance.wire.snml import fields as f
from appliance.wire.snml.element import Children, Element, attributes, empty, leaf, no_attributes
from appliance.wire.snml.extension import EventId, Extension, Facts, Flow, Ipv6, Rule
from appliance.wire.snml.extension import Sequence as SequenceExtension
from appliance.wire.snml.model import Detail, Encoding, Event, Reference, Sensor, Signature
from appliance.wire.snml.octets import decode_octets, option_encoding
from appliance.wire.snml.packet import (
    IcmpHeader,
    IpHeader,
    Ipv6Header,
    Option,
    Packet,
    Raw,
    TcpHeader,
    Transport,
    UdpHeader,
)
from appliance.wire.snml.reject import RejectCode, SnmlError
from appliance.wire.snml.timestamp import parse_timestamp

_SIGNATURE = f.readers(f.SIGNATURE, **{"class": f.class_text})
_IPHDR = f.readers(f.IPHDR, saddr=f.masked_ipv4, daddr=f.masked_ipv4)
_IPHDR_REQUIRED = f.required(f.IPHDR, "saddr", "daddr")
_IPV6HDR = f.readers(f.IPV6HDR, saddr=f.masked_ipv6, daddr=f.masked_ipv6)
_IPV6HDR_REQUIRED = f.required(f.IPV6HDR, "saddr", "daddr")
_TRANSPORT: Mapping[str, tuple[type[Transport], dict[str, f.Reader | int], tuple[str, ...]]] = {
    "tcphdr": (TcpHeader, f.readers(f.TCPHDR), f.required(f.TCPHDR)),
    "udphdr": (UdpHeader, f.readers(f.UDPHDR), f.required(f.UDPHDR)),
    "icmphdr": (IcmpHeader, f.readers(f.ICMPHDR), f.required(f.ICMPHDR)),
}
_PROTOCOL_V4 = {"tcphdr": f.PROTO_TCP, "udphdr": f.PROTO_UDP, "icmphdr": f.PROTO_ICMP}
_PROTOCOL_V6 = {**_PROTOCOL_V4, "icmphdr": f.PROTO_ICMPV6}
_OPTION = {"code": f.U8, "len": f.U8}
_SEQUENCE = {**f.readers(f.SEQUENCE), "seq": f.number(f.U63, 1)}
_RULE = f.readers(f.RULE)


def _token(*words: str) -> f.Reader:
    def read(element: str, name: str, text: str) -> str:
        if text in words:
            return text
        raise SnmlError(RejectCode.TOKEN, f'{element} {name}="{text}"', " or ".join(words))

    return read


_SENSOR = {"encoding": _token(*Encoding), "detail": _token(*Detail)}
_IPADDR = {"version": _token("4", "6")}
_FLOW: Mapping[str, f.Reader | int] = {
    "id": f.U63, "community": f.community_id, "direction": _token("to-server", "to-client"), "app": f.word,
}  # fmt: skip


def read_sensor(element: Element) -> Sensor:
    """The sensor.

    Raises:
        SnmlError: it breaks the vocabulary.
    """
    values = attributes(element, _SENSOR, ("encoding", "detail"))
    children = Children(element)
    file = ipaddr = interface = bpf = version = None
    source = children.take("file", "ipaddr")
    if source.tag == "file":
        file = _plain(source, f.path_text)
    else:
        version = int(attributes(source, _IPADDR, ("version",))["version"])
        ipaddr = (f.ipv6 if version == 6 else f.ipv4)("ipaddr", "", leaf(source))
        if children.peek() == "interface":
            interface = _plain(children.take("interface"), f.word_text)
    hostname = _plain(children.take("hostname"), f.hostname)
    if children.peek() == "filter":
        bpf = _plain(children.take("filter"), f.path_text)
    children.end()
    return Sensor(
        Encoding(values["encoding"]), Detail(values["detail"]), hostname, ipaddr, version, interface, file, bpf
    )


def _plain(element: Element, reader: f.Reader) -> str:
    no_attributes(element)
    value: str = reader(str(element.tag), "", leaf(element))
    return value


def read_event(element: Element, encoding: Encoding) -> Event:
    """One event whose octets are in `encoding`.

    Raises:
        SnmlError: it breaks the vocabulary.
    """
    no_attributes(element)
    children = Children(element)
    node = children.take("signature")
    values = attributes(node, _SIGNATURE)
    values["class_"] = values.pop("class", None)
    signature = Signature(f.signature_text("signature", "", leaf(node)), **values)
    references = tuple(
        Reference(
            attributes(node, {"system": f.word_text}, ("system",))["system"],
            f.reference_text("reference", "", leaf(node)),
        )
        for node in children.take_all("reference", f.MAX_REFERENCES)
    )
    node = children.take("timestamp")
    no_attributes(node)
    timestamp_ns = parse_timestamp(leaf(node))
    packet = _packet(children.take("packet"), encoding)
    extensions: list[Extension] = []
    for node in children.take_all("extension", len(_EXTENSIONS)):
        extension = _extension(node, encoding)
        if any(type(other) is type(extension) for other in extensions):
            raise SnmlError(RejectCode.EXTENSION_REPEATED, f"{extension.name} twice", "each extension once")
        extensions.append(extension)
    children.end()
    event = Event(signature, references, timestamp_ns, packet, tuple(extensions))
    _check_conflicts(event)
    return event


def _packet(element: Element, encoding: Encoding) -> Packet:
    no_attributes(element)
    children = Children(element)
    node = children.take("raw", "iphdr")
    children.end()
    if node.tag == "raw":
        no_attributes(node)
        return Raw(decode_octets(leaf(node), encoding, f.MAX_RAW_OCTETS))
    values = attributes(node, _IPHDR, _IPHDR_REQUIRED)
    children = Children(node)
    data = None
    tag = children.peek()
    if tag in _TRANSPORT:
        values["l4"], data = _transport(children.take(tag), values["proto"], _PROTOCOL_V4, encoding)
    elif tag == "data":
        data = _data(children.take("data"), encoding)
    options = _options(children, encoding)
    children.end()
    return IpHeader(options=options, data=data, **values)


def _transport(
    element: Element, proto: int, protocols: Mapping[str, int], encoding: Encoding
) -> tuple[Transport, bytes | None]:
    tag = str(element.tag)
    kind, readers, required = _TRANSPORT[tag]
    if proto != protocols[tag]:
        raise SnmlError(RejectCode.PROTOCOL, f"{tag} with proto {proto}", f"proto {protocols[tag]}")
    values = attributes(element, readers, required)
    children = Children(element)
    if tag == "tcphdr":
        values["options"] = _options(children, encoding)
    data = _data(children.take("data"), encoding) if children.peek() == "data" else None
    children.end()
    return kind(**values), data


def _data(element: Element, encoding: Encoding) -> bytes:
    no_attributes(element)
    return decode_octets(leaf(element), encoding, f.MAX_DATA_OCTETS)


def _options(children: Children, encoding: Encoding) -> tuple[Option, ...]:
    nodes = children.take_all("option", f.MAX_OPTIONS)
    if not nodes:
        return ()
    binary = option_encoding(encoding)
    options = []
    for node in nodes:
        values = attributes(node, _OPTION, ("code",))
        data = decode_octets(leaf(node), binary, f.MAX_OPTION_OCTETS)
        if values.get("len", len(data)) != len(data):
            raise SnmlError(RejectCode.OPTION_LENGTH, f"len {values['len']}, {len(data)} octets", "len octets")
        options.append(Option(values["code"], data))
    return tuple(options)


def _read_event_id(children: Children, _: Encoding) -> Extension:
    node = children.take("event-id")
    empty(node)
    return EventId(**attributes(node, {"uuid": f.uuid}, ("uuid",)))


def _read_sequence(children: Children, _: Encoding) -> Extension:
    node = children.take("sequence")
    empty(node)
    return SequenceExtension(**attributes(node, _SEQUENCE, ("epoch", "seq")))


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
    if tag in _TRANSPORT:
        fields["l4"], data = _transport(inner.take(tag), values["proto"], _PROTOCOL_V6, encoding)
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


_EXTENSIONS: Mapping[str, tuple[str, Callable[[Children, Encoding], Extension]]] = {
    "event-id": ("event-id", _read_event_id),
    "sequence": ("sequence", _read_sequence),
    "rule": ("rule", _read_rule),
    "flow": ("flow", _read_flow),
    "ipv6": ("ipv6hdr", _read_ipv6),
    "facts": ("fact", _read_facts),
}
_EXTENSION = {"name": f.word_text}


def _extension(element: Element, encoding: Encoding) -> Extension:
    name = attributes(element, _EXTENSION, ("name",))["name"]
    known = _EXTENSIONS.get(name)
    children = Children(element)
    if known is None or children.peek() not in (known[0], ""):
        allowed = ", ".join(f"{key} with {tag}" for key, (tag, _) in _EXTENSIONS.items())
        raise SnmlError(RejectCode.EXTENSION_NAME, f"{name} with {children.peek() or 'nothing'}", allowed)
    extension = known[1](children, encoding)
    children.end()
    return extension


def _check_conflicts(event: Event) -> None:
    """Two places that say the same must agree, so that no two readers of one event can disagree."""
    rule, ipv6, signature = event.rule, event.ipv6, event.signature
    if rule is not None and (signature.id not in (None, rule.sid) or signature.revision not in (None, rule.rev)):
        raise SnmlError(
            RejectCode.EXTENSION_CONFLICT,
            f"rule {rule.sid};{rule.rev}, signature {signature.id};{signature.revision}",
            "the same numbers",
        )
    if ipv6 is not None:
        if not isinstance(event.packet, Raw):
            raise SnmlError(RejectCode.EXTENSION_CONFLICT, "ipv6 beside an iphdr", "the IPv6 datagram in packet/raw")
        if ipv6.header.ver != 6:
            raise SnmlError(RejectCode.EXTENSION_CONFLICT, f"ipv6hdr ver {ipv6.header.ver}", "6")
        if (ipv6.header.data_offset or 0) > len(event.packet.data):
            raise SnmlError(
                RejectCode.EXTENSION_CONFLICT,
                f"doff {ipv6.header.data_offset} of {len(event.packet.data)} octets",
                "an offset within raw",
            )
