"""The provider's settings for one box, as they go onto the stick.

Rules of this file: the bytes are taken as they are; whether a box will take them is asked of the box's own parser,
before anything is written. That parser needs Python 3.11; with an older one the box is the first to look, and that is
told.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from image.flash.errors import SettingsRefusedError

try:
    from appliance.wire.setup_file import SetupFileError, parse_setup
except ImportError:  # no tomllib
    parse_setup = None  # type: ignore[assignment]

SETUP_NAME = "vedette-setup.toml"
LABEL = "VEDETTE"
"""Of the stick's partition that the file belongs on."""
MAX_SETUP_BYTES = 32 * 1024
_NEW = "ask the provider for a new file"


@dataclass(frozen=True)
class Settings:
    """A file for one box; `data` is secret. `who` and `install` are empty where they were not checked."""

    path: Path
    data: bytes = field(repr=False)
    checked: bool = False
    who: str = ""
    install: str = ""


def load_settings(given: Path) -> Settings:
    """The file, or the one in a folder as `vedette-collector token new --stick` writes it.

    Raises:
        SettingsRefusedError: it is not there, no box would take it, or one has used it.
    """
    path = given / SETUP_NAME if given.is_dir() else given
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SETUP_BYTES + 1)
    except OSError as error:
        raise SettingsRefusedError(
            f"{path}: {error.strerror or error}",
            advice=f"the provider makes it: vedette-collector token new ... --stick {given}",
        ) from error
    if not data or len(data) > MAX_SETUP_BYTES:
        raise SettingsRefusedError(
            f"{path}: {'more than ' if data else ''}{len(data) and MAX_SETUP_BYTES} bytes came,"
            f" 1 to {MAX_SETUP_BYTES} were allowed",
            advice="is this the right file?",
        )
    if parse_setup is None:
        return Settings(path, data)
    try:
        setup = parse_setup(data)
    except SetupFileError as error:
        raise SettingsRefusedError(f"{path}: {error}", advice=error.advice or _NEW) from error
    if setup.used is not None:
        raise SettingsRefusedError(f"{path}: used by {setup.used.sensor_id or 'a box'} already", advice=_NEW)
    return Settings(path, data, checked=True, who=f"{setup.tenant}/{setup.site}".strip("/"), install=setup.install)
