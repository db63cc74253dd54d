"""The peer: Suricata 7 as Debian 12 users get it, in a root tree of its own outside ours.

What belongs here: making that tree (once, with mmdebstrap, from this machine's own Debian mirror), running the peer
on a capture with a rule file, and reading what the run cost. What it never does: install anything on the machine
(Debian's hyperscan and vectorscan packages exclude each other, which is why the peer lives apart) or put anything
into the repository.

Invariant: the peer is run by the tree's own loader and libraries, from its own configuration file with only the
outputs replaced, so that what is measured is the packaged program with its defaults, writing alerts and nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# apt takes from backports only what is named: the peer, and the library it needs newer than the release has.
PACKAGES = ("suricata", "libhtp2")
SUITE = "bookworm"
BACKPORTS = "bookworm-backports"
# A worker's CPU time is read this often until it ends: the reading is short by at most one interval.
SAMPLE_INTERVAL_S = 0.01
OUTPUTS = """outputs:
  - fast:
      enabled: yes
      filename: fast.log
      append: no
  - eve-log:
      enabled: yes
      filetype: regular
      filename: eve.json
      types:
        - alert
"""


class PeerError(Exception):
    """The peer cannot be made or run; the text says what came and what to do."""


@dataclasses.dataclass(frozen=True)
class PeerRun:
    """What one run cost. CPU times are user plus system seconds; alerts are EVE alert objects."""

    seconds_wall: float
    seconds_cpu_worker: float
    seconds_cpu_total: float
    peak_rss_bytes: int
    rules_loaded: int
    alerts: list[dict[str, object]]
    log: str


def peer_dir() -> Path:
    """Where the peer's tree is kept: VEDETTE_PEER_DIR, else ~/.cache/vedette-peer."""
    return Path(os.environ.get("VEDETTE_PEER_DIR") or Path.home() / ".cache" / "vedette-peer").expanduser()


def debian_mirror(apt: Path = Path("/etc/apt")) -> tuple[str, str | None]:
    """The URI and keyring of the first Debian archive in a machine's apt sources (deb822 or one-line style).

    Raises:
        PeerError: apt's sources name no Debian archive.
    """
    places = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]
    for path in places:
        text = path.read_text(errors="replace") if path.is_file() else ""
        if path.suffix == ".sources":
            for stanza in re.split(r"\n\s*\n", text):
                field = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", stanza, re.MULTILINE))
                uri = field.get("URIs", "").split()
                if uri and uri[0].rstrip("/").endswith("/debian"):
                    return uri[0], field.get("Signed-By")
        for line in text.splitlines():
            found = re.match(r"deb\s+(?:\[(.*?)\]\s+)?(\S+/debian/?)\s", line)
            if found:
                key = re.search(r"signed-by=(\S+)", found[1] or "")
                return found[2], key[1] if key else None
    raise PeerError("apt's sources name no Debian archive (a URI ending in /debian): add one, then run again")


