"""The uplink against a collector on real TLS: stored once whatever goes wrong; the cursor moves on receipts only."""

from __future__ import annotations

import hashlib
import ssl
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.identity import Proxy, SoftKey
from appliance.uplink import State
from appliance.wire.codes import SessionCode
from appliance.wire.session import ContentEncoding, Loss
from appliance.wire.snml import encode_message_from_fragments
from tests.appliance.uplink.box import EPOCH, SENSOR, Box, render
from tests.fakes.collector import FakeCollector, Fault, refusal
from tests.fakes.pki import Authority, pem
from tests.fakes.proxy import FakeProxy


def spooled(box: Box, count: int) -> None:
    box.spool.append([(1, render)] * count)


@pytest.mark.parametrize("encoding", ["zstd", "gzip", "identity"])
def test_events_and_a_heartbeat_arrive_on_one_connection(
    box: Box, collector: FakeCollector, encoding: ContentEncoding
) -> None:
    spooled(box, 7)
    uplink = box.connect(collector.url, batch_events=3, encoding=encoding)
    box.until_idle()
    assert collector.sequences(EPOCH) == list(range(1, 8))
    assert [(h.first_seq, h.last_seq, h.encoding) for h in collector.batches] == [
        (1, 3, encoding),
        (4, 6, encoding),
        (7, 7, encoding),
    ]
    assert len(collector.heartbeats) == 1
    assert collector.connections == 1
    status = uplink.status()
    assert (status.state, status.events_stored, status.batches_stored) == (State.UP, 7, 3)


def test_the_digest_is_of_the_document_as_stored(box: Box, collector: FakeCollector) -> None:
    spooled(box, 2)
    box.connect(collector.url)
    box.until_idle()
    assert {hashlib.sha256(document).hexdigest() for document in collector.store.values()} == {
        collector.batches[0].sha256
    }


BEFORE_RECEIPT = [
    Fault.CUT_BEFORE_STORE,
    Fault.CUT_AFTER_STORE,
    Fault.CUT_IN_ANSWER,
    Fault.WRONG_EPOCH,
    Fault.TOO_FAR,
    Fault.NOTHING_STORED,
    Fault.GARBAGE,
    Fault.LONG_ANSWER,
    Fault.PROXY_PAGE,
    Fault.BUSY,
    Fault.BUSY_RETRY,
    Fault.QUOTA,
    Fault.FORK,
    Fault.INVALID,
    Fault.TOO_LARGE,
]


@pytest.mark.parametrize("fault", BEFORE_RECEIPT, ids=lambda fault: fault.name)
def test_without_a_fitting_receipt_the_cursor_stays_and_later_all_is_stored_once(
    box: Box, collector: FakeCollector, fault: Fault
) -> None:
    spooled(box, 1)
    box.connect(collector.url)
    # Twice, for a kept connection that is cut gets one more try of its own.
    collector.faults.extend([fault, fault])
    box.steps(2)
    assert box.spool.cursor == 0
    assert box.uplink.status().state in (State.RETRYING, State.SLOWED, State.HELD)
    assert box.uplink.status().reason
    box.until_idle()
    assert collector.sequences(EPOCH) == [1]
    assert set(collector.stored_times.values()) == {1}
    assert box.uplink.status().state is State.UP
    assert box.states[-1].state is State.UP


def test_a_collector_that_keeps_silent_is_given_up_in_time(box: Box, collector: FakeCollector) -> None:
    spooled(box, 1)
    collector.faults.append(Fault.SILENT)
    box.connect(collector.url, timeout_s=0.3)
    box.steps(2)
    assert "no answer in time" in box.uplink.status().reason
    box.until_idle()
    assert collector.sequences(EPOCH) == [1]


@pytest.mark.parametrize("fault", [Fault.QUOTA, Fault.BUSY_RETRY])
def test_retry_after_is_honoured(box: Box, collector: FakeCollector, fault: Fault) -> None:
    spooled(box, 1)
    collector.faults.append(fault)
    box.connect(collector.url)
    box.until_idle()
    assert 7 in box.waits
    assert collector.sequences(EPOCH) == [1]


def test_slow_down_is_honoured(box: Box, collector: FakeCollector) -> None:
    spooled(box, 2)
    collector.faults.append(Fault.SLOW_DOWN)
    box.connect(collector.url, batch_events=1)
    box.until_idle()
    assert box.waits[0] == 3.0


def test_a_fork_is_named_with_what_to_do_and_asked_again_only_after_minutes(box: Box, collector: FakeCollector) -> None:
    spooled(box, 1)
    collector.faults.extend([Fault.FORK] * 3)
    box.connect(collector.url)
    started = box.clock.monotonic_s()
    box.until_idle()
    assert len(collector.batches) == 4
    assert box.clock.monotonic_s() - started >= 3 * 150
    assert len(collector.heartbeats) > 5, "heartbeats went on meanwhile"
    held = next(status for status in box.states if status.state is State.HELD)
    assert "two boxes share one key" in held.reason
    assert "new key" in held.advice


