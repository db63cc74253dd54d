"""The values of a setup file: what each key takes, and how its error is worded.

Rules of this file: pure; one function a kind, a value in and its normal form out, or `Wrong` with what came, what was
allowed and what to do. What a file is, is the neighbour's (`setup_file.py`).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from appliance.wire.enrollment import EnrollmentToken, parse_pin, parse_sensor_id
from appliance.wire.fields import SessionError, plain

MOST_ITEMS = 8
"""Collectors, name servers, interfaces: more is a mistake."""
WIPED = re.compile(r"(t-[a-z2-7]{12})\.\..*", re.ASCII)
"""A token whose secret was overwritten with dots."""

_COPY_AGAIN = "copy it whole, or ask the provider for a new file"
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?", re.ASCII)
_INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}", re.ASCII)
_MAC = re.compile(r"[0-9a-f]{2}(?:[:-]?[0-9a-f]{2}){5}", re.ASCII)
_AT = re.compile(r"[0-9TZ:.+-]{10,40}", re.ASCII)


class Wrong(Exception):  # noqa: N818 - a value, not a fault; it never leaves the reading of a file
    """A value that is not allowed; `key` only where several were looked at together."""

    def __init__(self, came: str, allowed: str, advice: str = "", *, key: str = "") -> None:
        super().__init__(f"{came} came, {allowed} was allowed")
        self.advice = advice
        self.key = key


@dataclass(frozen=True, slots=True)
class Network:
    """The management network; all empty: DHCP on the interface that the box chooses. `address` has its prefix.

    `ntp`: servers that keep the clock right; empty: those that DHCP offers, if any.
    """

    address: str = ""
    gateway: str = ""
    dns: tuple[str, ...] = ()
    interface_mac: str = ""
    ntp: tuple[str, ...] = ()


def _shown(value: object) -> str:
    return plain(repr(value), 80)


def _text(value: object, allowed: str, advice: str = "", *, secret: bool = False) -> str:
    if not isinstance(value, str):
        came = f"a value of type {type(value).__name__}" if secret else _shown(value)
        raise Wrong(came, f"{allowed} in quotation marks", advice)
    return value.strip()


def _list_of(check: Callable[[object], str], allowed: str, *, least: int = 0) -> Callable[[object], tuple[str, ...]]:
    def checked(value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or not least <= len(value) <= MOST_ITEMS:
            came = f"a list of {len(value)}" if isinstance(value, list) else _shown(value)
            raise Wrong(came, f"a list of {least} to {MOST_ITEMS}, as in {allowed},")
        return tuple(check(item) for item in value)

    return checked


def url(value: object) -> str:
    """`https://HOST[:PORT]`."""
    text = _text(value, "https://HOST[:PORT]")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise Wrong(_shown(value), "https://HOST[:PORT]") from None
    extras = parts.path not in ("", "/") or parts.query or parts.fragment or parts.username is not None or port == 0
    if parts.scheme != "https" or extras or not (_HOST.fullmatch(host) or _is_v6(host)):
        raise Wrong(_shown(value), "https://HOST[:PORT]", "no path and no blanks: https://collector.example.net")
    return text.rstrip("/")


def pin(value: object) -> str:
    """64 hexadecimal digits."""
    text = _text(value, "64 hexadecimal digits", _COPY_AGAIN)
    try:
        return parse_pin(text)
    except SessionError:
        raise Wrong(f"{len(text)} characters", "64 hexadecimal digits", _COPY_AGAIN) from None


def token(value: object) -> str:
    """A token, or what is left of one."""
    text = _text(value, "t-<id>.<secret>", _COPY_AGAIN, secret=True)
    try:
        return text if WIPED.fullmatch(text) else str(EnrollmentToken.parse(text))
    except SessionError as error:
        raise Wrong(error.came, error.allowed, _COPY_AGAIN) from None


def proxy(value: object) -> str:
    """`http://[USER:PASSWORD@]HOST[:PORT]`; never repeated, it may hold a password."""
    allowed = "http://[USER:PASSWORD@]HOST[:PORT]"
    text = _text(value, allowed, secret=True)
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not text:
        return ""
    fits = _HOST.fullmatch(host) or _is_v6(host)
    if not fits or port == 0 or parts.scheme != "http" or parts.path not in ("", "/") or not text.isprintable():
        advice = "a user or password with special characters needs them as %XX, an at sign is %40"
        raise Wrong("another form", allowed, advice)
    return text


def words(value: object) -> str:
    """A name for people."""
    text = _text(value, "up to 64 printable characters")
    if len(text) > 64 or not text.isprintable():
        raise Wrong(_shown(value), "up to 64 printable characters")
    return text


def mode(value: object) -> str:
    """What the stick does."""
    if value not in ("unattended", "ask", "live"):
        raise Wrong(_shown(value), '"unattended", "ask" or "live"')
    return str(value)


def address(value: object) -> str:
    """`ADDRESS/PREFIX` of a host."""
    text = _text(value, "ADDRESS/PREFIX")
    advice = "with the prefix of the network, as in 192.0.2.5/24 (a mask of 255.255.255.0 is /24)"
    try:
        found = ipaddress.ip_interface(text)
    except ValueError:
        raise Wrong(_shown(value), "ADDRESS/PREFIX", advice) from None
    prefix = text.partition("/")[2]
    if not prefix.isdecimal() or "%" in text:
        raise Wrong(_shown(value), "ADDRESS/PREFIX", advice)
    network = found.network
    whole = network.num_addresses > 2
    if whole and found.ip == network.network_address:
        raise Wrong(_shown(value), "the address of a host", "this is the network's own address")
    if whole and found.version == 4 and found.ip == network.broadcast_address:
        raise Wrong(_shown(value), "the address of a host", "this is the network's broadcast address")
    if found.ip.is_multicast or found.ip.is_loopback or found.ip.is_unspecified:
        raise Wrong(_shown(value), "the address of a host")
    return f"{found.ip}/{network.prefixlen}"


def ip(value: object) -> str:
    """One address without a prefix."""
    text = _text(value, "an IP address")
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        raise Wrong(_shown(value), "an IP address", "without prefix, as in 192.0.2.1") from None
    if found.is_multicast or found.is_unspecified or "%" in text:
        raise Wrong(_shown(value), "the address of a host")
    return str(found)


def mac(value: object) -> str:
    """A MAC address of one interface, with colons, dashes or neither."""
    text = _text(value, "a MAC address").lower()
    digits = re.sub("[:-]", "", text)
    if not _MAC.fullmatch(text) or int(digits[:2], 16) & 1 or not int(digits, 16):
        raise Wrong(_shown(value), "a MAC address", "as on the label of the box: 52:54:00:12:34:56")
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def interface(value: object) -> str:
    """A name as Linux gives it."""
    text = _text(value, "an interface's name")
    if not _INTERFACE.fullmatch(text):
        raise Wrong(_shown(value), "an interface's name", 'up to 15 letters and digits, as in "enp2s0"')
    return text


def sensor(value: object) -> str:
    """A sensor id."""
    text = _text(value, "a sensor's id")
    try:
        return parse_sensor_id(text)
    except SessionError:
        raise Wrong(_shown(value), "a sensor's id") from None


def moment(value: object) -> str:
    """A time as text."""
    text = _text(value, "a time")
    if not _AT.fullmatch(text):
        raise Wrong(_shown(value), "a time")
    return text


def _or_empty(check: Callable[[object], str]) -> Callable[[object], str]:
    """An empty text is a key that is absent: people empty a value rather than take its line out."""
    return lambda value: "" if value == "" else check(value)


CHECKS: dict[tuple[str, str], Callable[[object], object]] = {
    ("", "install"): mode,
    ("collector", "urls"): _list_of(url, '["https://collector.example.net"]', least=1),
    ("collector", "ca_pin"): pin,
    ("collector", "token"): token,
    ("collector", "proxy"): proxy,
    ("site", "tenant"): words,
    ("site", "site"): words,
    ("network", "address"): _or_empty(address),
    ("network", "gateway"): _or_empty(ip),
    ("network", "dns"): _list_of(ip, '["192.0.2.53"]'),
    ("network", "ntp"): _list_of(ip, '["192.0.2.123"]'),
    ("network", "interface_mac"): _or_empty(mac),
    ("capture", "interfaces"): _list_of(interface, '["enp2s0"]'),
    ("used", "sensor"): sensor,
    ("used", "at"): moment,
}
REQUIRED = (("collector", "urls"), ("collector", "ca_pin"), ("collector", "token"))


def check_network(network: Network) -> None:
    """What the keys of a network say together.

    Raises:
        Wrong: they do not fit; `key` is the one to look at.
    """
    if not network.address:
        if network.gateway:
            raise Wrong("a gateway without an address", "both or neither", "add the address", key="gateway")
        return
    if not network.interface_mac:
        raise Wrong(
            "an address without interface_mac",
            "the MAC address of the port that gets it",
            'a box has several ports: add interface_mac = "..." as on its label',
            key="address",
        )
    if not network.gateway:
        return
    own, gateway = ipaddress.ip_interface(network.address), ipaddress.ip_address(network.gateway)
    if gateway == own.ip:
        raise Wrong(network.gateway, "another address than the box's own", key="gateway")
    if gateway not in own.network and not (gateway.version == own.version == 6 and gateway.is_link_local):
        raise Wrong(network.gateway, f"an address in {own.network}", "check address, prefix and gateway", key="gateway")


def _is_v6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6 and "%" not in host
    except ValueError:
        return False
