"""Write the case folders anew from the tables: `python -m tests.cases.make`. Same tables, same bytes.

A folder is complete in itself: input.pcap, test.rules, expect.toml and a README, so that any engine can be held to it.
"""

from __future__ import annotations

import ipaddress
import json
import shutil
import sys
from pathlib import Path

from tests.cases import http_cases, rule_cases, transport_cases
from tests.cases.case import HOME_NET, Case
from tests.cases.craft import write_pcap

HERE = Path(__file__).parent
CASES = (*transport_cases.CASES, *transport_cases.IPV6_CASES, *http_cases.CASES, *rule_cases.CASES)


def ends(case: Case) -> tuple[str, str]:
    """The addresses of CLIENT and SERVER: source and destination of the first datagram."""
    first = case.datagrams[0]
    start, size = (12, 4) if first[0] >> 4 == 4 else (8, 16)
    return str(ipaddress.ip_address(first[start : start + size])), str(
        ipaddress.ip_address(first[start + size : start + 2 * size])
    )


def expectations(case: Case) -> str:
    """The text of expect.toml."""
    lines = [f"about = {json.dumps(case.about)}", f'home_net = "{HOME_NET}"', ""]
    pair = ends(case)
    for expect in case.expect:
        lines += ["[[run]]"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in expect.options]
        lines += ["# sid, source, destination, how often; complete", "alerts = ["]
        for sid, side, count in expect.alerts:
            lines.append(f'  [{sid}, "{pair[side]}", "{pair[1 - side]}", {count}],')
        lines += ["]", ""]
    return "\n".join(lines)


def main() -> int:
    """Write all folders and remove those of no case."""
    names = {case.name for case in CASES}
    for folder in HERE.iterdir():
        if (folder / "expect.toml").exists() and folder.name not in names:
            shutil.rmtree(folder)
    for case in CASES:
        folder = HERE / case.name
        folder.mkdir(exist_ok=True)
        write_pcap(folder / "input.pcap", case.datagrams, case.interval_us)
        (folder / "test.rules").write_text("\n".join(case.rules) + "\n")
        (folder / "expect.toml").write_text(expectations(case))
        made = "Made by `python -m tests.cases.make` from the tables beside; packets are built byte by byte."
        (folder / "README.md").write_text(f"# {case.name}\n{case.about}\n\n{made}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
