"""The native engine's Python face: what its stub promises, on captures made here. Needs the built engine."""

from __future__ import annotations

import gc
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cases import craft

engine = pytest.importorskip("vedette_engine", reason="the native engine is not built: make setup")

CLIENT, SERVER = ("192.0.2.10", 40000), ("198.51.100.80", 80)
RULE = 'alert udp any any -> any any (msg:"{word} seen"; content:"{word}"; sid:{sid}; rev:7;)\n'
ANY = {"HOME_NET": "any", "EXTERNAL_NET": "any"}


def rules_of(folder: Path, *words: str, **options: object) -> engine.RuleSet:
    path = folder / f"{'-'.join(words)}.rules"
    path.write_text("".join(RULE.format(word=word, sid=sid) for sid, word in enumerate(words, 1)))
    return engine.RuleSet([str(path)], ANY, **options)


def write_pcap(path: Path, datagrams: list[bytes]) -> Path:
    """A raw-IP capture, one packet a millisecond."""
    records = [
        struct.pack("<IIII", 1_000 + number // 1_000, number % 1_000 * 1_000, len(data), len(data)) + data
        for number, data in enumerate(datagrams)
    ]
    path.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101) + b"".join(records))
    return path


def everything(capture: engine.Capture) -> list[engine.Detection]:
    found: list[engine.Detection] = []
    while (batch := capture.next_batch(256, 10_000)) is not None:
        found += batch
    return found


def test_detection_says_what_the_stub_promises(tmp_path: Path) -> None:
    rules = rules_of(tmp_path, "needle")
    datagram = craft.udp(CLIENT, SERVER, b"a needle in hay")
    answer = craft.udp(SERVER, CLIENT, b"no such thing")
    path = write_pcap(tmp_path / "input.pcap", [answer, datagram])
    (one,) = everything(engine.Capture.files([path], rules))
    rule = rules.rules[one.rule]
    assert (rule.gid, rule.sid, rule.rev, rule.action, rule.msg) == (1, 1, 7, "alert", "needle seen")
    assert (one.ts_ns, one.source, one.generation, one.proto) == (1_000_001_000_000, 0, 0, 17)
    assert (one.src_ip, one.src_port, one.dest_ip, one.dest_port) == (*CLIENT, *SERVER)
    assert one.flow_id > 0
    assert one.to_server is False, "the server spoke first, so it opened the flow"
    assert (one.app_proto, one.tx_id, one.facts, one.packet) == ("", None, [], datagram)


def test_rule_list_is_made_once(tmp_path: Path) -> None:
    rules = rules_of(tmp_path, "needle")
    assert rules.rules is rules.rules
    assert rules.rules is not rules_of(tmp_path, "needle").rules


@pytest.mark.parametrize("matcher", ["vectorscan", "aho-corasick"])
def test_same_input_gives_the_same_detections(tmp_path: Path, matcher: str) -> None:
    rules = rules_of(tmp_path, "aaa", "bbb", matcher=matcher)
    assert rules.matcher == matcher
    datagrams = [craft.udp((CLIENT[0], 1024 + n), SERVER, [b"aaa", b"bbb", b"aaabbb"][n % 3]) for n in range(2_000)]
    path = write_pcap(tmp_path / "input.pcap", datagrams)
    runs = [[(d.ts_ns, d.rule, d.flow_id) for d in everything(engine.Capture.files([path], rules))] for _ in range(2)]
    assert runs[0] == runs[1]
    assert len(runs[0]) == 2_000 + 666


def test_reload_changes_the_rules_and_counts_the_generation(tmp_path: Path) -> None:
    first, second = rules_of(tmp_path, "aaa"), rules_of(tmp_path, "unused", "aaa")
    path = write_pcap(
        tmp_path / "input.pcap", [craft.udp((CLIENT[0], 1024 + n), SERVER, b"aaa") for n in range(30_000)]
    )
    capture = engine.Capture.files([path], first)
    found = capture.next_batch(1, 10_000)
    # The engine waits for us with a full queue, so packets are left for the new rules.
    assert capture.reload(second) == 1
    found += everything(capture)
    assert len(found) == 30_000
    assert [d.generation for d in found] == sorted(d.generation for d in found)
    assert {d.generation for d in found} == {0, 1}
    sids = {0: first.rules, 1: second.rules}
    assert {(d.generation, sids[d.generation][d.rule].sid) for d in found} == {(0, 1), (1, 2)}


def test_stop_is_idempotent_and_hands_over_what_is_left(tmp_path: Path) -> None:
    path = write_pcap(tmp_path / "input.pcap", [craft.udp(CLIENT, SERVER, b"aaa")] * 50_000)
    capture = engine.Capture.files([path], rules_of(tmp_path, "aaa"))
    assert capture.next_batch(1, 10_000)
    capture.stop()
    capture.stop()
    everything(capture)
    assert capture.next_batch(1, 0) is None
    assert 0 < capture.stats()["packets"] < 50_000
    read, total = capture.progress()
    assert 0 < read < total == path.stat().st_size


def test_a_capture_nobody_reads_can_be_thrown_away(tmp_path: Path) -> None:
    path = write_pcap(tmp_path / "input.pcap", [craft.udp(CLIENT, SERVER, b"aaa")] * 50_000)
    capture = engine.Capture.files([path], rules_of(tmp_path, "aaa"))
    del capture
    gc.collect()


