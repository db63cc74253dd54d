"""Detection -> Suricata's EVE alert record, for every tool that reads eve.json.

Rules of this file: pure; field names, order and values are Suricata 8's where the engine knows the value, and a field
that it does not know is left out, never made up. Text from the network is shown as in SNML: UTF-8, other octets as
`\\xNN`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from appliance.engine.datagram import ICMP, ICMPV6, TCP, UDP, decode_datagram
from appliance.wire.snml import IcmpHeader
from appliance.wire.snml.fields import MAX_FACT_CHARS
from appliance.wire.snml.text import clean_octets

if TYPE_CHECKING:
    from vedette_engine import Detection, Rule

SCTP = 132
# As Suricata prints them; a number without a name is printed as three digits.
_PROTOCOLS = {
    0: "IPv6-Hopopt", ICMP: "ICMP", 2: "IGMP", 4: "IP-in-IP", TCP: "TCP", UDP: "UDP", 41: "IPv6", 44: "IPv6-Frag",
    47: "GRE", 50: "ESP", 51: "AH", ICMPV6: "IPv6-ICMP", 89: "OSPF", 103: "PIM", 112: "VRRP", SCTP: "SCTP",
}  # fmt: skip
_HTTP = {
    "http.host": "hostname", "http.url": "url", "http.user_agent": "http_user_agent",
    "http.content_type": "http_content_type", "http.method": "http_method", "http.protocol": "protocol",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sources:
    """The names behind `Detection.source`: capture files, or interfaces when `live`."""

    names: Sequence[str]
    live: bool = False


def proto_name(proto: int) -> str:
    """The protocol as Suricata prints it."""
    return _PROTOCOLS.get(proto) or f"{proto:03d}"


def eve_timestamp(ts_ns: int) -> str:
    """`2024-01-02T03:04:05.678901+0000`, always UTC."""
    seconds, ns = divmod(ts_ns, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{ns // 1000:06d}+0000"


def eve_record(detection: Detection, rule: Rule, sources: Sources) -> dict[str, Any]:
    """The alert record."""
    record: dict[str, Any] = {"timestamp": eve_timestamp(detection.ts_ns)}
    if detection.flow_id:
        record["flow_id"] = detection.flow_id
    if detection.source < len(sources.names):
        record["in_iface" if sources.live else "pcap_filename"] = sources.names[detection.source]
    proto = detection.proto
    ports = proto in (TCP, UDP, SCTP)
    record["event_type"] = "alert"
    record["src_ip"] = detection.src_ip
    if ports:
        record["src_port"] = detection.src_port
    record["dest_ip"] = detection.dest_ip
    if ports:
        record["dest_port"] = detection.dest_port
    record["proto"] = proto_name(proto)
    if proto in (ICMP, ICMPV6) and (header := icmp_header(detection)) is not None:
        record["icmp_type"] = header.type
        record["icmp_code"] = header.code
    if detection.tx_id is not None:
        record["tx_id"] = detection.tx_id
    record["alert"] = _alert(rule)
    record.update(_application(detection))
    if detection.app_proto:
        record["app_proto"] = detection.app_proto
    record["direction"] = "to_server" if detection.to_server else "to_client"
    return record


def eve_line(detection: Detection, rule: Rule, sources: Sources) -> bytes:
    """The record as one line of JSON, newline included."""
    return json.dumps(eve_record(detection, rule, sources), separators=(",", ":")).encode("ascii") + b"\n"


def icmp_header(detection: Detection) -> IcmpHeader | None:
    """Type and code, when the packet has them."""
    packet, ipv6 = decode_datagram(detection.packet)
    header = ipv6.header.l4 if ipv6 is not None else getattr(packet, "l4", None)
    return header if isinstance(header, IcmpHeader) else None


def _alert(rule: Rule) -> dict[str, Any]:
    alert: dict[str, Any] = {
        "action": "allowed",  # a tap blocks nothing, whatever the rule's action says
        "gid": rule.gid,
        "signature_id": rule.sid,
        "rev": rule.rev,
        "signature": rule.msg,
        "category": rule.category,
        "severity": rule.priority,
    }
    if rule.metadata:
        metadata: dict[str, list[str]] = {}
        for name, value in rule.metadata:
            metadata.setdefault(name, []).append(value)
        alert["metadata"] = metadata
    return alert


def _application(detection: Detection) -> dict[str, Any]:
    """The `http` or `dns` object, from the transaction's facts."""
    http: dict[str, Any] = {}
    queries: list[dict[str, str]] = []
    for name, octets in detection.facts:
        if name == "dns.rrname":
            queries.append({"rrname": clean_octets(octets, MAX_FACT_CHARS)})
        elif name == "dns.rrtype" and queries:
            queries[-1]["rrtype"] = clean_octets(octets, MAX_FACT_CHARS)
        elif name == "http.status":
            if octets.isdigit() and len(octets) <= 3:
                http["status"] = int(octets)
        elif name in _HTTP:
            http[_HTTP[name]] = clean_octets(octets, MAX_FACT_CHARS)
    objects: dict[str, Any] = {}
    if http:
        objects["http"] = http
    if queries:
        objects["dns"] = {"version": 3, "type": "request" if detection.to_server else "response", "queries": queries}
    return objects
