"""The lab leaves nothing behind, whatever happens in it. Needs root and iproute2; says so where it cannot run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.traffic.lab import Lab, LabError

MISSING = [tool for tool in ("ip", "ethtool", "tcpdump", "ss", "sysctl") if shutil.which(tool) is None]
pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]


def namespaces() -> list[str]:
    shown = subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True).stdout
    return [line.split()[0] for line in shown.splitlines() if line.startswith("vdt-") and str(os.getpid()) in line]


def test_failure_inside_a_lab_ends_its_programs_and_removes_its_namespaces(tmp_path: Path) -> None:
    started = []

    def play() -> None:
        with Lab(tmp_path) as lab:
            started.append(lab.start("home", "sleep", "100"))
            assert len(namespaces()) == 2
            lab.run("outside", "false")

    with pytest.raises(LabError, match="false: ended with 1"):
        play()
    assert started[0].poll() is not None
    assert namespaces() == []


def test_namespaces_of_a_killed_lab_are_removed_by_the_next(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    orphan = f"vdt-home-{gone.pid}"
    subprocess.run(["ip", "netns", "add", orphan], check=True)
    with Lab(tmp_path):
        shown = subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True).stdout
        assert orphan not in shown.split()


def test_what_crosses_the_wire_is_recorded(tmp_path: Path) -> None:
    sink = Path(__file__).with_name("sink.py")
    pcap = tmp_path / "wire.pcap"
    with Lab(tmp_path) as lab, lab.recording(pcap):
        lab.start("outside", sys.executable, str(sink), "pool", "3333", ports=(("tcp", 3333),))
        lab.run(
            "home", "bash", "-c", "exec 3<>/dev/tcp/198.51.100.80/3333; echo a-line-to-find >&3; read -r answer <&3"
        )
    assert b"a-line-to-find" in pcap.read_bytes()
    assert b'"status":"OK"' in pcap.read_bytes()


def test_server_that_does_not_start_is_named(tmp_path: Path) -> None:
    with Lab(tmp_path) as lab, pytest.raises(LabError, match=r"false on .* ended with 1"):
        lab.start("home", "false", ports=(("tcp", 1),))
