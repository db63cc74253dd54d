"""What a stick has set, over the configuration file: `STATE_DIR/setup.toml`, in the stick's own form.

Rules of this file: the closed list of what a stick may set is `with_setup`: where the collector is and how to know it,
the token, the proxy, the interfaces to watch. It sets the whole of `[collector]` but the timeout: a pin from one place
and an address from another would be nobody's. Written by `appliance.setup` alone.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from appliance.config.keys import ConfigError
from appliance.config.sections import Config
from appliance.wire.setup_file import MAX_SETUP_BYTES, Setup, SetupFileError, parse_setup

KEPT_NAME = "setup.toml"
"""In the state folder."""


def read_kept(state_dir: Path) -> Setup | None:
    """What the box keeps of the stick that it was set up with; None when there was none.

    Raises:
        ConfigError: the file cannot be read or is damaged.
    """
    path = state_dir / KEPT_NAME
    try:
        with path.open("rb") as file:
            return parse_setup(file.read(MAX_SETUP_BYTES + 1))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    except SetupFileError as error:
        raise ConfigError(f"{path}: {error}", advice="set the box up again with a stick: vedette setup") from error


def with_setup(config: Config, setup: Setup) -> Config:
    """The configuration with what the stick has set."""
    collector = replace(
        config.collector,
        urls=setup.urls,
        ca_pin=setup.ca_pin,
        token=str(setup.token) if setup.token else "",
        token_file="",
        proxy=setup.proxy,
    )
    if not setup.interfaces:
        return replace(config, collector=collector)
    capture = replace(config.capture, interfaces=setup.interfaces, files=())
    return replace(config, collector=collector, capture=capture)
