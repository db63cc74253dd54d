"""Where a PKCS#11 token is and how its PIN is had: the part of RFC 7512's `pkcs11:` URIs that is needed here.

    pkcs11:token=vedette;serial=1234?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/vedette/pin
    pkcs11:token=vedette?module-path=/usr/lib/libhsm.so&pin-source=env:VEDETTE_CA_PIN

Rules of this file: text in, a place or `OperatorError` out. `pin-value` is refused, because a URI stands in files, logs
and listings; an attribute that is not known is refused by name. `pin-source=env:NAME` is ours, RFC 7512 has files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

from collector_client.errors import OperatorError
from collector_client.pki.files import read

MAX_URI_CHARS = 1024
MAX_PIN_BYTES = 256

_PATH_ATTRIBUTES = ("token", "serial")
_QUERY_ATTRIBUTES = ("module-path", "pin-source")
_TEXT = re.compile(r"(?:[A-Za-z0-9_.~:\[\]@!$'()*+,=/&?|-]|%[0-9A-Fa-f]{2})*", re.ASCII)
_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)
_EXAMPLE = "pkcs11:token=vedette?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/vedette/pin"


@dataclass(frozen=True, slots=True)
class TokenPlace:
    """A token: its label, its serial number ("" for any), the module that drives it, and where its PIN is."""

    token: str
    serial: str
    module: Path
    pin_file: Path | None
    pin_variable: str

    def __str__(self) -> str:
        return f"token {self.token}"

    def pin(self, environment: Mapping[str, str]) -> str:
        """The PIN; never shown, never in an error.

        Raises:
            OperatorError: it is not there, empty, too long, or readable for others.
            EnvironmentFault: the disk or its permissions refuse.
        """
        where = str(self.pin_file) if self.pin_file is not None else f"environment variable {self.pin_variable}"
        if self.pin_file is not None:
            raw = read(self.pin_file).rstrip(b"\r\n")
        else:
            raw = environment.get(self.pin_variable, "").encode("utf-8", "surrogateescape")
        try:
            pin = raw.decode("utf-8")
        except UnicodeDecodeError:
            pin = ""
        if not 1 <= len(raw) <= MAX_PIN_BYTES or not pin:
            raise OperatorError(f"{where}: no PIN of 1 to {MAX_PIN_BYTES} bytes in UTF-8 is there")
        return pin


def parse_token_place(text: str) -> TokenPlace:
    """Read a URI.

    Raises:
        OperatorError: another form, an attribute that is missing, repeated or not known, or a PIN in it.
    """
    if len(text) > MAX_URI_CHARS or not text.startswith("pkcs11:"):
        raise _wrong(f"{text[:40]!r}… of {len(text)} characters" if len(text) > 80 else "another text", "a pkcs11: URI")
    path, _, query = text.removeprefix("pkcs11:").partition("?")
    found = _attributes(path, ";", _PATH_ATTRIBUTES) | _attributes(query, "&", _QUERY_ATTRIBUTES)
    missing = [name for name in ("token", "module-path", "pin-source") if not found.get(name)]
    if missing:
        raise _wrong(f"no {' and no '.join(missing)}", "token, module-path and pin-source")
    module, source = found["module-path"], found["pin-source"]
    if not module.startswith("/"):
        raise _wrong(f"module-path {module[:80]!r}", "an absolute path")
    scheme, _, rest = source.partition(":")
    if scheme == "env" and _ENVIRONMENT_NAME.fullmatch(rest):
        return TokenPlace(found["token"], found.get("serial", ""), Path(module), None, rest)
    # A file URI may have an empty authority (RFC 8089).
    file = rest.removeprefix("//") if scheme == "file" else source
    if not file.startswith("/"):
        raise _wrong("another pin-source", "file:/PATH or env:NAME")
    return TokenPlace(found["token"], found.get("serial", ""), Path(module), Path(file), "")


def _attributes(text: str, separator: str, known: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.split(separator) if text else ():
        name, equals, value = part.partition("=")
        if name == "pin-value":
            raise _wrong("pin-value", "pin-source: a PIN does not belong into a configuration")
        if not equals or name not in known:
            raise _wrong(f"attribute {name[:40]!r}", ", ".join(known))
        if name in found:
            raise _wrong(f"{name} twice", "each once")
        if not _TEXT.fullmatch(value):
            raise _wrong(f"{name} with other characters", "those of RFC 7512, others as %XX")
        try:
            found[name] = unquote_to_bytes(value).decode("utf-8")
        except UnicodeDecodeError:
            raise _wrong(f"{name} that is not UTF-8", "UTF-8") from None
        if not found[name].isprintable():
            raise _wrong(f"{name} with control characters", "printable text")
    return found


def _wrong(came: str, allowed: str) -> OperatorError:
    return OperatorError(f"pkcs11 URI: {came} came, {allowed} was allowed", advice=f"for example {_EXAMPLE}")