def test_losses_are_told_with_the_next_events_until_a_receipt_came(
    box: Box, collector: FakeCollector, tmp_path: Path
) -> None:
    box.spool.close()
    box.open_spool(max_bytes=8192)
    for _ in range(40):
        spooled(box, 1)
    lost = box.spool.losses
    assert [loss.reason for loss in lost] == ["spool-full"]
    collector.faults.append(Fault.CUT_AFTER_STORE)
    box.connect(collector.url, batch_events=2)
    box.until_idle()
    told = [header.losses for header in collector.batches]
    expected = (Loss(1, lost[0].last_seq, "spool-full"),)
    assert told[:2] == [expected, expected]
    assert not any(told[2:])
    assert box.spool.losses == []
    assert collector.sequences(EPOCH) == list(range(lost[0].last_seq + 1, 41))


def test_the_next_address_is_tried_when_one_fails(
    box: Box, collector: FakeCollector, authority: Authority, tmp_path: Path
) -> None:
    spooled(box, 1)
    box.connect("https://127.0.0.1:1", collector.url)
    box.until_idle()
    assert box.waits == []
    assert box.uplink.status().url == collector.url
    with FakeCollector(authority, authority.server(tmp_path)) as second:
        spooled(box, 1)
        box.connect(collector.url, second.url)
        collector.faults.append(Fault.BUSY)
        box.until_idle()
        assert second.sequences(EPOCH) == [2]


def test_the_way_through_a_proxy_with_a_password(box: Box, collector: FakeCollector) -> None:
    spooled(box, 1)
    with FakeProxy(authorization="Basic dTpw") as proxy:
        box.connect(collector.url, proxy=Proxy("127.0.0.1", proxy.port, "u", "p"))
        box.until_idle()
        box.uplink.drain(0)
        assert len(proxy.asked) == 1
    assert collector.sequences(EPOCH) == [1]


def test_a_proxy_that_wants_a_password_is_named(box: Box, collector: FakeCollector) -> None:
    spooled(box, 1)
    with FakeProxy(authorization="Basic dTpw") as proxy:
        box.connect(collector.url, proxy=Proxy("127.0.0.1", proxy.port))
        box.steps(1)
    assert "wants a user and password" in box.uplink.status().reason


def test_a_collector_of_another_ca_gets_nothing(box: Box, tmp_path: Path) -> None:
    spooled(box, 1)
    other = Authority("Other")
    with FakeCollector(other, other.server(tmp_path)) as wrong:
        box.connect(wrong.url)
        box.steps(8)
        assert "not from the pinned CA" in box.uplink.status().reason
        assert not wrong.store
        assert not wrong.heartbeats
    assert box.spool.cursor == 0


def test_an_expired_certificate_is_told_before_anything_is_sent_and_a_new_one_is_used_at_once(
    box: Box, collector: FakeCollector, authority: Authority
) -> None:
    spooled(box, 1)
    key = SoftKey.load(box.identity_folder.key_path)
    good = box.identity_folder.certificate_path.read_bytes()
    box.identity_folder.certificate_path.write_bytes(pem(authority.sensor(key.public_key, days=(-30, -1))))
    box.connect(collector.url)
    box.steps(2)
    status = box.uplink.status()
    assert status.state is State.HELD
    assert "our certificate expired" in status.reason
    assert "new token" in status.advice
    assert collector.connections == 0
    box.identity_folder.certificate_path.write_bytes(good)
    box.until_idle()
    assert collector.sequences(EPOCH) == [1]


def test_a_renewed_identity_is_shown_on_a_new_connection_and_nothing_is_lost(
    box: Box, collector: FakeCollector
) -> None:
    box.connect(collector.url)
    box.spool.append([(1, render)])
    box.until_idle()
    assert collector.connections == 1
    box.uplink.introduce_anew()
    box.spool.append([(1, render)])
    box.until_idle()
    assert collector.connections == 2
    assert collector.sequences(EPOCH) == [1, 2]


def test_a_sensor_that_is_not_enrolled_waits_and_says_so(box: Box, collector: FakeCollector) -> None:
    box.identity_folder.certificate_path.unlink()
    box.connect(collector.url)
    box.steps(1)
    assert box.uplink.status().state is State.HELD
    assert box.uplink.status().advice == "enroll first: vedette enroll"


def test_a_server_that_rejects_our_certificate_in_tls_is_named(
    box: Box, authority: Authority, collector: FakeCollector
) -> None:
    """Our own clock may be wrong in the other direction: then only the server says it."""
    key = SoftKey.load(box.identity_folder.key_path)
    stranger = Authority("Stranger")
    box.identity_folder.certificate_path.write_bytes(pem(stranger.sensor(key.public_key), stranger.issuing))
    box.connect(collector.url)
    box.steps(1)
    assert "the server refused our certificate" in box.uplink.status().reason


def test_a_connection_without_our_certificate_is_named_and_not_kept(
    box: Box, authority: Authority, tmp_path: Path
) -> None:
    """What OpenSSL makes of a TPM that is gone: it goes on without the certificate and tells nobody."""
    context = authority.server(tmp_path)
    context.verify_mode = ssl.CERT_NONE
    with FakeCollector(authority, context) as collector:
        spooled(box, 1)
        box.connect(collector.url)
        box.steps(8)
        assert "without our certificate" in box.uplink.status().reason
        assert "TPM" in box.uplink.status().advice
        assert collector.connections > 1
        assert not collector.store
    assert box.spool.cursor == 0


