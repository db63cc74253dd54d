"""The sensor's configuration: `load_config` reads it, `Config` holds it, `default_toml` documents it."""

from appliance.config.keys import ConfigError
from appliance.config.layer import KEPT_NAME, read_kept
from appliance.config.load import default_toml, load_base, load_config, parse_config
from appliance.config.sections import Config

__all__ = [
    "KEPT_NAME",
    "Config",
    "ConfigError",
    "default_toml",
    "load_base",
    "load_config",
    "parse_config",
    "read_kept",
]
