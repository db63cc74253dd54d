"""Every configuration key of the sensor, section by section.

Rules of this file: data only. A new key must work when it is absent, says its unit and has one line of documentation;
`vedette config` prints this file as TOML and the appliance's README lists it (a test compares them).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from appliance.config.keys import key


@dataclass(frozen=True, slots=True)
class SensorSection:
    """Who this box is and where it keeps what must survive a restart."""

    state_dir: str = key("/var/lib/vedette", "Folder for identity, spool, compiled rules and the status socket")
    hostname: str = key("", "Name in the SNML sensor element; empty: the system's host name")
    address: str = key(
        "", "Management address in the SNML sensor element; empty: the address that reaches the collector"
    )
    set_clock: bool = key(
        False, "Set the system's clock by the collector's signed time when it is behind; needs CAP_SYS_TIME"
    )


@dataclass(frozen=True, slots=True)
class CollectorSection:
    """Where alerts go and how to know that it is the right place."""

    urls: tuple[str, ...] = key((), "Collectors in the order of preference, e.g. https://collector.example.net:443")
    ca_pin: str = key("", "SHA-256 (hex) of the collector root's public key, as `vedette-collector init` prints it")
    token: str = key("", "One-time enrollment token, as `vedette-collector token new` prints it")
    token_file: str = key("", "File that holds the enrollment token instead; wiped after use")
    proxy: str = key("", "HTTP proxy for CONNECT, e.g. http://user:password@proxy.example.net:3128")
    timeout_s: int = key(30, "Longest wait for a connection or an answer", unit="s", least=1, most=600)


@dataclass(frozen=True, slots=True)
class IdentitySection:
    """Where the sensor's key lives. What is asked for and not there is an error, never replaced by the other."""

    key_store: str = key(
        "tpm",
        "tpm: made in the TPM and never out of it; secure-element: in the supervisor's, which signs for a file of each"
        " day; software: a file, which can be copied",
        choices=("tpm", "secure-element", "software"),
    )
    tcti: str = key("", "Way to the TPM as a TCTI string; empty: device:/dev/tpmrm0")


@dataclass(frozen=True, slots=True)
class CaptureSection:
    """What is watched. Interfaces or files, not both."""

    interfaces: tuple[str, ...] = key((), "Interfaces to watch, e.g. eth1; they need no address")
    files: tuple[str, ...] = key((), "pcap or pcapng files to read instead of interfaces")
    when_done: str = key("stay", "What to do after the last file is read and delivered", choices=("stay", "exit"))
    threads: int = key(1, "Capture and detection threads (flows are spread over them)", least=1, most=64)
    ring_mib: int = key(64, "Kernel ring of each thread, at most", unit="MiB", least=1, most=4096)
    ring_ms: int = key(500, "Traffic at line rate that the ring should hold", unit="ms", least=1, most=60_000)
    checksums: str = key(
        "ignore", "Packets with a wrong checksum are dropped or inspected", choices=("verify", "ignore")
    )
    midstream: bool = key(False, "Also follow TCP connections whose start was not seen")
    overlap_policy: str = key(
        "bsd", "Which bytes win where TCP segments overlap", choices=("first", "last", "bsd", "linux")
    )
    flow_memcap_mib: int = key(64, "Memory of the flow table, at most", unit="MiB", least=1, most=65_536)
    stream_memcap_mib: int = key(64, "Memory of TCP reassembly, at most", unit="MiB", least=1, most=65_536)
    stream_depth_kib: int = key(1024, "Bytes inspected of each TCP direction", unit="KiB", least=1, most=1_048_576)
    body_limit_kib: int = key(100, "Bytes inspected of each HTTP body", unit="KiB", least=1, most=65_536)


