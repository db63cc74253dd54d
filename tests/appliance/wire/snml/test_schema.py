"""DTD, tables, README and catalogue say the same."""

from __future__ import annotations

import re
from dataclasses import fields as dataclass_fields

import pytest
from lxml import etree

from appliance.wire.snml import (
    DTD_PATH,
    EXTENSION_TYPES,
    IcmpHeader,
    IpHeader,
    Ipv6Header,
    RejectCode,
    TcpHeader,
    UdpHeader,
)
from appliance.wire.snml import fields as f
from appliance.wire.snml.read_extension import EXTENSIONS

DTD = etree.DTD(str(DTD_PATH))
ELEMENTS = {element.name: element for element in DTD.iterelements()}
README = DTD_PATH.with_name("README.md").read_text(encoding="utf-8")


def declared(element: str) -> dict[str, bool]:
    """attribute -> whether it must be there."""
    return {a.name: a.default == "required" for a in ELEMENTS[element].iterattributes()}


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading of the README."""
    section = README.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    table = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in re.split(r" \| ", line.strip("| "))] for line in table]


@pytest.mark.parametrize(
    ("element", "numbers", "others"),
    [
        ("iphdr", f.IPHDR, {"saddr": True, "daddr": True}),
        ("tcphdr", f.TCPHDR, {}),
        ("udphdr", f.UDPHDR, {}),
        ("icmphdr", f.ICMPHDR, {}),
        ("ipv6hdr", f.IPV6HDR, {"saddr": True, "daddr": True}),
        ("sequence", f.SEQUENCE, {}),
        ("rule", f.RULE, {}),
        ("signature", f.SIGNATURE, {"class": False}),
    ],
)
def test_the_tables_have_the_attributes_of_the_dtd(element: str, numbers: f.Numbers, others: dict[str, bool]) -> None:
    assert {name: must for name, _, must in numbers} | others == declared(element)


@pytest.mark.parametrize(
    ("model", "names"),
    [
        (IpHeader, [n for n, _, _ in f.IPHDR]),
        (TcpHeader, [n for n, _, _ in f.TCPHDR]),
        (UdpHeader, [n for n, _, _ in f.UDPHDR]),
        (IcmpHeader, [n for n, _, _ in f.ICMPHDR]),
        (Ipv6Header, list(f.IPV6_FIELDS.values())),
    ],
)
def test_the_models_have_the_fields_of_the_tables(model: type, names: list[str]) -> None:
    numbers = {field.name for field in dataclass_fields(model)} - {"saddr", "daddr", "options", "l4", "data"}
    assert numbers == set(names)


def test_the_extensions_of_code_dtd_and_readme_are_the_same() -> None:
    names = [kind.name for kind in EXTENSION_TYPES]
    assert list(EXTENSIONS) == names
    (attribute,) = ELEMENTS["extension"].iterattributes()
    assert list(attribute.itervalues()) == names
    table = {row[0].strip("`"): (row[1].strip("`"), row[2].replace("`", "").split()) for row in rows("Extensions")}
    assert list(table) == names
    for name, (element, attributes) in table.items():
        assert EXTENSIONS[name][0] == element
        assert set(attributes) == set(declared(element))  # libxml2 sorts them as it likes


def test_the_readme_lists_every_code_as_the_catalogue_has_it() -> None:
    said = {row[0]: (row[1], row[2], row[3].strip("`")) for row in rows("Codes")}
    assert said == {str(code): (str(code.status), code.doc, code.example) for code in RejectCode}


def test_the_catalogue_is_sound() -> None:
    numbers = [code.number for code in RejectCode]
    assert len(set(numbers)) == len(numbers)
    for code in RejectCode:
        assert RejectCode.from_number(code.number) is code
        assert code.doc.endswith(".")
        assert code.example
        assert code.refuses == (code.status != 200)
        assert code.parent.number < 1000
        assert code.group in ("AUTH", "INPUT", "THROTTLE")
        assert code.name.startswith(code.group) or code.number > 1000
        if code.number > 1000:
            assert code.number % 100 < 50, "from 50 on stand the session's codes"
            assert code.status == code.parent.status, "a finer code says no other thing to a client that knows 2001's"


def test_the_numbers_of_2001_are_unchanged() -> None:
    """What a client of 2001 compares with; order and names of spo_xml.h."""
    names = {
        300: "AUTH_CLIENT_OK AUTH_CLIENT_DENIED AUTH_CLIENT_UNKNOWN AUTH_CLIENT_IGNORED",
        400: "INPUT_COMMIT_OK INPUT_COMMIT_ERROR INPUT_EMPTY INPUT_MALFORMED INPUT_INVALID INPUT_PARSER_ERROR"
        " INPUT_INCOMPLETE INPUT_DB_READ_FAIL INPUT_OVERFLOW INPUT_IGNORED",
        500: "THROTTLE_OK THROTTLE_CONGESTION THROTTLE_QUENCH THROTTLE_DENIED THROTTLE_IGNORED",
    }
    expected = {start + i: name for start, group in names.items() for i, name in enumerate(group.split())}
    assert {code.number: code.name for code in RejectCode if code.number < 1000} == expected


def test_the_dtd_loads_nothing_and_every_element_is_reachable() -> None:
    seen, queue = set(), ["SNML-Message"]
    while queue:
        name = queue.pop()
        if name not in seen:
            seen.add(name)
            queue += re.findall(r"[A-Za-z][\w-]*", content_names(ELEMENTS[name].content))
    assert seen == set(ELEMENTS)


def content_names(content: object) -> str:
    if content is None:
        return ""
    own = content.name or ""  # type: ignore[attr-defined]
    return " ".join((own, content_names(content.left), content_names(content.right)))  # type: ignore[attr-defined]
