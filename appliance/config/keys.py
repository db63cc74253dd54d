"""What a configuration key is: its default, its unit, its limits and its line of documentation, all in one place.

Rules of this file: no key is named here and no file is read here. `key()` declares one, `read_section()` turns a TOML
table into a frozen dataclass or refuses it with the key's name, what came and what was allowed.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from appliance.errors import OperatorError

Section = TypeVar("Section")


class ConfigError(OperatorError):
    """A configuration file that cannot be used as it is."""


@dataclasses.dataclass(frozen=True, slots=True)
class KeyInfo:
    """One key as the documentation shows it."""

    name: str
    default: Any
    unit: str
    doc: str
    choices: tuple[str, ...]
    least: int | None
    most: int | None


def key(
    default: Any,
    doc: str,
    *,
    unit: str = "",
    choices: tuple[str, ...] = (),
    least: int | None = None,
    most: int | None = None,
) -> Any:
    """Declare a key of a section (used as a dataclass field)."""
    meta = {"doc": doc, "unit": unit, "choices": choices, "least": least, "most": most}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=lambda: dict(default), metadata=meta)
    return dataclasses.field(default=default, metadata=meta)


def keys_of(section: type) -> list[KeyInfo]:
    """Every key that a section declares, in the order of declaration."""
    found = []
    for item in dataclasses.fields(section):
        default = item.default
        if default is dataclasses.MISSING and item.default_factory is not dataclasses.MISSING:
            default = item.default_factory()
        meta = item.metadata
        found.append(
            KeyInfo(item.name, default, meta["unit"], meta["doc"], meta["choices"], meta["least"], meta["most"])
        )
    return found


def read_section(section: type[Section], table: object, name: str) -> Section:
    """Turn one TOML table into its section.

    Raises:
        ConfigError: an unknown key, a value of the wrong type, or one outside its limits.
    """
    if not isinstance(table, Mapping):
        raise ConfigError(f"[{name}]: {type(table).__name__} came, a table was allowed")
    known = {info.name: info for info in keys_of(section)}
    hints = typing.get_type_hints(section)
    values: dict[str, Any] = {}
    for given, value in table.items():
        if given not in known:
            near = difflib.get_close_matches(given, known, n=1)
            raise ConfigError(
                f"[{name}] {given}: no such key; allowed are {', '.join(known)}",
                advice=f"Did you mean {near[0]}?" if near else "",
            )
        values[given] = _checked(value, hints[given], known[given], f"[{name}] {given}")
    return section(**values)


def _checked(value: object, kind: Any, info: KeyInfo, where: str) -> Any:
    """One value against its declared type and limits."""
    origin = typing.get_origin(kind)
    if origin is tuple:
        if isinstance(value, str) or not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ConfigError(f"{where}: {value!r} came, a list of strings was allowed")
        return tuple(value)
    if origin is dict:
        if not isinstance(value, Mapping) or not all(isinstance(item, str) for item in value.values()):
            raise ConfigError(f"{where}: {value!r} came, a table of strings was allowed")
        return dict(value)
    if origin in (typing.Union, types.UnionType):
        kind = next(item for item in typing.get_args(kind) if item is not type(None))
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ConfigError(f"{where}: {value!r} came, a value of type {kind.__name__} was allowed")
    if info.choices and value not in info.choices:
        raise ConfigError(f"{where}: {value!r} came, one of {', '.join(info.choices)} was allowed")
    if isinstance(value, int) and not isinstance(value, bool):
        low, high = info.least, info.most
        if (low is not None and value < low) or (high is not None and value > high):
            bounds = f"{'' if low is None else low}..{'' if high is None else high}"
            raise ConfigError(f"{where}: {value} came, {bounds} {info.unit} was allowed".replace("  ", " "))
    return value
