"""Model -> bytes: canonical SNML 0.3, one event a line.

Rules of this file: the same model gives the same bytes; whatever is returned passes the decoder. Built as strings (a
tree costs ten times as much). Free text is made fit (text.py); anything else out of range is refused with the
decoder's own codes, which then means a fault of ours, not of the network.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from appliance.wire.snml import fields as f
from appliance.wire.snml.detail import to_fast
from appliance.wire.snml.extension import EventId, Extension, Facts, Flow, Ipv6, Rule, Sequence
from appliance.wire.snml.model import Detail, Encoding, Event, Message, Reference, Sensor, Signature
from appliance.wire.snml.octets import encode_octets, option_encoding
from appliance.wire.snml.packet import IcmpHeader, IpHeader, Ipv6Header, Option, Raw, TcpHeader, Transport
from appliance.wire.snml.reject import RejectCode, SnmlError
from appliance.wire.snml.text import clean, escape, fit_hostname
from appliance.wire.snml.timestamp import format_timestamp

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<SNML-Message version="0.3">\n'
_TAIL = b"</SNML-Message>\n"
_ATTRIBUTE_OF_FIELD = {field: name for name, field in f.IPV6_FIELDS.items()}
_IPV6_NUMBERS = tuple((f.IPV6_FIELDS[name], largest, must) for name, largest, must in f.IPV6HDR)


def encode_message(message: Message) -> bytes:
    """The whole document.

    Raises:
        SnmlError: a value is out of its range, or the message has no events.
    """
    sensor = message.sensor
    return encode_message_from_fragments(
        sensor, [encode_event(event, sensor.encoding, sensor.detail) for event in message.events]
    )


def encode_message_from_fragments(sensor: Sensor, fragments: Iterable[bytes]) -> bytes:
    """The whole document from events that `encode_event` made for a sensor with the same encoding and detail.

    Raises:
        SnmlError: a value of the sensor is out of its range, or there are no fragments.
    """
    events = list(fragments)
    if not events:
        raise SnmlError(RejectCode.ELEMENT_MISSING, "no event", "at least one event in a message")
    return b"".join((_HEAD.encode(), encode_sensor(sensor), *events, _TAIL))


def encode_sensor(sensor: Sensor) -> bytes:
    """The sensor element as one line.

    Raises:
        SnmlError: a value is out of its range, or there is not exactly one of `file` and `ipaddr`.
    """
    if (sensor.file is None) == (sensor.ipaddr is None):
        raise SnmlError(RejectCode.ELEMENT_MISSING, "a sensor with both or neither", "either file or ipaddr")
    if sensor.file is not None:
        source = f"<file>{_text(sensor.file, f.MAX_PATH_CHARS, 'file')}</file>"
    else:
        address = sensor.ipaddr or ""
        if sensor.ipaddr_version not in (4, 6):
            raise SnmlError(RejectCode.TOKEN, f"ipaddr version {sensor.ipaddr_version}", "4 or 6")
        reader = f.ipv6 if sensor.ipaddr_version == 6 else f.ipv4
        source = f'<ipaddr version="{sensor.ipaddr_version}">{reader("ipaddr", "", address)}</ipaddr>'
        if sensor.interface is not None:
            source += f"<interface>{_text(sensor.interface, f.MAX_WORD_CHARS, 'interface')}</interface>"
    tail = "" if sensor.filter is None else f"<filter>{_text(sensor.filter, f.MAX_PATH_CHARS, 'filter')}</filter>"
    return (
        f'<sensor encoding="{sensor.encoding.value}" detail="{sensor.detail.value}">{source}'
        f"<hostname>{fit_hostname(sensor.hostname)}</hostname>{tail}</sensor>\n"
    ).encode()


def encode_event(event: Event, encoding: Encoding, detail: Detail) -> bytes:
    """One event element as one line, newline included.

    Raises:
        SnmlError: a value is out of its range.
    """
    if detail is Detail.FAST:
        event = to_fast(event)
    out: list[str] = ["<event>"]
    _signature(out, event.signature)
    _limit(event.references, f.MAX_REFERENCES, "references")
    for reference in event.references:
        _reference(out, reference)
    out.append(f"<timestamp>{format_timestamp(event.timestamp_ns)}</timestamp><packet>")
    if isinstance(event.packet, Raw):
        _octets(out, "raw", event.packet.data, encoding, f.MAX_RAW_OCTETS)
    else:
        _ip(out, event.packet, encoding)
    out.append("</packet>")
    seen: set[str] = set()
    for extension in event.extensions:
        if extension.name in seen:
            raise SnmlError(RejectCode.EXTENSION_REPEATED, extension.name, "each extension once")
        seen.add(extension.name)
        out.append(f'<extension name="{extension.name}">')
        _extension(out, extension, event, encoding)
        out.append("</extension>")
    out.append("</event>\n")
    return "".join(out).encode()


def _signature(out: list[str], signature: Signature) -> None:
    out.append("<signature")
    _numbers(out, "signature", signature, f.SIGNATURE[:2])
    if signature.class_ is not None:
        out.append(f' class="{_text(signature.class_, f.MAX_WORD_CHARS, "class")}"')
    _numbers(out, "signature", signature, f.SIGNATURE[2:])
    out.append(f">{_text(signature.text, f.MAX_SIGNATURE_CHARS, 'signature')}</signature>")


def _reference(out: list[str], reference: Reference) -> None:
    system = _text(reference.system, f.MAX_WORD_CHARS, "system")
    out.append(f'<reference system="{system}">{_text(reference.text, f.MAX_REFERENCE_CHARS, "reference")}</reference>')


def _ip(out: list[str], ip: IpHeader, encoding: Encoding) -> None:
    saddr = f.MASKED_V4 if ip.saddr is None else f.ipv4("iphdr", "saddr", ip.saddr)
    daddr = f.MASKED_V4 if ip.daddr is None else f.ipv4("iphdr", "daddr", ip.daddr)
    out.append(f'<iphdr saddr="{saddr}" daddr="{daddr}"')
    _numbers(out, "iphdr", ip, f.IPHDR)
    if ip.l4 is None and ip.data is None and not ip.options:
        out.append("/>")
        return
    out.append(">")
    if ip.l4 is not None:
        _transport(out, ip.l4, ip.proto, f.PROTO_ICMP, ip.data, encoding)
    elif ip.data is not None:
        _octets(out, "data", ip.data, encoding, f.MAX_DATA_OCTETS)
    _options(out, ip.options, encoding)
    out.append("</iphdr>")


def _transport(
    out: list[str], header: Transport, proto: int, icmp_proto: int, data: bytes | None, encoding: Encoding
) -> None:
    options: tuple[Option, ...] = ()
    if isinstance(header, TcpHeader):
        name, numbers, expected, options = "tcphdr", f.TCPHDR, f.PROTO_TCP, header.options
    elif isinstance(header, IcmpHeader):
        name, numbers, expected = "icmphdr", f.ICMPHDR, icmp_proto
    else:
        name, numbers, expected = "udphdr", f.UDPHDR, f.PROTO_UDP
    if proto != expected:
        raise SnmlError(RejectCode.PROTOCOL, f"{name} with proto {proto}", f"proto {expected}")
    out.append("<" + name)
    _numbers(out, name, header, numbers)
    if not options and data is None:
        out.append("/>")
        return
    out.append(">")
    _options(out, options, encoding)
    if data is not None:
        _octets(out, "data", data, encoding, f.MAX_DATA_OCTETS)
    out.append(f"</{name}>")


def _options(out: list[str], options: tuple[Option, ...], encoding: Encoding) -> None:
    if not options:
        return
    _limit(options, f.MAX_OPTIONS, "options")
    binary = option_encoding(encoding)
    for option in options:
        if not 0 <= option.code <= f.U8 or len(option.data) > f.MAX_OPTION_OCTETS:
            raise SnmlError(
                RejectCode.NUMBER,
                f"option {option.code} of {len(option.data)} octets",
                f"code 0 to 255, at most {f.MAX_OPTION_OCTETS} octets",
            )
        if option.data:
            octets = encode_octets(option.data, binary)
            out.append(f'<option code="{option.code}" len="{len(option.data)}">{octets}</option>')
        else:
            out.append(f'<option code="{option.code}"/>')


def _extension(out: list[str], extension: Extension, event: Event, encoding: Encoding) -> None:
    match extension:
        case EventId(uuid):
            out.append(f'<event-id uuid="{f.uuid("event-id", "uuid", uuid)}"/>')
        case Sequence():
            if extension.seq < 1:
                raise SnmlError(RejectCode.NUMBER, f"seq {extension.seq}", "1 or more")
            out.append("<sequence")
            _numbers(out, "sequence", extension, f.SEQUENCE)
            out.append("/>")
        case Rule():
            if event.signature.id not in (None, extension.sid) or event.signature.revision not in (None, extension.rev):
                raise SnmlError(
                    RejectCode.EXTENSION_CONFLICT, f"{extension} beside {event.signature}", "the same numbers"
                )
            out.append("<rule")
            _numbers(out, "rule", extension, f.RULE)
            out.append("/>")
        case Flow():
            _flow(out, extension)
        case Ipv6(header):
            _ipv6(out, header, event, encoding)
        case Facts(items):
            _limit(items, f.MAX_FACTS, "facts")
            if not items:
                raise SnmlError(RejectCode.ELEMENT_MISSING, "facts without a fact", "at least one fact")
            for name, value in items:
                text = escape(clean(value, f.MAX_FACT_CHARS))
                out.append(f'<fact name="{f.fact_name("fact", "name", name)}">{text}</fact>')


def _flow(out: list[str], flow: Flow) -> None:
    if not 0 <= flow.flow_id <= f.U63:
        raise SnmlError(RejectCode.NUMBER, f"flow id {flow.flow_id}", f"0 to {f.U63}")
    out.append(f'<flow id="{flow.flow_id}"')
    if flow.community_id is not None:
        out.append(f' community="{f.community_id("flow", "community", flow.community_id)}"')
    out.append(f' direction="{"to-server" if flow.to_server else "to-client"}"')
    if flow.app_proto is not None:
        out.append(f' app="{f.word("flow", "app", flow.app_proto)}"')
    out.append("/>")


def _ipv6(out: list[str], header: Ipv6Header, event: Event, encoding: Encoding) -> None:
    if not isinstance(event.packet, Raw) or (header.data_offset or 0) > len(event.packet.data) or header.ver != 6:
        raise SnmlError(
            RejectCode.EXTENSION_CONFLICT, f"ipv6 beside {type(event.packet).__name__}", "raw, ver 6, doff within it"
        )
    saddr = f.MASKED_V6 if header.saddr is None else f.ipv6("ipv6hdr", "saddr", header.saddr)
    daddr = f.MASKED_V6 if header.daddr is None else f.ipv6("ipv6hdr", "daddr", header.daddr)
    out.append(f'<ipv6hdr saddr="{saddr}" daddr="{daddr}"')
    for field, largest, must in _IPV6_NUMBERS:
        _number(out, "ipv6hdr", _ATTRIBUTE_OF_FIELD[field], getattr(header, field), largest, must)
    if header.l4 is None:
        out.append("/>")
        return
    out.append(">")
    _transport(out, header.l4, header.proto, f.PROTO_ICMPV6, None, encoding)
    out.append("</ipv6hdr>")


def _numbers(out: list[str], element: str, header: Any, numbers: f.Numbers) -> None:
    for name, largest, must in numbers:
        _number(out, element, name, getattr(header, name), largest, must)


def _number(out: list[str], element: str, name: str, value: int | None, largest: int, must: bool) -> None:
    if value is None:
        if must:
            raise SnmlError(RejectCode.ATTRIBUTE_MISSING, f"{element} without {name}", f"{name} must be there")
        return
    if not 0 <= value <= largest:
        raise SnmlError(RejectCode.NUMBER, f"{element} {name} {value}", f"0 to {largest}")
    out.append(f' {name}="{value:d}"')


def _text(text: str, max_chars: int, name: str) -> str:
    if not text:
        raise SnmlError(RejectCode.TEXT, f"empty {name}", "at least one character")
    return escape(clean(text, max_chars))


def _octets(out: list[str], name: str, data: bytes, encoding: Encoding, max_octets: int) -> None:
    if len(data) > max_octets:
        raise SnmlError(RejectCode.DATA_TOO_LONG, f"{name} of {len(data)} octets", f"at most {max_octets}")
    text = encode_octets(data, encoding)
    out.append(f"<{name}>{escape(text) if encoding is Encoding.ASCII else text}</{name}>")


def _limit(items: tuple[object, ...], largest: int, what: str) -> None:
    if len(items) > largest:
        raise SnmlError(RejectCode.ITEMS_TOO_MANY, f"{len(items)} {what}", f"at most {largest}")
