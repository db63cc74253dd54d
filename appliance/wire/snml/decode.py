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

from appliance.wire.snml.element import no_namespaces
from appliance.wire.snml.model import Encoding, Event, Message, Sensor
from appliance.wire.snml.parse import Limits, parse_document
from appliance.wire.snml.read import read_document, read_event
from appliance.wire.snml.reject import RejectCode, SnmlError

DTD_PATH = Path(__file__).with_name("snml.dtd")
_BY_DTD = "what snml.dtd declares"


class _Dtd:
    """The server-held DTD.

    libxml2 compiles content models at first use, without a lock of its own: hence ours. Each violation costs lxml the
    element's path, which is linear in its siblings, so a document made of violations would take quadratic time: only
    what the hard-coded checks have taken, and what therefore has none, may come here.
    """

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
    sensor, results = read_document(root, limits.events, namespaces=b"xmlns" in data)
    whole = not any(isinstance(result, SnmlError) for result in results)
    if whole and _DTD.fault(root) is None:
        return sensor, results
    # Part by part, and only what read.py has taken: see _Dtd.
    sensor_node, *nodes = root
    _refuse(_DTD.fault(sensor_node))
    for index, (node, result) in enumerate(zip(nodes, results, strict=True)):
        if isinstance(result, Event) and (fault := _DTD.fault(node)) is not None:
            results[index] = SnmlError(RejectCode.INPUT_INVALID, fault, _BY_DTD, index)
    if whole and not any(isinstance(result, SnmlError) for result in results):
        _refuse("the whole breaks the DTD, but none of its parts does")
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
    no_namespaces(*root.iter())
    _refuse(_DTD.fault(root))
    return event


def _refuse(fault: str | None) -> None:
    if fault is not None:
        raise SnmlError(RejectCode.INPUT_INVALID, fault, _BY_DTD)
