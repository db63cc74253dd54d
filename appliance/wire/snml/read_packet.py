"""The packet element -> model.

Rules of this file: as in read.py. The transport headers are read here for IPv4 and for the ipv6 extension alike.
"""

from __future__ import annotations

from collections.abc import Mapping

from appliance.wire.snml import fields as f
from appliance.wire.snml.element import Children, Element, attributes, leaf, no_attributes
from appliance.wire.snml.model import Encoding
from appliance.wire.snml.octets import decode_octets, option_encoding
from appliance.wire.snml.packet import IcmpHeader, IpHeader, Option, Packet, Raw, TcpHeader, Transport, UdpHeader
from appliance.wire.snml.reject import RejectCode, SnmlError

_IPHDR = f.readers(f.IPHDR, saddr=f.masked_ipv4, daddr=f.masked_ipv4)
_IPHDR_REQUIRED = f.required(f.IPHDR, "saddr", "daddr")
TRANSPORT: Mapping[str, tuple[type[Transport], dict[str, f.Reader | int], tuple[str, ...]]] = {
    "tcphdr": (TcpHeader, f.readers(f.TCPHDR), f.required(f.TCPHDR)),
    "udphdr": (UdpHeader, f.readers(f.UDPHDR), f.required(f.UDPHDR)),
    "icmphdr": (IcmpHeader, f.readers(f.ICMPHDR), f.required(f.ICMPHDR)),
}
PROTOCOL_V4 = {"tcphdr": f.PROTO_TCP, "udphdr": f.PROTO_UDP, "icmphdr": f.PROTO_ICMP}
PROTOCOL_V6 = {**PROTOCOL_V4, "icmphdr": f.PROTO_ICMPV6}
_OPTION = {"code": f.U8, "len": f.U8}


def read_packet(element: Element, encoding: Encoding) -> Packet:
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
    if tag in TRANSPORT:
        values["l4"], data = read_transport(children.take(tag), values["proto"], PROTOCOL_V4, encoding)
    elif tag == "data":
        data = _data(children.take("data"), encoding)
    options = _options(children, encoding)
    children.end()
    return IpHeader(options=options, data=data, **values)


def read_transport(
    element: Element, proto: int, protocols: Mapping[str, int], encoding: Encoding
) -> tuple[Transport, bytes | None]:
    tag = str(element.tag)
    kind, readers, required = TRANSPORT[tag]
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
