"""The file for systemd-networkd: what is asked for and nothing else, gone again when nothing is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.errors import EnvironmentFault
from appliance.setup.network import NETWORK_NAME, put, render
from appliance.wire.setup_values import Network

MAC = "52:54:00:12:34:56"
CASES = [
    (Network(), ""),
    (Network(interface_mac=MAC), f"[Match]\nMACAddress={MAC}\n\n[Network]\nDHCP=yes\n"),
    (
        Network(ntp=("192.0.2.123", "2001:db8::123")),
        "[Match]\nType=ether\n\n[Network]\nDHCP=yes\nNTP=192.0.2.123\nNTP=2001:db8::123\n\n"
        "[DHCPv4]\nUseNTP=no\n\n[DHCPv6]\nUseNTP=no\n",
    ),
    (
        Network(dns=("192.0.2.53",)),
        "[Match]\nType=ether\n\n[Network]\nDHCP=yes\nDNS=192.0.2.53\n\n[DHCPv4]\nUseDNS=no\n\n[DHCPv6]\nUseDNS=no\n",
    ),
    (
        Network("192.0.2.5/24", "192.0.2.1", ("192.0.2.53", "2001:db8::53"), MAC),
        f"[Match]\nMACAddress={MAC}\n\n[Network]\nDHCP=no\nIPv6AcceptRA=no\nLinkLocalAddressing=no\n"
        "Address=192.0.2.5/24\nGateway=192.0.2.1\nDNS=192.0.2.53\nDNS=2001:db8::53\n",
    ),
    (
        Network("2001:db8::5/64", "fe80::1", (), MAC),
        f"[Match]\nMACAddress={MAC}\n\n[Network]\nDHCP=no\nIPv6AcceptRA=no\nLinkLocalAddressing=ipv6\n"
        "Address=2001:db8::5/64\nGateway=fe80::1\n",
    ),
]


@pytest.mark.parametrize(("network", "text"), CASES)
def test_the_file_says_what_was_asked_for(network: Network, text: str) -> None:
    written = render(network)
    assert written.partition("\n")[2] == text
    assert not written or written.startswith("# Written by `vedette setup`")


def test_a_file_of_before_goes_when_nothing_is_asked_for(tmp_path: Path) -> None:
    assert put(tmp_path / "net", Network(interface_mac=MAC)) == tmp_path / "net" / NETWORK_NAME
    assert put(tmp_path / "net", Network()) is None
    assert list((tmp_path / "net").iterdir()) == []


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "net").touch()
    with pytest.raises(EnvironmentFault, match="File exists"):
        put(tmp_path / "net", Network(interface_mac=MAC))
