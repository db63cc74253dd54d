"""The setup file on the stick, `vedette-setup.toml`: what a provider writes for one box, and the box reads once.

    install = "ask"                      what the stick does: unattended | ask | live
    [collector]  urls, ca_pin, token, proxy
    [site]       tenant, site            words for people; whose the sensor is, the token decides at the collector
    [network]    address, gateway, dns, ntp, interface_mac     absent: DHCP
    [capture]    interfaces              absent: the box finds them
    [used]       sensor, at              written by the box that has enrolled with it; the token's secret is dots then

Rules of this file: pure; bytes in, a `Setup` or `SetupFileError` out, in bounded time. The error says line, key, what
came, what was allowed and what to do, for somebody who stands beside the box. What is read must also suit editors of
other systems: CRLF and a UTF-8 byte order mark are fine. A key that is not known is refused: a typing error must not
become a default. Secrets are never repeated.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field

from appliance.wire.enrollment import EnrollmentToken
from appliance.wire.setup_values import CHECKS, REQUIRED, WIPED, Network, Wrong, check_network

SETUP_NAME = "vedette-setup.toml"
MAX_SETUP_BYTES = 32 * 1024
MAX_LINE_CHARACTERS = 1024
"""The TOML reader takes time by the square of a dotted key's parts."""

_QUOTES = "\u201c\u201d\u201e\u201f\u2018\u2019\u00ab\u00bb"
_AT_LINE = re.compile(r"^(.*) \(at line (\d+), column \d+\)$", re.DOTALL)
_HEADER = re.compile(r"\s*\[\s*([\w-]+)\s*\]")


class SetupFileError(Exception):
    """The file cannot be used as it is; `line` is 0 when it is not about one, `reason` is the message without it,
    `advice` says what to do.
    """

    def __init__(self, message: str, *, line: int = 0, advice: str = "") -> None:
        super().__init__(f"line {line}: {message}" if line else message)
        self.reason = message
        self.line = line
        self.advice = advice


@dataclass(frozen=True, slots=True)
class Used:
    """Who has used the file, as that box wrote it; empty where the power went before it could."""

    sensor_id: str = ""
    at: str = ""


@dataclass(frozen=True, slots=True)
class Setup:
    """A checked file. `token` is None once it was used; `token_id` stays."""

    urls: tuple[str, ...]
    ca_pin: str
    token_id: str
    token: EnrollmentToken | None
    proxy: str = field(default="", repr=False)
    tenant: str = ""
    site: str = ""
    network: Network = field(default_factory=Network)
    interfaces: tuple[str, ...] = ()
    install: str = "ask"
    used: Used | None = None


def parse_setup(data: bytes) -> Setup:
    """Read a file's bytes.

    Raises:
        SetupFileError: they are not a setup file, or one that says something that is not allowed.
    """
    text = _text(data)
    values = _checked(text, _toml(text))
    token = str(values["collector", "token"])
    if token not in text:
        raise SetupFileError(
            "[collector] token: escapes came, the token's own characters were allowed",
            line=_line_of(text, "collector", "token"),
            advice="write it as the provider gave it, so that it can be wiped after use",
        )
    wiped = WIPED.fullmatch(token)
    used = None
    if wiped or ("used", "sensor") in values:
        used = Used(str(values.get(("used", "sensor"), "")), str(values.get(("used", "at"), "")))
    whole = None if used else EnrollmentToken.parse(token)
    return Setup(
        urls=_texts(values["collector", "urls"]),
        ca_pin=str(values["collector", "ca_pin"]),
        token_id=token.partition(".")[0],
        token=whole,
        proxy=str(values.get(("collector", "proxy"), "")),
        tenant=str(values.get(("site", "tenant"), "")),
        site=str(values.get(("site", "site"), "")),
        network=_network(text, values),
        interfaces=_texts(values.get(("capture", "interfaces"), ())),
        install=str(values.get(("", "install"), "ask")),
        used=used,
    )


