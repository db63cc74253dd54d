"""Elements -> model: the hard-coded checks of structure, types, ranges, addresses and of what a DTD cannot say.

Rules of this file: every element is read whole (tag, attributes, text, children in order); what is not expected is
refused by name. It must refuse everything that snml.dtd refuses, and may refuse more; a property test compares the
two. Raises SnmlError only, whatever the tree.
"""

from __future__ import annotations

from appliance.wire.snml import fields as f
from appliance.wire.snml.element import Children, Element, attributes, leaf, no_attributes, no_namespaces
from appliance.wire.snml.extension import Extension
from appliance.wire.snml.model import Detail, Encoding, Event, Reference, Sensor, Signature
from appliance.wire.snml.packet import Raw
from appliance.wire.snml.read_extension import EXTENSIONS, read_extension
from appliance.wire.snml.read_packet import read_packet
from appliance.wire.snml.reject import RejectCode, SnmlError
from appliance.wire.snml.timestamp import parse_timestamp

VERSION = "0.3"

_SIGNATURE = f.readers(f.SIGNATURE, **{"class": f.class_text})
_SENSOR = {"encoding": f.token(*Encoding), "detail": f.token(*Detail)}
_IPADDR = {"version": f.token("4", "6")}


def read_document(root: Element, max_events: int, *, namespaces: bool = True) -> tuple[Sensor, list[Event | SnmlError]]:
    """The sensor, and each event or why it is refused. `namespaces` False: there is no `xmlns` in the document's bytes.

    Raises:
        SnmlError: the root, the sensor, or what stands around the events breaks the vocabulary.
    """
    if root.tag != "SNML-Message":
        raise SnmlError(RejectCode.ROOT_UNKNOWN, f"root element {root.tag}", "SNML-Message")
    no_namespaces(root)
    attributes(root, {"version": _version})
    children = Children(root)
    node = children.take("sensor")
    if namespaces:
        no_namespaces(*node.iter())
    sensor = read_sensor(node)
    first = children.take("event")
    nodes = [first, *children.take_all("event", max_events - 1, RejectCode.EVENTS_TOO_MANY)]
    children.end()
    results: list[Event | SnmlError] = []
    for index, node in enumerate(nodes):
        try:
            event = read_event(node, sensor.encoding)
            if namespaces:
                no_namespaces(*node.iter())
            results.append(event)
        except SnmlError as error:
            results.append(error.at_event(index))
    return sensor, results


def _version(element: str, name: str, text: str) -> str:
    if text != VERSION:
        raise SnmlError(RejectCode.VERSION, f'{element} {name}="{text}"', VERSION)
    return text


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
    packet = read_packet(children.take("packet"), encoding)
    extensions: list[Extension] = []
    for node in children.take_all("extension", len(EXTENSIONS)):
        extension = read_extension(node, encoding)
        if any(type(other) is type(extension) for other in extensions):
            raise SnmlError(RejectCode.EXTENSION_REPEATED, f"{extension.name} twice", "each extension once")
        extensions.append(extension)
    children.end()
    event = Event(signature, references, timestamp_ns, packet, tuple(extensions))
    _check_conflicts(event)
    return event


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
