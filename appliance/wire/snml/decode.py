"""Bytes -> model, or one SnmlError: the collector's front door for documents from anywhere.

Rules of this file: any bytes end in a Message or in one SnmlError with a catalogue code, in time linear in their
number and in bounded memory (parse.py). Structure is checked twice, by snml.dtd and by read.py; both must agree.
Events are refused one by one, so that a good event never suffers for a bad neighbour.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, cast

from lxml import etree

from appliance.wire.snml.element import Children, attributes
from appliance.wire.snml.model import Encoding, Event, Message, Sensor
from appliance.wire.snml.parse import Limits, parse_document
from appliance.wire.snml.read import read_event, read_sensor
from appliance.wire.snml.reject import RejectCode, SnmlError

VERSION = "0.3"
DTD_PATH = Path(__file__).with_name("snml.dtd")


class _Dtd:
    """The server-held DTD. libxml2 compiles content models at first use, without a lock of its own: hence ours."""

    def __init__(self, path: Path) -> None:
        self._dtd = etree.DTD(str(path))
        self._lock = threading.Lock()

    def fault(self, element: etree._Element) -> str | None:
        """What is wrong with the element and everything below it; None when nothing is."""
        with self._lock:
            if self._dtd.validate(element):
                return None
            error = cast(Any, self._dtd.error_log).last_error
            return "breaks the DTD" if error is None else str(error.message)


_DTD = _Dtd(DTD_PATH)
_DEFAULT_LIMITS = Limits()


def decode_message(data: bytes, *, limits: Limits = _DEFAULT_LIMITS) -> Message:
    """The message, if it is good from the first byte to the last.

    Raises:
        SnmlError: the document or one of its events is refused; of several faults, the first.
    """
    sensor, results = decode_message_lenient_events(data, limits=limits)
    events = []
    for result in results:
        if isinstance(result, SnmlError):
            raise result
        events.append(result)
    return Message(sensor, tuple(events))


def decode_message_lenient_events(
    data: bytes, *, limits: Limits = _DEFAULT_LIMITS
) -> tuple[Sensor, list[Event | SnmlError]]:
    """The sensor, and for each event in order either the event or why it is refused.

    Raises:
        SnmlError: the document as a whole is refused: not well-formed, over a limit, no SNML-Message, a bad sensor,
            no events.
    """
    root = parse_document(data, limits)
    if root.tag != "SNML-Message":
        raise SnmlError(RejectCode.ROOT_UNKNOWN, f"root element {root.tag}", "SNML-Message")
    # One validation of the whole; only when it fails are the parts looked at one by one.
    fault = _DTD.fault(root)
    attributes(root, {"version": _version})
    children = Children(root)
    node = children.take("sensor")
    sensor = read_sensor(node)
    if fault is not None:
        _refuse(_DTD.fault(node))
    first = children.take("event")
    nodes = [first, *children.take_all("event", limits.events - 1)]
    children.end()
    results = [_event(node, index, sensor.encoding, check_dtd=fault is not None) for index, node in enumerate(nodes)]
    if fault is not None and not any(isinstance(result, SnmlError) for result in results):
        # The fault is in none of the parts: namespace declarations on the root, say.
        _refuse(fault)
    return sensor, results


def decode_event(fragment: bytes, encoding: Encoding, *, limits: Limits = _DEFAULT_LIMITS) -> Event:
    """One event element alone, as `encode_event` makes it and as a store keeps it.

    Raises:
        SnmlError: it is refused.
    """
    root = parse_document(fragment, limits)
    if root.tag != "event":
        raise SnmlError(RejectCode.ROOT_UNKNOWN, f"root element {root.tag}", "event")
    event = read_event(root, encoding)
    _refuse(_DTD.fault(root))
    return event


def _event(node: etree._Element, index: int, encoding: Encoding, *, check_dtd: bool) -> Event | SnmlError:
    try:
        event = read_event(node, encoding)
        if check_dtd:
            _refuse(_DTD.fault(node))
    except SnmlError as error:
        return error.at_event(index)
    return event


def _version(element: str, name: str, text: str) -> str:
    if text != VERSION:
        raise SnmlError(RejectCode.VERSION, f'{element} {name}="{text}"', VERSION)
    return text


def _refuse(fault: str | None) -> None:
    if fault is not None:
        raise SnmlError(RejectCode.INPUT_INVALID, fault, "what snml.dtd declares")