def test_the_clock_skew_is_measured_against_the_collectors_clock(box: Box, collector: FakeCollector) -> None:
    collector.clock_ns = box.clock.wall_ns() - 90_000_000_000
    box.connect(collector.url)
    box.steps(1)
    assert box.uplink.status().clock_skew_ms == 90_000
    box.clock.advance(61)
    box.steps(1)
    assert collector.heartbeats[1].clock_skew_ms == 90_000


def test_a_heartbeat_refused_leaves_the_batches_alone(box: Box, collector: FakeCollector) -> None:
    collector.heartbeat_refusals.append(refusal(SessionCode.HEARTBEAT_INVALID))
    spooled(box, 1)
    box.connect(collector.url)
    box.until_idle()
    assert collector.sequences(EPOCH) == [1]


def test_a_heartbeat_that_cannot_be_made_leaves_the_batches_alone(box: Box, collector: FakeCollector) -> None:
    box.version = "v" * 65
    spooled(box, 1)
    box.connect(collector.url)
    box.until_idle()
    assert box.waits == []
    assert collector.sequences(EPOCH) == [1]
    assert collector.heartbeats == []


def test_a_document_that_cannot_be_made_is_held_and_named(box: Box, collector: FakeCollector) -> None:
    def unmade(fragments: object) -> bytes:
        return encode_message_from_fragments(SENSOR, [])

    spooled(box, 1)
    box.connect(collector.url, document=unmade)
    box.steps(2)
    assert box.uplink.status().state is State.HELD
    assert "at least one event" in box.uplink.status().reason
    assert box.spool.cursor == 0


def test_drain_sends_what_is_there_and_gives_up_when_nobody_answers(box: Box, collector: FakeCollector) -> None:
    spooled(box, 30)
    box.connect(collector.url, batch_events=4)
    assert box.uplink.drain(box.clock.monotonic_s() + 5)
    assert len(collector.sequences(EPOCH)) == 30
    spooled(box, 1)
    box.connect("https://127.0.0.1:1")
    assert not box.uplink.drain(box.clock.monotonic_s() + 5)


def test_the_thread_delivers_and_ends_when_it_is_told(box: Box, collector: FakeCollector) -> None:
    stop, delivered = threading.Event(), threading.Event()
    uplink = box.connect(collector.url)
    spooled(box, 5)
    beats: list[int] = []

    def beat() -> None:
        beats.append(1)
        if box.spool.cursor == 5:
            delivered.set()

    thread = threading.Thread(target=uplink.run, args=(stop,), kwargs={"beat": beat})
    thread.start()
    assert delivered.wait(30)
    stop.set()
    thread.join(30)
    assert not thread.is_alive()
    assert collector.sequences(EPOCH) == [1, 2, 3, 4, 5]


def test_an_exchange_without_an_answer_is_broken_off_when_the_daemon_ends(box: Box, collector: FakeCollector) -> None:
    """A collector that keeps silent must not hold up the end for its whole timeout."""
    collector.faults.append(Fault.SILENT)
    spooled(box, 1)
    stop = threading.Event()
    uplink = box.connect(collector.url, timeout_s=600)
    thread = threading.Thread(target=uplink.run, args=(stop,))
    thread.start()
    assert collector.silent.wait(30)
    stop.set()
    uplink.interrupt()
    thread.join(30)
    assert not thread.is_alive()
    assert box.spool.cursor == 0


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    script=st.lists(
        st.one_of(st.none(), st.sampled_from([fault for fault in Fault if fault is not Fault.SILENT])), max_size=12
    ),
    groups=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    batch_events=st.integers(1, 6),
    restart_after=st.integers(0, 12),
)
def test_whatever_faults_each_event_is_stored_once_and_the_cursor_moves_on_receipts_only(
    authority: Authority,
    tmp_path_factory: pytest.TempPathFactory,
    script: list[Fault | None],
    groups: list[int],
    batch_events: int,
    restart_after: int,
) -> None:
    folder = tmp_path_factory.mktemp("property")
    with FakeCollector(authority, authority.server(folder)) as collector:
        box = Box(folder / "box", authority)
        collector.faults.extend(fault if fault is not None else Fault.SLOW_DOWN for fault in script)
        for count in groups:
            spooled(box, count)
        box.connect(collector.url, batch_events=batch_events)
        for step in range(2000):
            if step == restart_after:
                box.close()
                box.open_spool()
                box.connect(collector.url, batch_events=batch_events)
            before = box.spool.cursor
            box.steps(1)
            assert box.spool.cursor >= before
            assert set(range(1, box.spool.cursor + 1)) <= set(collector.sequences(EPOCH)), "moved ahead of the store"
            if step > restart_after and box.spool.cursor == sum(groups):
                break
        assert collector.sequences(EPOCH) == list(range(1, sum(groups) + 1))
        assert set(collector.stored_times.values()) == {1}
        box.close()
