"""Record the captures of this folder anew: real programs in two network namespaces, one small pcap per scenario.

    sudo .venv/bin/python -m tests.traffic.record [NAME...]

Needs root and the Debian packages that scenarios.py names, plus tcpdump, ethtool and iproute2. Writes pcaps/NAME.pcap
and the facts of MANIFEST.toml (digest, sizes, exact program versions); what must be found comes from the table in
scenarios.py. Clock, ports and sequence numbers differ from run to run: a new recording is a new file, the
expectations hold for every one.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import struct
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from tests.traffic.lab import HOME_NET, Lab, LabError
from tests.traffic.scenarios import SCENARIOS, Scenario

HERE = Path(__file__).parent
MANIFEST = HERE / "MANIFEST.toml"
SIZE_LIMIT_BYTES = 200_000


def versions(packages: tuple[str, ...]) -> list[str]:
    """`package version` of each, as dpkg knows it."""
    done = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *packages], check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise LabError(f"missing Debian packages: {done.stderr.strip()}")
    return done.stdout.split("\n")[:-1]


def count_packets(data: bytes) -> int:
    """Records in a little-endian pcap file."""
    count, offset = 0, 24
    while offset < len(data):
        offset += 16 + struct.unpack_from("<I", data, offset + 8)[0]
        count += 1
    return count


def tagged(data: bytes, vlan_ids: tuple[int, ...]) -> bytes:
    """The capture with VLAN tags (outermost first; 802.1ad for all but the innermost) after each frame's addresses."""
    kinds = [0x88A8] * (len(vlan_ids) - 1) + [0x8100]
    tags = b"".join(struct.pack(">HH", kind, vlan_id) for kind, vlan_id in zip(kinds, vlan_ids, strict=True))
    out, offset = bytearray(data[:24]), 24
    while offset < len(data):
        seconds, fraction, size, original = struct.unpack_from("<4I", data, offset)
        frame = data[offset + 16 : offset + 16 + size]
        out += (
            struct.pack("<4I", seconds, fraction, size + len(tags), original + len(tags))
            + frame[:12]
            + tags
            + frame[12:]
        )
        offset += 16 + size
    return bytes(out)


def record(scenario: Scenario) -> dict[str, object]:
    """Play one scenario in a lab of its own; gives the facts for the manifest."""
    programs = versions((*scenario.packages, "tcpdump"))
    pcap = HERE / "pcaps" / f"{scenario.name}.pcap"
    with tempfile.TemporaryDirectory(prefix="vedette-lab-") as scratch:
        partial = Path(scratch) / "wire.pcap"
        with Lab(Path(scratch)) as lab, lab.recording(partial):
            scenario.play(lab)
        data = partial.read_bytes()
    if scenario.vlan_ids:
        data = tagged(data, scenario.vlan_ids)
    if len(data) > SIZE_LIMIT_BYTES:
        raise LabError(
            f"{scenario.name}: {len(data)} bytes recorded, at most {SIZE_LIMIT_BYTES} allowed: shorten the scenario"
        )
    pcap.write_bytes(data)
    return {
        "sha256": hashlib.sha256(data).hexdigest(),
        "size_bytes": len(data),
        "packets": count_packets(data),
        "programs": programs,
    }


def manifest(facts: dict[str, dict[str, object]]) -> str:
    """The manifest's text: the table's expectations with the recorder's facts."""
    lines = [
        "# Made by record.py from scenarios.py: change those, not this file.",
        "# expect = [sid, source, destination, at least how often]; complete: any other alert is a failure.",
        f"home_net = {HOME_NET!r}".replace("'", '"'),
        'rules = "appliance/rules/starter.rules"',
        "",
    ]
    for scenario in SCENARIOS:
        fact = facts.get(scenario.name)
        if fact is None:
            continue
        lines += ["[[pcap]]", f'file = "pcaps/{scenario.name}.pcap"', f'about = "{scenario.about}"']
        lines += [f'sha256 = "{fact["sha256"]}"', f"size_bytes = {fact['size_bytes']}", f"packets = {fact['packets']}"]
        programs = fact["programs"]
        assert isinstance(programs, list)
        lines += ["programs = [" + ", ".join(f'"{program}"' for program in programs) + "]"]
        expected = [
            f'  [{sid}, "{source}", "{destination}", {least}],' for sid, source, destination, least in scenario.expected
        ]
        lines += ["expect = [", *expected, "]", ""] if expected else ["expect = []", ""]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Record the named scenarios, or all; with --manifest only write the manifest anew."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(scenario.name for scenario in SCENARIOS))
    parser.add_argument(
        "--manifest", action="store_true", help="record nothing, write the expectations into MANIFEST.toml"
    )
    options = parser.parse_args(argv)
    chosen = [scenario for scenario in SCENARIOS if not options.names or scenario.name in options.names]
    if unknown := set(options.names) - {scenario.name for scenario in chosen}:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    if not options.manifest and os.geteuid():
        parser.error("recording makes network namespaces: run as root")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # leave by the with blocks, which remove the namespaces
    facts: dict[str, dict[str, object]] = {}
    if MANIFEST.exists():
        for entry in tomllib.loads(MANIFEST.read_text()).get("pcap", []):
            facts[Path(entry["file"]).stem] = entry
    failed = 0
    for scenario in [] if options.manifest else chosen:
        try:
            facts[scenario.name] = record(scenario)
            fact = facts[scenario.name]
            print(f"{scenario.name}: {fact['packets']} packets, {fact['size_bytes']} bytes")
        except LabError as error:
            failed += 1
            print(f"{scenario.name}: {error}", file=sys.stderr)
    MANIFEST.write_text(manifest(facts))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
