"""Reading one element: its attributes by a table, its text, its children in order.

Rules of this file: the mechanics of strict reading, no word of the vocabulary. Raises SnmlError only, whatever the
tree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from lxml import etree

from appliance.wire.snml.fields import Reader, number
from appliance.wire.snml.reject import RejectCode, SnmlError

Element = etree._Element

_MAX_ATTRIBUTES = 16
"""More than any element has. Reading values costs lxml the square of their number."""


def attributes(element: Element, readers: Mapping[str, Reader | int], required: Sequence[str] = ()) -> dict[str, Any]:
    """The element's attributes, each by its reader; a reader that is an int is the largest of a plain decimal number.

    Raises:
        SnmlError: an attribute is unknown, missing or refused by its reader.
    """
    values: dict[str, Any] = {}
    names = cast("list[str]", element.keys())
    if len(names) > _MAX_ATTRIBUTES:
        came = f"{element.tag} with {len(names)} attributes"
        raise SnmlError(RejectCode.ATTRIBUTE_UNKNOWN, came, f"at most {len(readers)}")
    # keys() and values() are faster than items().
    for name, text in zip(names, cast("list[str]", element.values()), strict=True):
        reader = readers.get(name)
        if reader.__class__ is int:
            # Inline, for most attributes are numbers: number() in fields.py says why in this form.
            if len(text) <= 19 and text.isascii() and text.isdigit() and (text[0] != "0" or text == "0"):
                value = int(text)
                if value <= reader:
                    values[name] = value
                    continue
            number(reader)(str(element.tag), name, text)
        elif reader is None:
            allowed = "one of " + ", ".join(readers) if readers else "no attributes"
            raise SnmlError(RejectCode.ATTRIBUTE_UNKNOWN, f"{element.tag} {name}", allowed)
        else:
            values[name] = cast("Reader", reader)(str(element.tag), name, text)
    for name in required:
        if name not in values:
            raise SnmlError(RejectCode.ATTRIBUTE_MISSING, f"{element.tag} without {name}", f"{name} must be there")
    return values


def no_attributes(element: Element) -> None:
    """Nothing, for an element that has no attributes.

    Raises:
        SnmlError: ATTRIBUTE_UNKNOWN.
    """
    if element.keys():
        attributes(element, {})


def no_namespaces(*elements: Element) -> None:
    """Nothing, when none of the elements declares or is below a namespace; SNML has none.

    Raises:
        SnmlError: ATTRIBUTE_UNKNOWN.
    """
    for element in elements:
        if element.nsmap:
            raise SnmlError(
                RejectCode.ATTRIBUTE_UNKNOWN, f"{element.tag} with {len(element.nsmap)} namespaces", "no namespaces"
            )


def leaf(element: Element) -> str:
    """The text of an element that has only text.

    Raises:
        SnmlError: it has child elements.
    """
    if len(element):
        raise SnmlError(
            RejectCode.ELEMENT_UNEXPECTED, f"{element[0].tag} in {element.tag}", f"only text in {element.tag}"
        )
    return element.text or ""


def empty(element: Element) -> None:
    """Nothing, for an element declared EMPTY (where XML 1.0 section 3.2.1 allows not even white space)."""
    if leaf(element):
        raise SnmlError(RejectCode.ELEMENT_UNEXPECTED, f"text in {element.tag}", f"{element.tag} is empty")


class Children:
    """The child elements of an element without text of its own, taken one after the other."""

    __slots__ = ("_at", "_children", "_parent")

    def __init__(self, parent: Element) -> None:
        self._parent = parent
        self._children = list(parent)
        self._at = 0
        if parent.text and not _is_space(parent.text):
            raise _stray(parent, parent.text)
        for child in self._children:
            if child.tail and not _is_space(child.tail):
                raise _stray(parent, child.tail)

    def peek(self) -> str:
        """The next child's tag, empty at the end."""
        return str(self._children[self._at].tag) if self._at < len(self._children) else ""

    def take(self, *tags: str) -> Element:
        """The next child, which must be one of these."""
        if self._at >= len(self._children):
            raise SnmlError(
                RejectCode.ELEMENT_MISSING,
                f"the end of {self._parent.tag}",
                f"{' or '.join(tags)} in {self._parent.tag}",
            )
        child = self._children[self._at]
        if child.tag not in tags:
            present = any(other.tag in tags for other in self._children)
            code = RejectCode.ELEMENT_UNEXPECTED if present else RejectCode.ELEMENT_MISSING
            raise SnmlError(code, f"{child.tag} in {self._parent.tag}", f"{' or '.join(tags)} at this place")
        self._at += 1
        return child

    def take_all(self, tag: str, largest: int, code: RejectCode = RejectCode.ITEMS_TOO_MANY) -> list[Element]:
        """The next children with this tag, at most `largest`."""
        start = self._at
        while self._at < len(self._children) and self._children[self._at].tag == tag:
            self._at += 1
        if self._at - start > largest:
            raise SnmlError(code, f"{self._at - start} {tag} elements", f"at most {largest}")
        return self._children[start : self._at]

    def end(self) -> None:
        """Nothing may follow."""
        if self._at < len(self._children):
            raise SnmlError(
                RejectCode.ELEMENT_UNEXPECTED, f"{self.peek()} in {self._parent.tag}", f"the end of {self._parent.tag}"
            )


def _is_space(text: str) -> bool:
    return not text.strip(" \t\r\n")  # the white space of XML 1.0 section 2.3, not Unicode's


def _stray(parent: Element, text: str) -> SnmlError:
    return SnmlError(RejectCode.ELEMENT_UNEXPECTED, f"text {text.strip()!r} in {parent.tag}", "only elements")
