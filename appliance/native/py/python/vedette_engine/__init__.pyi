"""Vedette's detection engine (Rust).

All calls release the GIL while they work; all sizes are bytes unless the name says more.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, final

__all__ = ["Capture", "Detection", "EngineError", "Refusal", "Rule", "RuleSet", "__version__"]

__version__: str

class EngineError(Exception):
    """A file, rule variable, device or setting that the engine refuses; says what came and what was allowed."""

@final
class Refusal:
    """A rule that was not loaded."""

    file: str
    line: int
    sid: int | None
    keyword: str
    reason: str

@final
class Rule:
    """What an alert's reader needs to know of a loaded rule."""

    gid: int
    sid: int
    rev: int
    action: str
    msg: str
    classtype: str
    """Short name as the rule has it (`web-application-attack`), empty when it has none."""
    category: str
    """The classtype's description, empty when it has none."""
    priority: int
    references: list[tuple[str, str]]
    metadata: list[tuple[str, str]]

@final
class RuleSet:
    """A parsed and compiled set of rules; immutable, shared by any number of engines."""

    def __new__(
        cls,
        paths: Sequence[str],
        variables: Mapping[str, str] = ...,
        *,
        matcher: Literal["vectorscan", "aho-corasick"] | None = None,
        cache_dir: str | None = None,
    ) -> RuleSet:
        """Read rule files (or folders of `*.rules`). A rule that cannot be loaded is refused by name, the rest load.

        Raises:
            EngineError: a file cannot be read or a variable's value does not parse.
        """
    @property
    def rules(self) -> list[Rule]:
        """The loaded rules; `Detection.rule` indexes this list."""
    @property
    def refused(self) -> list[Refusal]: ...
    @property
    def digest(self) -> str:
        """SHA-256 (hex) over the loaded rules and variables."""
    @property
    def matcher(self) -> str: ...

@final
class Detection:
    """One alert: a rule matched."""

    ts_ns: int
    rule: int
    """Index into `RuleSet.rules` of the set that `generation` counts."""
    generation: int
    """0 for the set the engine started with, one more for every reload."""
    source: int
    """Index of the file or interface."""
    proto: int
    src_ip: str
    src_port: int
    dest_ip: str
    dest_port: int
    """Ports are 0 for protocols without; ICMP type and code are in the packet."""
    flow_id: int
    """0 when the packet belongs to no flow."""
    to_server: bool
    app_proto: str
    """`http`, `dns`, `tls` or empty."""
    tx_id: int | None
    facts: list[tuple[str, bytes]]
    packet: bytes
    """The IP datagram that set the alert off, from its first header byte; empty when a flow's end did."""

@final
class Capture:
    """Frames in, detections out, on the engine's own threads."""

    @staticmethod
    def files(
        paths: Sequence[str],
        rules: RuleSet,
        *,
        checksums: Literal["verify", "ignore"] = "verify",
        midstream: bool = False,
        overlap_policy: Literal["first", "last", "bsd", "linux"] = "bsd",
        flow_memcap_mib: int = 64,
        stream_memcap_mib: int = 64,
        stream_depth_kib: int = 1024,
        body_limit_kib: int = 100,
    ) -> Capture:
        """Read pcap and pcapng files one after another as one stream of time.

        Raises:
            EngineError: a file cannot be opened or is no capture file. A file that breaks off later ends there, is
                reported in `warnings`, and the next one is read.
        """
    @staticmethod
    def interface(
        names: Sequence[str],
        rules: RuleSet,
        *,
        threads: int = 1,
        ring_mib: int = 64,
        ring_ms: int = 500,
        snaplen: int = 65535,
        fanout_group: int | None = None,
        checksums: Literal["verify", "ignore"] = "ignore",
        midstream: bool = False,
        overlap_policy: Literal["first", "last", "bsd", "linux"] = "bsd",
        flow_memcap_mib: int = 64,
        stream_memcap_mib: int = 64,
        stream_depth_kib: int = 1024,
        body_limit_kib: int = 100,
    ) -> Capture:
        """Open AF_PACKET TPACKET_V3 rings with fanout by flow hash.

        Raises:
            EngineError: an interface does not exist or may not be opened (needs CAP_NET_RAW).
        """
    def next_batch(self, max_detections: int = 256, timeout_ms: int = 100) -> list[Detection] | None:
        """Up to `max_detections` in order; an empty list when `timeout_ms` passed without any; None once the input is
        exhausted (or `stop` was called) and every detection has been handed over.

        Raises:
            EngineError: an engine thread failed.
        """
    def progress(self) -> tuple[int, int]:
        """(bytes read, bytes in all); the second is 0 for interfaces."""
    def reload(self, rules: RuleSet) -> int:
        """Swap the rule set between two packets, flows kept. Returns the new generation."""
    def stop(self) -> None:
        """Stop reading, inspect what is open, hand over what is left. Idempotent."""
    def stats(self) -> dict[str, int]:
        """Counters since the start, each name ending in its unit where it has one: `packets bytes alerts kernel_drops
        decode_unknown checksum_bad fragments_reassembled fragments_dropped flows_created flows_active flows_evicted
        stream_gaps stream_memcap_drops http_transactions dns_transactions engine_cpu_ns` and more."""
    def warnings(self) -> list[str]:
        """What went wrong without stopping the capture, in words (a file that breaks off, say); each told once."""