@dataclass(frozen=True, slots=True)
class RulesSection:
    """Which rules are loaded, and what their variables mean here."""

    paths: tuple[str, ...] = key(
        (), "Rule files, or folders of *.rules; empty: the starter rules that come with Vedette"
    )
    home_net: str = key(
        "192.168.0.0/16,10.0.0.0/8,172.16.0.0/12", "Addresses to protect (HOME_NET); EXTERNAL_NET is the rest; or any"
    )
    variables: dict[str, str] = key(
        {}, "Other rule variables by name, such as HTTP_PORTS, in the rule language's own form"
    )
    matcher: str = key("", "Pattern matcher; empty: the fastest built in", choices=("", "vectorscan", "aho-corasick"))


@dataclass(frozen=True, slots=True)
class AlertsSection:
    """What of a packet leaves the box. Applied before anything is stored."""

    encoding: str = key("base64", "How packet data is written in SNML", choices=("hex", "base64", "ascii"))
    detail: str = key("full", "full: with payload and all header fields; fast: without", choices=("fast", "full"))
    sanitize_networks: tuple[str, ...] = key((), "Networks (CIDR) whose addresses are hidden")
    sanitize_method: str = key(
        "mask", "mask: address and payload dropped; pseudonym: keyed, prefix-preserving", choices=("mask", "pseudonym")
    )


@dataclass(frozen=True, slots=True)
class SpoolSection:
    """Alerts that the collector has not yet confirmed as stored."""

    max_mib: int = key(
        512, "Size on disk, at most; the oldest alerts go first, counted and reported", unit="MiB", least=1
    )
    segment_mib: int = key(8, "Size of one segment file", unit="MiB", least=1, most=32)


@dataclass(frozen=True, slots=True)
class UplinkSection:
    """The one connection to the collector."""

    batch_events: int = key(500, "Events in one batch, at most", least=1, most=500)
    flush_ms: int = key(
        500, "Longest wait of an event for company before its batch is sent", unit="ms", least=1, most=60_000
    )
    heartbeat_s: int = key(60, "Time between two heartbeats", unit="s", least=1, most=3600)
    compression: str = key("zstd", "Compression of batches", choices=("zstd", "gzip", "identity"))


@dataclass(frozen=True, slots=True)
class SupervisorSection:
    """The microcontroller that takes the box's power away when nobody says any more that it is alive."""

    port: str = key(
        "/dev/vedette-supervisor",
        "Serial port of the supervisor's board; a box without one works; empty: never looked for",
    )
    baud: int = key(115_200, "Speed of that port", least=1200, most=4_000_000)
    auto_pair: bool = key(False, "Give a board that has no key this box's, with nobody's help")


@dataclass(frozen=True, slots=True)
class UpdateSection:
    """New versions of the whole box; on boxes that run Vedette's image only."""

    fetch: bool = key(True, "Fetch and install what the collector offers")
    check_s: int = key(900, "Time between two questions for an offer, about", unit="s", least=5, most=86_400)


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration."""

    sensor: SensorSection = field(default_factory=SensorSection)
    collector: CollectorSection = field(default_factory=CollectorSection)
    identity: IdentitySection = field(default_factory=IdentitySection)
    capture: CaptureSection = field(default_factory=CaptureSection)
    rules: RulesSection = field(default_factory=RulesSection)
    alerts: AlertsSection = field(default_factory=AlertsSection)
    spool: SpoolSection = field(default_factory=SpoolSection)
    uplink: UplinkSection = field(default_factory=UplinkSection)
    supervisor: SupervisorSection = field(default_factory=SupervisorSection)
    update: UpdateSection = field(default_factory=UpdateSection)


SECTIONS: dict[str, type] = {
    "sensor": SensorSection,
    "collector": CollectorSection,
    "identity": IdentitySection,
    "capture": CaptureSection,
    "rules": RulesSection,
    "alerts": AlertsSection,
    "spool": SpoolSection,
    "uplink": UplinkSection,
    "supervisor": SupervisorSection,
    "update": UpdateSection,
}