def _text(data: bytes) -> str:
    if len(data) > MAX_SETUP_BYTES:
        raise SetupFileError(
            f"more than {MAX_SETUP_BYTES} bytes came, at most that was allowed", advice="is this the right file?"
        )
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data:
        raise SetupFileError(
            "UTF-16 or binary data came, a text in UTF-8 was allowed",
            advice='in the Windows Editor: Save as..., and choose the encoding "UTF-8"',
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SetupFileError(
            f"byte 0x{data[error.start]:02x} came, a text in UTF-8 was allowed",
            line=data.count(b"\n", 0, error.start) + 1,
            advice='save it again with the encoding "UTF-8"',
        ) from error
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > MAX_LINE_CHARACTERS:
            raise SetupFileError(
                f"{len(line)} characters came, at most {MAX_LINE_CHARACTERS} were allowed",
                line=number,
                advice="is this the right file?",
            )
    return text


def _toml(text: str) -> Mapping[str, object]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is a plain ValueError
        found = _AT_LINE.match(str(error))
        line = int(found[2]) if found else 0
        shown = text.splitlines()[line - 1] if 0 < line <= len(text.splitlines()) else ""
        curly = any(quote in shown for quote in _QUOTES)
        raise SetupFileError(
            f"no TOML: {found[1] if found else error}",
            line=line,
            advice="the quotation marks must be straight ones, as on the keyboard"
            if curly
            else 'one setting a line, texts in quotation marks: address = "192.0.2.5/24"',
        ) from error


def _checked(text: str, document: Mapping[str, object]) -> dict[tuple[str, str], object]:
    """Every value of the file by (table, key), checked alone."""
    values: dict[tuple[str, str], object] = {}
    for name, content in document.items():
        table, keys = (name, content) if isinstance(content, Mapping) else ("", {name: content})
        known = [key for where, key in CHECKS if where == table]
        if not known:
            tables = sorted({where for where, _ in CHECKS if where})
            raise SetupFileError(
                f"[{table[:40]}]: no such section; allowed are {', '.join(tables)}",
                line=_line_of(text, table, ""),
                advice=_meant(table, tables),
            )
        for key, value in keys.items():
            where = f"[{table}] {key[:40]}" if table else key[:40]
            line = _line_of(text, table, key)
            check = CHECKS.get((table, key))
            if check is None:
                raise SetupFileError(
                    f"{where}: no such key; allowed are {', '.join(known)}", line=line, advice=_meant(key, known)
                )
            try:
                values[table, key] = check(value)
            except Wrong as wrong:
                raise SetupFileError(f"{where}: {wrong}", line=line, advice=wrong.advice) from wrong
    for table, key in REQUIRED:
        if (table, key) not in values:
            raise SetupFileError(
                f"[{table}] {key}: missing", advice="the provider writes the file: vedette-collector token new --stick"
            )
    return values


def _network(text: str, values: Mapping[tuple[str, str], object]) -> Network:
    def one(key: str) -> str:
        return str(values.get(("network", key), ""))

    def some(key: str) -> tuple[str, ...]:
        return _texts(values.get(("network", key), ()))

    network = Network(one("address"), one("gateway"), some("dns"), one("interface_mac"), some("ntp"))
    try:
        check_network(network)
    except Wrong as wrong:
        line = _line_of(text, "network", wrong.key)
        raise SetupFileError(f"[network] {wrong.key}: {wrong}", line=line, advice=wrong.advice) from wrong
    return network


def _texts(value: object) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else ()


def _meant(given: str, known: list[str]) -> str:
    near = difflib.get_close_matches(given[:40], known, n=1)
    return f"did you mean {near[0]}?" if near else "take the line out, or ask the provider for a new file"


def _line_of(text: str, table: str, key: str) -> int:
    """The line where a key (or, without one, a table) is written in the plain way; 0 when it is written in another."""
    here = ""
    for number, line in enumerate(text.split("\n"), 1):
        if header := _HEADER.match(line):
            here = header[1]
            if not key and here == table:
                return number
        elif key and here == table and line.partition("=")[0].strip().strip("\"'") == key:
            return number
    return 0
