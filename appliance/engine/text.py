"""Detection -> one line for the eye, in the manner of Suricata's fast.log.

Rules of this file: pure; one alert is one line whatever the rule file or the network put into it. Ports stand after
the address, for ICMP type and code; IPv6 addresses are bracketed, so that the port can be told from them.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from appliance.engine.datagram import ICMP, ICMPV6
from appliance.engine.eve import icmp_header, proto_name
from appliance.wire.snml.fields import MAX_SIGNATURE_CHARS
from appliance.wire.snml.text import clean

if TYPE_CHECKING:
    from vedette_engine import Detection, Rule


def text_line(detection: Detection, rule: Rule) -> str:
    """`01/02/2024-03:04:05.678901  [**] [1:1000:2] message [**] [Classification: ...] [Priority: 3] {TCP} a:1 ->
    b:2`.
    """
    seconds, ns = divmod(detection.ts_ns, 1_000_000_000)
    stamp = time.strftime("%m/%d/%Y-%H:%M:%S", time.gmtime(seconds)) + f".{ns // 1000:06d}"
    sport, dport = detection.src_port, detection.dest_port
    if detection.proto in (ICMP, ICMPV6):
        header = icmp_header(detection)
        sport, dport = (0, 0) if header is None else (header.type, header.code)
    message = clean(rule.msg, MAX_SIGNATURE_CHARS)
    return (
        f"{stamp}  [**] [{rule.gid}:{rule.sid}:{rule.rev}] {message} [**]"
        f" [Classification: {clean(rule.category, MAX_SIGNATURE_CHARS) or '(null)'}] [Priority: {rule.priority}]"
        f" {{{proto_name(detection.proto)}}} {_end(detection.src_ip, sport)} -> {_end(detection.dest_ip, dport)}"
    )


def _end(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
