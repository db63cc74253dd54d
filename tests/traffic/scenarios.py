"""The table of scenarios: which play makes which capture, and which starter rules must answer.

The expectations of a scenario, (sid, source, destination, at least how often), are complete: a rule not named must stay
silent on it, and an empty list means harmless.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from tests.traffic import plays
from tests.traffic.lab import Lab
from tests.traffic.plays import ATTACKER, ATTACKER6, DESK, FILES, OUT_DNS, OUT_WEB, WEB, WEB6

Expected = tuple[int, str, str, int]


@dataclasses.dataclass(frozen=True)
class Scenario:
    """One capture: its file name, one sentence, what happens, the Debian packages it runs, what must be found."""

    name: str
    about: str
    play: Callable[[Lab], None]
    packages: tuple[str, ...]
    expected: tuple[Expected, ...] = ()
    vlan_ids: tuple[int, ...] = ()
    """802.1Q tags, outermost first, that the recorder puts into the frames: many kernels come without VLAN devices."""


SCENARIOS = (
    Scenario("http-benign", "curl reads and posts, both ways across the border", plays.http_benign, ("curl", "nginx")),
    Scenario(
        "http-probe",
        "a scanner's list of probes against a web server",
        plays.http_probe,
        ("curl", "nginx"),
        (
            (1000001, ATTACKER, WEB, 1),
            (1000002, ATTACKER, WEB, 1),
            (1000003, ATTACKER, WEB, 1),
            (1000004, ATTACKER, WEB, 1),
            (1000006, ATTACKER, WEB, 1),
            (1000008, ATTACKER, WEB, 1),
            (1000009, ATTACKER, WEB, 4),
            (1000010, ATTACKER, WEB, 2),
            (1000011, ATTACKER, WEB, 1),
            (1000012, ATTACKER, WEB, 1),
            (1000013, ATTACKER, WEB, 1),
            (1000014, ATTACKER, WEB, 1),
            (1000015, ATTACKER, WEB, 1),
            (1000016, ATTACKER, WEB, 1),
            (1000017, ATTACKER, WEB, 1),
            (1000018, ATTACKER, WEB, 1),
            (1000019, ATTACKER, WEB, 1),
        ),
    ),
    Scenario(
        "sqlmap",
        "sqlmap tries an injection",
        plays.sqlmap,
        ("sqlmap", "nginx"),
        (
            (1000001, ATTACKER, WEB, 10),
            (1000005, ATTACKER, WEB, 1),
        ),
    ),
    Scenario(
        "login-guessing",
        "twenty wrong passwords",
        plays.login_guessing,
        ("curl", "nginx"),
        ((1000020, ATTACKER, WEB, 2),),
    ),
    Scenario(
        "web-shell",
        "a web shell is uploaded and used",
        plays.web_shell,
        ("curl", "nginx"),
        (
            (1000021, ATTACKER, WEB, 1),
            (1000023, WEB, ATTACKER, 1),
        ),
    ),
    Scenario(
        "program-download",
        "a Windows program over HTTP, plain and gzipped",
        plays.program_download,
        ("curl", "nginx"),
        ((1000024, OUT_WEB, DESK, 2),),
    ),
    Scenario("dns-benign", "everyday questions, one answer in fragments", plays.dns_benign, ("dnsutils", "unbound")),
    Scenario(
        "dns-suspect",
        "tunnel, generated, hidden and mining names",
        plays.dns_suspect,
        ("dnsutils", "unbound"),
        (
            (1000031, DESK, OUT_DNS, 1),
            (1000032, DESK, OUT_DNS, 2),
            (1000033, DESK, OUT_DNS, 1),
            (1000034, DESK, OUT_DNS, 1),
        ),
    ),
    Scenario("tls-benign", "openssl s_client against s_server", plays.tls_benign, ("openssl",)),
    Scenario(
        "tls-default-subject",
        "a certificate nobody filled in",
        plays.tls_default_subject,
        ("openssl",),
        ((1000029, OUT_WEB, DESK, 1),),
    ),
    Scenario(
        "port-scan",
        "nmap scans and probes",
        plays.port_scan,
        ("nmap", "nginx"),
        (
            (1000007, ATTACKER, WEB, 1),
            (1000037, ATTACKER, WEB, 1),
        ),
    ),
    Scenario("mail-benign", "two letters", plays.mail_benign, ("swaks",)),
    Scenario(
        "mail-double-extension",
        "invoice.pdf.exe",
        plays.mail_double_extension,
        ("swaks",),
        ((1000030, DESK, OUT_WEB, 1),),
    ),
    Scenario("smb-benign", "smbclient reads a share", plays.smb_benign, ("smbclient", "samba")),
    Scenario(
        "smb-remote-service",
        "a remote execution service on a share",
        plays.smb_remote_service,
        ("smbclient", "samba"),
        ((1000026, ATTACKER, FILES, 1),),
    ),
    Scenario("reverse-shell", "a shell calls out", plays.reverse_shell, ("bash",), ((1000025, DESK, ATTACKER, 1),)),
    Scenario(
        "mining",
        "a miner logs in to its pool",
        plays.mining,
        ("bash",),
        (
            (1000027, DESK, OUT_WEB, 1),
            (1000028, DESK, OUT_WEB, 1),
        ),
    ),
    Scenario(
        "fragments",
        "large pings, one of them a tunnel",
        plays.fragments,
        ("nmap",),
        (
            (1000035, ATTACKER, WEB, 1),
            (1000035, WEB, ATTACKER, 1),
        ),
    ),
    Scenario("amplification", "NTP monlist requests", plays.amplification, ("nmap",), ((1000036, ATTACKER, WEB, 1),)),
    Scenario(
        "ipv6",
        "probes over IPv6",
        plays.ipv6,
        ("curl", "nginx"),
        (
            (1000001, ATTACKER6, WEB6, 1),
            (1000009, ATTACKER6, WEB6, 1),
            (1000010, ATTACKER6, WEB6, 1),
        ),
    ),
    Scenario(
        "vlan",
        "an attack in tagged frames",
        plays.vlan,
        ("curl", "nginx"),
        ((1000015, ATTACKER, WEB, 1),),
        vlan_ids=(7, 42),
    ),
)
