"""Writing a setup file: for the stick, for the box's own keeping, and the remark of the box that has used it.

Rules of this file: pure; what it writes, `setup_file.parse_setup` reads to the same value. The token is written in one
piece, so that its secret can be overwritten where it stands.
"""

from __future__ import annotations

from appliance.wire.setup_file import Setup

WIPE_WITH = b"."
"""What stands for each byte of a secret that was overwritten."""

_HEAD = """\
# Vedette: the first start of one sensor. Leave this file in the first folder of the stick, under this name.
# It holds a token that enrolls ONE box; that box wipes it after use. Lines that begin with # are remarks.
"""


def render_setup(setup: Setup, *, until: str = "") -> str:
    """The file's text, with line feeds alone and remarks for who fills in what is missing; `until` when the token ends,
    in words.
    """
    network = setup.network
    token = str(setup.token) if setup.token else setup.token_id + "..."
    return "\n".join(
        [
            _HEAD,
            "# On an install stick: unattended (erases the box's disk and installs), ask (installs after a yes at the",
            "# console), live (the stick is the sensor, no disk is written to). An installed box does not look at it.",
            f"install = {_quoted(setup.install)}",
            "",
            "[collector]",
            f"urls = {_listed(setup.urls)}",
            "# How the box knows that it is the right collector.",
            f"ca_pin = {_quoted(setup.ca_pin)}",
            *([f"# The token works until {until}."] if until else []),
            f"token = {_quoted(token)}",
            "# Only where the box needs an HTTP proxy to get out.",
            _line("proxy", setup.proxy, "http://user:password@proxy.example.net:3128"),
            "",
            "# For people: at the collector the token decides.",
            "[site]",
            f"tenant = {_quoted(setup.tenant)}",
            f"site = {_quoted(setup.site)}",
            "",
            "# Without an address: DHCP. An address needs interface_mac, the MAC of the management port on the label.",
            "[network]",
            _line("address", network.address, "192.0.2.5/24"),
            _line("gateway", network.gateway, "192.0.2.1"),
            _line("dns", network.dns, ("192.0.2.53",)),
            "# NTP servers that keep the clock right. Without: those that DHCP offers; a public one is never asked.",
            _line("ntp", network.ntp, ("192.0.2.123",)),
            _line("interface_mac", network.interface_mac, "52:54:00:12:34:56"),
            "",
            "# The ports that see the mirrored traffic. Without: all but the management port where the",
            "# image names them (capture0 ...), else those that the box's configuration names.",
            "[capture]",
            _line("interfaces", setup.interfaces, ("enp2s0",)),
            *([_used(setup.used.sensor_id, setup.used.at)] if setup.used and setup.used.sensor_id else []),
            "",
        ]
    )


def with_remark(text: str, sensor_id: str, at: str) -> str:
    """A used file's text with who used it and when; the line ends of the file are kept."""
    ending = "\r\n" if "\r\n" in text else "\n"
    remark = _used(sensor_id, at).replace("\n", ending)
    return text.rstrip("\r\n") + ending + remark + ending


def _used(sensor_id: str, at: str) -> str:
    return (
        f"\n# Used by this sensor at this time: the token is spent and wiped. A new box needs a new file.\n"
        f"[used]\nsensor = {_quoted(sensor_id)}\nat = {_quoted(at)}"
    )


def _line(key: str, value: str | tuple[str, ...], example: str | tuple[str, ...]) -> str:
    shown = value or example
    text = _quoted(shown) if isinstance(shown, str) else _listed(shown)
    return f"{key} = {text}" if value else f"# {key} = {text}"


def _listed(values: tuple[str, ...]) -> str:
    return "[" + ", ".join(_quoted(value) for value in values) + "]"


def _quoted(text: str) -> str:
    """A TOML basic string; values are printable, so only two characters need care."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
