"""The sensor's configuration: `load_config` reads it, `Config` holds it, `default_toml` documents it."""

from appliance.config.keys import ConfigError
from appliance.config.load import default_toml, load_config, parse_config
from appliance.config.sections import Config

__all__ = ["Config", "ConfigError", "default_toml", "load_config", "parse_config"]
