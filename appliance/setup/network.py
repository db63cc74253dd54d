"""The management network as a file for systemd-networkd (systemd.network(5)).

Rules of this file: pure but for `put`. Only values in their normal form come in (`wire.setup_values`), so that none can
carry a line of its own. Without address, name server and port there is no file: the image's own rule, DHCP, holds.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path

from appliance.errors import EnvironmentFault
from appliance.files import replace_file
from appliance.wire.setup_values import Network

NETWORK_NAME = "10-vedette-management.network"
"""Sorts before the image's own files, and the first that matches an interface wins."""


def render(network: Network) -> str:
    """The file's text; empty when there is nothing to say."""
    if network == Network():
        return ""
    match = f"MACAddress={network.interface_mac}" if network.interface_mac else "Type=ether"
    lines = ["# Written by `vedette setup` from the stick; it is written anew at each start.", "[Match]", match, ""]
    lines.append("[Network]")
    if not network.address:
        lines.append("DHCP=yes")
    else:
        # Nobody on the customer's wire may add addresses or routes to a box that was given its own.
        version = ipaddress.ip_interface(network.address).version
        lines += ["DHCP=no", "IPv6AcceptRA=no", f"LinkLocalAddressing={'ipv6' if version == 6 else 'no'}"]
        lines.append(f"Address={network.address}")
        lines += [f"Gateway={network.gateway}"] if network.gateway else []
    lines += [f"DNS={server}" for server in network.dns]
    lines += [f"NTP={server}" for server in network.ntp]
    ours = [*(["UseDNS=no"] if network.dns else []), *(["UseNTP=no"] if network.ntp else [])]
    if ours and not network.address:
        lines += ["", "[DHCPv4]", *ours, "", "[DHCPv6]", *ours]
    return "\n".join(lines) + "\n"


def put(folder: Path, network: Network) -> Path | None:
    """Write the file into a folder that networkd reads, or take an earlier one away; returns the file that is there.

    Raises:
        EnvironmentFault: the folder cannot be written.
    """
    path, text = folder / NETWORK_NAME, render(network)
    try:
        if not text:
            path.unlink(missing_ok=True)
            return None
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(path, text.encode(), mode=0o644)
    except OSError as error:
        raise EnvironmentFault(f"{path}: {error.strerror or error}", advice="check --network-dir") from error
    return path
