"""SNML 0.3: model, encoder, decoder, reject catalogue. This is the front door; see README.md beside it for every
divergence.
"""

from appliance.wire.snml.decode import DTD_PATH, decode_event, decode_message, decode_message_lenient_events
from appliance.wire.snml.encode import encode_event, encode_message, encode_message_from_fragments
from appliance.wire.snml.extension import EXTENSION_TYPES, EventId, Extension, Facts, Flow, Ipv6, Rule, Sequence
from appliance.wire.snml.model import Detail, Encoding, Event, Message, Reference, Sensor, Signature
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
from appliance.wire.snml.parse import Limits
from appliance.wire.snml.reject import RejectCode, SnmlError
from appliance.wire.snml.sanitize import Sanitizer

__all__ = [
    "DTD_PATH",
    "EXTENSION_TYPES",
    "Detail",
    "Encoding",
    "Event",
    "EventId",
    "Extension",
    "Facts",
    "Flow",
    "IcmpHeader",
    "IpHeader",
    "Ipv6",
    "Ipv6Header",
    "Limits",
    "Message",
    "Option",
    "Packet",
    "Raw",
    "Reference",
    "RejectCode",
    "Rule",
    "Sanitizer",
    "Sensor",
    "Sequence",
    "Signature",
    "SnmlError",
    "TcpHeader",
    "Transport",
    "UdpHeader",
    "decode_event",
    "decode_message",
    "decode_message_lenient_events",
    "encode_event",
    "encode_message",
    "encode_message_from_fragments",
]