def make(root: Path) -> None:
    """Make the tree when it is not there yet. Needs mmdebstrap, and root or unprivileged user namespaces.

    Raises:
        PeerError: mmdebstrap is missing or failed.
    """
    if (root / "usr/bin/suricata").exists():
        return
    if not shutil.which("mmdebstrap"):
        raise PeerError("mmdebstrap is not installed: apt-get install mmdebstrap")
    uri, keyring = debian_mirror()
    signed = f"[signed-by={keyring}] " if keyring else ""
    partial = root.with_name(root.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.parent.mkdir(parents=True, exist_ok=True)
    command = [
        "mmdebstrap",
        "--variant=apt",
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--include=" + ",".join(f"{name}/{BACKPORTS}" for name in PACKAGES),
        "--aptopt=APT::Install-Recommends false",
        "--aptopt=Acquire::Check-Valid-Until false",
        SUITE,
        str(partial),
        f"deb {signed}{uri} {SUITE} main",
        f"deb {signed}{uri} {BACKPORTS} main",
    ]
    done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode or not (partial / "usr/bin/suricata").exists():
        raise PeerError(f"mmdebstrap failed ({done.returncode}):\n{done.stderr[-2000:]}")
    partial.rename(root)


def _command(root: Path) -> list[str]:
    """The peer's program, started by the tree's own loader: no chroot call, so no root, no copies of big captures."""
    loader = next(iter(sorted(root.glob("lib64/ld-linux-*.so.*")) + sorted(root.glob("lib/ld-linux-*.so.*"))), None)
    if loader is None:
        raise PeerError(f"{root} has no dynamic loader: remove the folder, it will be made again")
    libraries = [str(path) for base in ("lib", "usr/lib") for path in (root / base).glob("*-linux-gnu*")]
    return [str(loader), "--library-path", ":".join(libraries), str(root / "usr/bin/suricata")]


def version(root: Path) -> str:
    """The peer's name and version, from its own words ("This is Suricata version 7.0.10 RELEASE")."""
    done = subprocess.run([*_command(root), "-V"], check=True, capture_output=True, text=True)
    found = re.search(r"Suricata version (\S+)", done.stdout)
    return f"Suricata {found[1]}" if found else done.stdout.strip()


def configuration(root: Path) -> str:
    """The packaged yaml with its outputs replaced by alerts alone and its file references pointing into the tree."""
    text = (root / "etc/suricata/suricata.yaml").read_text()
    text = re.sub(r"^outputs:\n(?:(?:[ \t#].*)?\n)*", lambda _: OUTPUTS + "\n", text, count=1, flags=re.MULTILINE)
    text = re.sub(r"^(stats:\n(?:\s*#.*\n)*\s+enabled:) yes", r"\1 no", text, count=1, flags=re.MULTILINE)
    return text.replace("/etc/suricata/", f"{root}/etc/suricata/")


def _peak_rss_bytes(pid: int) -> int:
    """The largest resident size the program has had; getrusage would count its parent's before the exec."""
    with contextlib.suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        return int(found[1]) * 1024 if found else 0
    return 0


def _thread_cpu(pid: int, name: str) -> float:
    """CPU seconds of the thread called `name`, 0 when there is none (now)."""
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            if (task / "comm").read_text().strip() == name:
                # sched/schedstat's first field is nanoseconds on a CPU; utime and stime only count 10 ms ticks.
                return int((task / "schedstat").read_text().split()[0]) / 1e9
    return 0.0


def run(root: Path, pcap: Path, rules: Path, home_net: str | None = None, checksums: bool = False) -> PeerRun:
    """Read `pcap` with `rules` on one worker thread (`--runmode single`) and say what it cost.

    `home_net` is a rule address list, for the packaged default give None; "any" sets EXTERNAL_NET to any as well.

    Raises:
        PeerError: the peer did not end well; the text ends with its log.
    """
    with tempfile.TemporaryDirectory(prefix="vedette-peer-") as scratch:
        work = Path(scratch)
        (work / "peer.yaml").write_text(configuration(root))
        command = [
            *_command(root),
            "-c",
            str(work / "peer.yaml"),
            "-r",
            str(pcap),
            "-S",
            str(rules),
            "-l",
            scratch,
            "--runmode",
            "single",
            "-v",
            "-k",
            "all" if checksums else "none",
        ]
        if home_net:
            command += ["--set", f"vars.address-groups.HOME_NET={home_net}"]
        if home_net == "any":
            command += ["--set", "vars.address-groups.EXTERNAL_NET=any"]
        with (work / "log").open("w+") as log:
            began = time.monotonic()
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=scratch)
            worker, peak_rss = 0.0, 0
            while True:
                pid, status, usage = os.wait4(process.pid, os.WNOHANG)
                if pid:
                    break
                worker = max(worker, _thread_cpu(process.pid, "W#01"))
                peak_rss = max(peak_rss, _peak_rss_bytes(process.pid))
                time.sleep(SAMPLE_INTERVAL_S)
            wall = time.monotonic() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            log.seek(0)
            said = log.read()
        if process.returncode:
            raise PeerError(f"the peer ended with {process.returncode}:\n{said[-2000:]}")
        loaded = re.search(r"(\d+) rules successfully loaded", said)
        alerts = [json.loads(line) for line in (work / "eve.json").read_text().splitlines()]
        return PeerRun(
            seconds_wall=wall,
            seconds_cpu_worker=worker,
            seconds_cpu_total=usage.ru_utime + usage.ru_stime,
            peak_rss_bytes=peak_rss,
            rules_loaded=int(loaded[1]) if loaded else 0,
            alerts=[alert for alert in alerts if alert.get("event_type") == "alert"],
            log=said,
        )


def main(argv: list[str] | None = None) -> int:
    """Make the peer; with a capture and rules, run it once and print what it cost and found."""
    parser = argparse.ArgumentParser(description="make the peer, or run it on a capture")
    parser.add_argument("pcap", nargs="?", type=Path)
    parser.add_argument("rules", nargs="?", type=Path)
    parser.add_argument("--home-net")
    parser.add_argument("--alerts", action="store_true", help="print each alert")
    options = parser.parse_args(argv)
    root = peer_dir()
    try:
        make(root)
        print(version(root), file=sys.stderr)
        if options.pcap and options.rules:
            result = run(root, options.pcap.resolve(), options.rules.resolve(), options.home_net)
            shown = dataclasses.asdict(result) | {"alerts": len(result.alerts)}
            print(shown.pop("log") if not result.rules_loaded else "", end="", file=sys.stderr)
            shown.pop("log", None)
            print(json.dumps(shown, indent=2))
            for alert in result.alerts if options.alerts else []:
                signature = alert["alert"]
                assert isinstance(signature, dict)
                print(
                    signature["signature_id"],
                    alert["proto"],
                    alert.get("src_ip"),
                    alert.get("src_port"),
                    "->",
                    alert.get("dest_ip"),
                    alert.get("dest_port"),
                    signature["signature"],
                )
    except PeerError as error:
        print(f"peer: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
