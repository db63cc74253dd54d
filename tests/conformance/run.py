"""`make conformance`: the same packets and the same rules must give the same alerts as Suricata 8.0.7 gave.

    python -m tests.conformance.run [--set cases|et] [--case NAME] [--rules-shown] [--json FILE]

Rules of this file: what is compared are sets of (gid, sid, protocol, source, destination) as the EVE output names them,
not counts; a case is held against us only when every one of its rules loads; for the big rule set what counts are the
rules that load. Every difference must be in known.toml with its reason, and what is there must still differ: an entry
that no longer holds fails too, so that the list only shrinks.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import ipaddress
import json
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vedette_engine import Capture, EngineError, RuleSet

from appliance.cli.writers import WRITERS
from appliance.engine.replay import replay
from appliance.engine.ruleset import load_rules, rule_variables

DATA = Path(__file__).parents[3] / "shared" / "data"
KNOWN = Path(__file__).with_name("known.toml")
PRIVATE = "192.168.0.0/16,10.0.0.0/8,172.16.0.0/12"

Alert = tuple[int, int, str, str, int, str, int]
"""gid, sid, protocol, source, its port, destination, its port"""


@dataclasses.dataclass
class Outcome:
    """One case: `pass`, `differs`, `not applicable` (a rule was refused) or `broken` (the engine gave up)."""

    group: str
    name: str
    state: str
    note: str = ""
    missing: list[Alert] = dataclasses.field(default_factory=list)
    extra: list[Alert] = dataclasses.field(default_factory=list)

    def differences(self) -> set[tuple[str, str, str, int]]:
        """(set, case, missing or extra or reversed, sid): what known.toml lists."""
        turned = {(*alert[:3], *alert[5:], *alert[3:5]) for alert in self.extra}
        found = set()
        for alert in self.missing:
            found.add((self.group, self.name, "reversed" if alert in turned else "missing", alert[1]))
        reversed_sids = {sid for _, _, kind, sid in found if kind == "reversed"}
        return found | {(self.group, self.name, "extra", a[1]) for a in self.extra if a[1] not in reversed_sids}


def plain(address: str) -> str:
    """An address in its shortest spelling."""
    return str(ipaddress.ip_address(address)) if address else ""


def expected_alerts(rows: list[list[Any]]) -> set[Alert]:
    """The rows of the data files without their counts."""
    return {(gid, sid, proto, plain(src), sp, plain(dst), dp) for gid, sid, proto, src, sp, dst, dp, _ in rows}


def found_alerts(pcap: Path, rules: RuleSet) -> set[Alert]:
    """What the engine says of one capture, as a reader of its EVE output sees it.

    Raises:
        EngineError: the engine gave up.
    """
    out = io.BytesIO()
    capture = Capture.files([str(pcap)], rules, checksums="ignore")
    writer = WRITERS["eve"](out, rules.rules, [str(pcap)])
    replay(capture, rules, writer, start_seconds_cpu=0.0, on_progress=lambda *_: None)
    found = set()
    for line in out.getvalue().splitlines():
        event = json.loads(line)
        alert = event["alert"]
        ends = (
            plain(event.get("src_ip", "")),
            event.get("src_port", 0),
            plain(event["dest_ip"]),
            event.get("dest_port", 0),
        )
        found.add((alert["gid"], alert["signature_id"], event["proto"], *ends))
    return found


def judge(group: str, name: str, pcap: Path, rules: RuleSet, expected: set[Alert]) -> Outcome:
    """Run one capture and compare."""
    try:
        found = found_alerts(pcap, rules)
    except EngineError as error:
        return Outcome(group, name, "broken", str(error))
    missing, extra = sorted(expected - found), sorted(found - expected)
    return Outcome(group, name, "differs" if missing or extra else "pass", missing=missing, extra=extra)


def run_cases(only: str | None) -> Iterator[Outcome]:
    """The cases with rules of their own."""
    for case in json.loads((DATA / "conformance" / "cases.json").read_text()):
        if only and only not in case["name"]:
            continue
        file = DATA / "conformance" / "rules" / case["rules"]
        rules = load_rules([file], rule_variables(PRIVATE, {}))
        if rules.refused:
            note = ", ".join(sorted({refusal.keyword for refusal in rules.refused}))
            yield Outcome("cases", case["name"], "not applicable", note)
        else:
            pcap = DATA / "pcap" / case["pcap"]
            yield judge("cases", case["name"], pcap, rules, expected_alerts(case["alerts"]))


def run_et(only: str | None) -> Iterator[Outcome]:
    """Every capture with the big rule set, as far as it loads, home network any."""
    files = sorted((DATA / "rules" / "bench").glob("et-bench-part*.rules"))
    rules = load_rules(files, rule_variables("any", {}))
    loaded = {(rule.gid, rule.sid) for rule in rules.rules}
    print(f"et: {len(rules.rules)} rules loaded, {len(rules.refused)} refused", file=sys.stderr)
    for case in json.loads((DATA / "conformance" / "et.json").read_text()):
        if only and only not in case["pcap"]:
            continue
        expected = {alert for alert in expected_alerts(case["alerts"]) if alert[:2] in loaded}
        yield judge("et", case["pcap"], DATA / "pcap" / case["pcap"], rules, expected)


def rule_texts() -> dict[tuple[str, int], str]:
    """The text of each rule by (case or "et", sid), for people who look at a difference."""
    texts: dict[tuple[str, int], str] = {}

    def take(name: str, file: Path) -> None:
        for line in file.read_text(errors="replace").splitlines():
            if line and not line.startswith("#") and "sid:" in line:
                sid = line.split("sid:", 1)[1].split(";", 1)[0].strip()
                texts[(name, int(sid) if sid.isdigit() else 0)] = line

    for case in json.loads((DATA / "conformance" / "cases.json").read_text()):
        take(case["name"], DATA / "conformance" / "rules" / case["rules"])
    for file in (DATA / "rules" / "bench").glob("et-bench-part*.rules"):
        take("et", file)
    return texts


def known_differences() -> dict[tuple[str, str, str, int], str]:
    """known.toml by difference: its reason."""
    known: dict[tuple[str, str, str, int], str] = {}
    for entry in tomllib.loads(KNOWN.read_text()).get("reason", []):
        for group, name, kind, sid in entry["differences"]:
            known[(group, name, kind, sid)] = entry["why"]
    return known


def describe(outcome: Outcome, texts: dict[tuple[str, int], str] | None, known: set[tuple[str, str, str, int]]) -> None:
    """Print one difference."""
    told = "known" if outcome.differences() <= known else "NEW"
    print(f"{outcome.group} {outcome.name}: {outcome.state} ({told}) {outcome.note}")
    for sign, alerts in (("-", outcome.missing), ("+", outcome.extra)):
        for gid, sid, proto, source, sport, destination, dport in alerts:
            print(f"  {sign} {gid}:{sid} {proto} {source}:{sport} -> {destination}:{dport}")
    for sid in sorted({alert[1] for alert in outcome.missing + outcome.extra}) if texts else []:
        print(f"    {(texts or {}).get((outcome.name if outcome.group == 'cases' else 'et', sid), '?')}")


def main(argv: list[str] | None = None) -> int:
    """Run, show, compare with the known differences; 0 when nothing is new and nothing listed has gone."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--set", choices=("cases", "et"), help="only this set (default: both)")
    parser.add_argument("--case", metavar="NAME", help="only cases whose name contains this")
    parser.add_argument("--rules-shown", action="store_true", help="print the rules beside each difference")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all outcomes here")
    options = parser.parse_args(argv)
    if not DATA.is_dir():
        print(f"conformance: needs captures, rules and results in {DATA}; nothing was compared", file=sys.stderr)
        return 2
    known = known_differences()
    texts = rule_texts() if options.rules_shown else None
    outcomes: list[Outcome] = []
    for group, run in (("cases", run_cases), ("et", run_et)):
        if options.set in (None, group):
            for outcome in run(options.case):
                outcomes.append(outcome)
                if outcome.state in ("differs", "broken"):
                    describe(outcome, texts, set(known))
    if options.json:
        options.json.write_text(json.dumps([dataclasses.asdict(outcome) for outcome in outcomes], indent=1) + "\n")
    differing = {difference for outcome in outcomes for difference in outcome.differences()}
    ran = {(outcome.group, outcome.name) for outcome in outcomes}
    gone = {difference for difference in known if difference[:2] in ran} - differing
    for difference in sorted(gone):
        print(f"known.toml lists {difference}, which no longer differs: take it out")
    for group in ("cases", "et"):
        states = Counter(outcome.state for outcome in outcomes if outcome.group == group)
        if states:
            print(f"{group}: " + ", ".join(f"{count} {state}" for state, count in sorted(states.items())))
    refusals = Counter(
        word for outcome in outcomes if outcome.state == "not applicable" for word in outcome.note.split(", ")
    )
    print("not applicable for: " + ", ".join(f"{word} {count}" for word, count in refusals.most_common(12)))
    new = differing - set(known)
    broken = sum(outcome.state == "broken" for outcome in outcomes)
    print(f"{len(differing)} differences, {len(new)} of them new, {len(gone)} listed but gone, {broken} broken")
    return 1 if new or gone or broken else 0


if __name__ == "__main__":
    sys.exit(main())
