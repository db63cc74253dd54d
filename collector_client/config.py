"""The collector's configuration, `DIR/collector.toml`: every key with default, unit, limits and a line of
documentation.

Rules of this file: the only place that reads or writes the file. A key works when it is absent; an unknown key, another
type or a value outside its limits is refused by name. Nothing is looked up in the environment.
"""

from __future__ import annotations

import dataclasses
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collector_client.errors import EnvironmentFault, OperatorError
from collector_client.pki.keys import KeyPlaces

CONFIG_NAME = "collector.toml"
MAX_CONFIG_BYTES = 64 * 1024


def _key(default: Any, doc: str, least: int = 0, most: int = 0) -> Any:
    return dataclasses.field(default=default, metadata={"doc": doc, "least": least, "most": most})


@dataclass(frozen=True, slots=True)
class CollectorSection:
    """Who may enroll, and what the server is called."""

    names: tuple[str, ...] = _key((), "DNS names and addresses in the server's certificate; renewed when they change")
    production: bool = _key(False, "Refuse sensors whose key lives in software")
    allow_unlisted_tpm: bool = _key(
        False, "Take TPMs that neither pki/tpm-roots nor pki/tpm-allowed vouches for, as `tpm-unlisted`"
    )
    sensor_certificate_days: int = _key(30, "Life of a sensor's certificate, in days", 1, 825)
    superseded_key_minutes: int = _key(60, "A key that was renewed still speaks for this long, in minutes", 0, 10_080)
    recovery_days: int = _key(30, "An expired certificate may still renew for this long, in days; 0: never", 0, 3650)


@dataclass(frozen=True, slots=True)
class CaSection:
    """Where the issuing CA's key is. `vedette-collector ca request` makes the next one there."""

    issuing_key: str = _key("file", "Where `ca request` makes the next issuing key: file, pkcs11 or command")
    pkcs11_uri: str = _key(
        "", "The token: pkcs11:token=LABEL?module-path=/PATH.so&pin-source=file:/PATH (or pin-source=env:NAME)"
    )
    command: tuple[str, ...] = _key((), "What signs when the key is behind a command: absolute path, arguments")
    key_timeout_ms: int = _key(10_000, "Longest wait for a token's or a command's signature, in ms", 100, 60_000)


@dataclass(frozen=True, slots=True)
class IngestSection:
    """The listener for sensors: TLS 1.3, the one port that must be reachable."""

    listen: str = _key("0.0.0.0:443", "HOST:PORT for sensors")
    max_connections: int = _key(
        4096, "Open connections, at most; half of them before an enrolled sensor has spoken on it", 2, 100_000
    )
    newcomers_per_address: int = _key(
        64, "Connections from one address on which no enrolled sensor has spoken yet, at most", 1, 100_000
    )
    connections_per_minute: int = _key(1200, "New connections from one address, per minute", 1, 1_000_000)
    batches_in_hand: int = _key(8, "Batches that are read and parsed at once; more are told to come back", 1, 256)
    handshake_timeout_s: int = _key(10, "Longest TLS handshake, in seconds", 1, 120)
    request_timeout_s: int = _key(30, "Longest wait for a request's head or its body, in seconds", 1, 600)
    idle_timeout_s: int = _key(180, "A connection without a request is closed after this, in seconds", 1, 3600)


@dataclass(frozen=True, slots=True)
class PageSection:
    """The analyst's page: plain HTTP, so keep it on loopback or put a proxy with TLS and sign-in in front."""

    listen: str = _key("127.0.0.1:8080", "HOST:PORT for the page")
    names: tuple[str, ...] = _key((), "Other host names that browsers may ask for the page by, as behind a proxy")


@dataclass(frozen=True, slots=True)
class QuotaSection:
    """How much may come. A sensor beyond it keeps its events and is told when to come back."""

    sensor_events_per_minute: int = _key(60_000, "Events of one sensor, per minute", 1, 100_000_000)
    tenant_events_per_minute: int = _key(600_000, "Events of all sensors of one tenant, per minute", 1, 1_000_000_000)
    enrollments_per_minute: int = _key(60, "Enrollment attempts from one address that fail, per minute", 1, 100_000)


