"""From a TOML file to the configuration, and from the configuration to a documented TOML file.

Two layers: the file that is named, and over it what `vedette setup` took from a stick and keeps in the state folder
(`layer.py`), because the file may lie on a root that cannot be written.

Rules of this file: the only place that reads a configuration file; checks that need more than one key live in
`checked()`; nothing is looked up in the environment.
"""

from __future__ import annotations

import ipaddress
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from appliance.config.keys import ConfigError, keys_of, read_section
from appliance.config.layer import read_kept, with_setup
from appliance.config.sections import SECTIONS, Config

MAX_CONFIG_BYTES = 256 * 1024


def load_config(path: Path) -> Config:
    """Read and check a configuration file, with what a stick has set over it.

    Raises:
        ConfigError: a file cannot be read, is no TOML, or says something that is not allowed.
    """
    base = load_base(path)
    kept = read_kept(Path(base.sensor.state_dir))
    return base if kept is None else checked(with_setup(base, kept))


def load_base(path: Path) -> Config:
    """Read and check a configuration file alone, without what a stick has set.

    Raises:
        ConfigError: the file cannot be read, is no TOML, or says something that is not allowed.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_CONFIG_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror or error}", advice="`vedette config` prints a file to start from."
        ) from error
    if len(raw) > MAX_CONFIG_BYTES:
        raise ConfigError(f"{path}: more than {MAX_CONFIG_BYTES} bytes came, at most that was allowed")
    try:
        document = tomllib.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is a plain ValueError
        raise ConfigError(
            f"{path}: not a TOML file: {error}",
            advice='Texts stand in quotes, as in: ca_pin = "..."',
        ) from error
    try:
        return parse_config(document)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}", advice=error.advice) from error


def parse_config(document: dict[str, object]) -> Config:
    """Turn a parsed TOML document into the configuration.

    Raises:
        ConfigError: an unknown section or key, or a value that is not allowed.
    """
    sections: dict[str, Any] = {}
    for name, table in document.items():
        if name not in SECTIONS:
            raise ConfigError(f"[{name}]: no such section; allowed are {', '.join(SECTIONS)}")
        sections[name] = read_section(SECTIONS[name], table, name)
    return checked(Config(**sections))


def checked(config: Config) -> Config:
    """The checks that need more than one key, or a key's meaning."""
    capture, collector = config.capture, config.collector
    if capture.interfaces and capture.files:
        raise ConfigError("[capture]: interfaces and files both came, one of them is allowed")
    for url in collector.urls:
        parts = _split(url)
        if parts.scheme != "https" or not parts.hostname or parts.path not in ("", "/"):
            raise ConfigError(f"[collector] urls: {url!r} came, https://HOST[:PORT] was allowed")
    if collector.proxy and (_split(collector.proxy).scheme != "http" or not _split(collector.proxy).hostname):
        raise ConfigError("[collector] proxy: http://[USER:PASSWORD@]HOST:PORT was allowed")
    pin = collector.ca_pin
    if pin and (len(pin) != 64 or any(c not in "0123456789abcdef" for c in pin.lower())):
        raise ConfigError(f"[collector] ca_pin: {len(pin)} characters came, 64 hexadecimal digits were allowed")
    for network in config.alerts.sanitize_networks:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError as error:
            raise ConfigError(f"[alerts] sanitize_networks: {network!r} came, ADDRESS/PREFIX was allowed") from error
    if config.spool.segment_mib * 2 > config.spool.max_mib:
        raise ConfigError(
            f"[spool] segment_mib: {config.spool.segment_mib} came,"
            f" at most half of max_mib ({config.spool.max_mib}) was allowed"
        )
    return config


def _split(url: str) -> SplitResult:
    """The parts of an address; none when it has no form at all."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def default_toml() -> str:
    """Every key with its default and documentation, as a TOML file in which all keys are commented out."""
    lines = ["# Vedette sensor configuration. Every key is optional; what is commented out is the default.", ""]
    for name, section in SECTIONS.items():
        lines += [f"# {(section.__doc__ or '').strip()}", f"[{name}]"]
        for info in keys_of(section):
            limits = f" One of: {', '.join(repr(c) for c in info.choices)}." if info.choices else ""
            unit = f" [{info.unit}]" if info.unit else ""
            lines += [f"# {info.doc}{unit}.{limits}", f"# {info.name} = {toml_value(info.default)}"]
        lines.append("")
    return "\n".join(lines)


def toml_value(value: object) -> str:
    """A default as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k} = {toml_value(v)}" for k, v in value.items()) + "}"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