def test_a_file_that_breaks_off_is_a_warning_told_once(tmp_path: Path) -> None:
    path = write_pcap(tmp_path / "input.pcap", [craft.udp(CLIENT, SERVER, b"aaa")] * 2)
    path.write_bytes(path.read_bytes()[:-1])
    capture = engine.Capture.files([path], rules_of(tmp_path, "aaa"))
    assert len(everything(capture)) == 1
    (warning,) = capture.warnings()
    assert str(path) in warning
    assert "at byte 71" in warning
    assert capture.warnings() == []


def test_checksums_are_verified_or_ignored(tmp_path: Path) -> None:
    datagram = bytearray(craft.udp(CLIENT, SERVER, b"aaa"))
    datagram[26] ^= 1
    path = write_pcap(tmp_path / "input.pcap", [bytes(datagram)])
    rules = rules_of(tmp_path, "aaa")
    for checksums, count in (("verify", 0), ("ignore", 1)):
        capture = engine.Capture.files([path], rules, checksums=checksums)
        assert len(everything(capture)) == count
        assert capture.stats()["checksum_bad"] == 1 - count


PROMISED = (
    "packets bytes alerts kernel_drops decode_unknown checksum_bad fragments_reassembled fragments_dropped "
    "flows_created flows_active flows_evicted stream_gaps stream_memcap_drops http_transactions dns_transactions "
    "engine_cpu_ns"
)


def test_promised_counters_are_there_from_the_start(tmp_path: Path) -> None:
    capture = engine.Capture.files([write_pcap(tmp_path / "input.pcap", [])], rules_of(tmp_path, "aaa"))
    assert set(PROMISED.split()) <= capture.stats().keys()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"checksums": "maybe"}, ["checksums", "`maybe`", "verify and ignore"]),
        ({"overlap_policy": "vms"}, ["overlap_policy", "`vms`", "first, last, bsd and linux"]),
        ({"flow_memcap_mib": 0}, ["flow_memcap_mib", "`0`", "1 to"]),
        ({"body_limit_kib": 0}, ["body_limit_kib", "`0`", "1 to"]),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(
    tmp_path: Path, options: dict[str, object], words: list[str]
) -> None:
    path = write_pcap(tmp_path / "input.pcap", [])
    with pytest.raises(engine.EngineError) as refused:
        engine.Capture.files([path], rules_of(tmp_path, "aaa"), **options)
    assert all(word in str(refused.value) for word in words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, ["No such file"]),
        (b"", ["the file is empty"]),
        (b"GET / HTTP/1.1\r\n\r\n and more", ["47 45 54 20", "neither a pcap nor a pcapng"]),
    ],
)
def test_a_file_that_is_no_capture_is_refused_with_its_path(
    tmp_path: Path, content: bytes | None, words: list[str]
) -> None:
    path = tmp_path / "input.pcap"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(engine.EngineError) as refused:
        engine.Capture.files([path], rules_of(tmp_path, "aaa"))
    assert all(word in str(refused.value) for word in [str(path), *words])


def test_an_interface_that_does_not_exist_is_refused_with_advice(tmp_path: Path) -> None:
    with pytest.raises(engine.EngineError, match="interface no-such-wire: no such interface; `ip -brief link` lists"):
        engine.Capture.interface(["no-such-wire"], rules_of(tmp_path, "aaa"))


LIVE = """
import socket, sys
import vedette_engine as engine

rules = engine.RuleSet([sys.argv[1]], {"HOME_NET": "any", "EXTERNAL_NET": "any"})
capture = engine.Capture.interface(["lo"], rules, threads=2, ring_mib=8, ring_ms=20)
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(500):
    sender.sendto(b"aaa %d" % number, ("127.0.0.1", 9))
found = []
while len(found) < 500:
    batch = capture.next_batch(256, 10_000)
    assert batch, capture.stats()
    found += batch
capture.stop()
while (batch := capture.next_batch(256, 10_000)) is not None:
    found += batch
stats = capture.stats()
print(len(found), len({detection.packet for detection in found}), stats["kernel_drops"], stats["alerts_dropped"])
"""


@pytest.mark.root
def test_a_live_interface_gives_every_detection_once(tmp_path: Path) -> None:
    rules_of(tmp_path, "aaa")
    script = f'ip link set lo up && exec {sys.executable} -c "$0" "$1"'
    command = ["unshare", "--net", "sh", "-c", script, LIVE, str(tmp_path / "aaa.rules")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (run.stdout, run.stderr) == ("500 500 0 0\n", "")


WAITING = """
import socket, sys, threading
import vedette_engine as engine

rules = engine.RuleSet([sys.argv[1]], {"HOME_NET": "any", "EXTERNAL_NET": "any"})
capture = engine.Capture.interface(["lo"], rules, ring_mib=8, ring_ms=20)
waiting = threading.Event()

def send():
    waiting.wait()
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"aaa", ("127.0.0.1", 9))

sys.setswitchinterval(1000)
threading.Thread(target=send).start()
waiting.set()
print(len(capture.next_batch(1, 20_000)))
capture.stop()
"""


@pytest.mark.root
def test_waiting_leaves_the_interpreter_to_other_threads(tmp_path: Path) -> None:
    """What is waited for is sent by a thread that gets to run only while the other waits."""
    rules_of(tmp_path, "aaa")
    script = f'ip link set lo up && exec {sys.executable} -c "$0" "$1"'
    command = ["unshare", "--net", "sh", "-c", script, WAITING, str(tmp_path / "aaa.rules")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (run.stdout, run.stderr) == ("1\n", "")