@dataclass(frozen=True, slots=True)
class EventsSection:
    """Which events are stored; the others go to quarantine with the reason."""

    max_age_days: int = _key(3650, "Older events are refused, in days", 1, 36_500)
    max_ahead_minutes: int = _key(
        60, "Events further ahead of the collector's clock are refused, in minutes", 1, 525_600
    )


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration."""

    collector: CollectorSection = CollectorSection()
    ca: CaSection = CaSection()
    ingest: IngestSection = IngestSection()
    page: PageSection = PageSection()
    quota: QuotaSection = QuotaSection()
    events: EventsSection = EventsSection()


SECTIONS: dict[str, type] = {
    "collector": CollectorSection,
    "ca": CaSection,
    "ingest": IngestSection,
    "page": PageSection,
    "quota": QuotaSection,
    "events": EventsSection,
}


def load_config(directory: Path) -> Config:
    """Read `collector.toml` of a collector's folder.

    Raises:
        OperatorError: it is missing, no TOML, or says something that is not allowed.
    """
    path = directory / CONFIG_NAME
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_CONFIG_BYTES + 1)
    except FileNotFoundError:
        raise OperatorError(
            f"{path}: no such file", advice=f"make a collector there: vedette-collector init {directory}"
        ) from None
    except OSError as error:
        raise OperatorError(
            f"{path}: {error.strerror or error}", advice="run this as the account that owns the folder"
        ) from error
    if len(raw) > MAX_CONFIG_BYTES:
        raise OperatorError(f"{path}: more than {MAX_CONFIG_BYTES} bytes came, at most that was allowed")
    try:
        return parse_config(tomllib.loads(raw.decode("utf-8")))
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is a plain ValueError
        raise OperatorError(
            f"{path}: not a TOML file: {error}", advice='texts stand in quotes, as in: listen = "0.0.0.0:443"'
        ) from error
    except OperatorError as error:
        raise OperatorError(f"{path}: {error}", advice=error.advice) from error


def parse_config(document: Mapping[str, object]) -> Config:
    """Turn a parsed TOML document into the configuration.

    Raises:
        OperatorError: an unknown section or key, another type, or a value outside its limits.
    """
    sections: dict[str, Any] = {}
    for name, table in document.items():
        if name not in SECTIONS or not isinstance(table, Mapping):
            raise OperatorError(f"[{name}] came, the sections {', '.join(SECTIONS)} were allowed")
        sections[name] = _section(name, SECTIONS[name], table)
    config = Config(**sections)
    for name, listen in (("ingest", config.ingest.listen), ("page", config.page.listen)):
        try:
            parse_listen(listen)
        except OperatorError as error:
            raise OperatorError(f"[{name}] listen: {error}", advice=error.advice) from error
    if config.ca.issuing_key not in ("file", "pkcs11", "command"):
        raise OperatorError(f"[ca] issuing_key: {config.ca.issuing_key!r} came, file, pkcs11 or command was allowed")
    return config


def _section(name: str, section: type, table: Mapping[str, object]) -> Any:
    fields = {field.name: field for field in dataclasses.fields(section)}
    hints = typing.get_type_hints(section)
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in fields:
            raise OperatorError(f"[{name}] {key}: no such key; allowed are {', '.join(fields)}")
        values[key] = _value(f"[{name}] {key}", value, hints[key], fields[key].metadata)
    return section(**values)


def _value(where: str, value: object, kind: Any, meta: Mapping[str, Any]) -> object:
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise OperatorError(f"{where}: {value!r} came, a list of strings was allowed")
        return tuple(value)
    if type(value) is not kind:
        raise OperatorError(f"{where}: {value!r} came, a value of type {kind.__name__} was allowed")
    if kind is int and not meta["least"] <= typing.cast("int", value) <= meta["most"]:
        raise OperatorError(f"{where}: {value} came, {meta['least']} to {meta['most']} was allowed")
    return value


def mode_words(production: bool) -> str:
    """What `production` means, in the words of the page, the listing and the command line."""
    return "production: keys in hardware only" if production else "trial: keys in software are taken too"


def parse_listen(text: str) -> tuple[str, int]:
    """`HOST:PORT` (an IPv6 address in brackets); port 0 lets the system choose.

    Raises:
        OperatorError: another form.
    """
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    well_formed = colon and host and port.isascii() and port.isdecimal() and len(port) <= 5 and int(port) <= 65_535
    if not well_formed or (":" in host and not text.startswith("[")):
        raise OperatorError(
            f"{text!r} came, HOST:PORT was allowed (PORT 0 to 65535, an IPv6 address in brackets)",
            advice="for example 0.0.0.0:443, 127.0.0.1:8443 or [::]:443",
        )
    return host, int(port)


def write_config(directory: Path, *, names: tuple[str, ...], listen: str, production: bool = False) -> None:
    """Write a documented file for a new collector: what `init` was told is set, all else is there as a comment.

    Raises:
        EnvironmentFault: the disk or its permissions refuse.
    """
    given: dict[tuple[str, str], object] = {("collector", "names"): names, ("ingest", "listen"): listen}
    if production:
        given["collector", "production"] = True
    lines = ["# The collector's configuration. Every key is optional; what is commented out is the default.", ""]
    for name, section in SECTIONS.items():
        lines += [f"# {(section.__doc__ or '').strip()}", f"[{name}]"]
        for field in dataclasses.fields(section):
            lines.append(f"# {field.metadata['doc']}.")
            if (name, field.name) in given:
                lines.append(f"{field.name} = {toml_value(given[name, field.name])}")
            else:
                lines.append(f"# {field.name} = {toml_value(field.default)}")
        lines.append("")
    path = directory / CONFIG_NAME
    try:
        path.write_text("\n".join(lines), encoding="utf-8")
    except OSError as error:
        raise EnvironmentFault(f"{path}: {error.strerror or error}") from error


def toml_value(value: object) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def key_places(section: CaSection, environment: Mapping[str, str]) -> KeyPlaces:
    """How keys that are not files are reached; `environment` is where a PIN may be."""
    return KeyPlaces(section.pkcs11_uri, section.command, section.key_timeout_ms, environment)
