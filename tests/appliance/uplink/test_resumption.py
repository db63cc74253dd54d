"""A reconnect resumes the TLS session of before; whatever is doubtful about it leads to a full handshake, no fault."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import pytest

from appliance.identity import (
    AnswerInvalidError,
    CollectorUrl,
    ConnectionLostError,
    HttpsConnection,
    Resumption,
    SoftKey,
)
from appliance.uplink import State
from appliance.wire.codes import SessionCode
from tests.appliance.uplink.box import EPOCH, Box, render
from tests.fakes.collector import FakeCollector, Fault, refusal
from tests.fakes.pki import Authority, pem


def deliver(box: Box) -> None:
    """One more event, which must arrive."""
    box.spool.append([(1, render)])
    box.until_idle()


def cut(box: Box, collector: FakeCollector) -> None:
    """The kept connection ends in the middle of a batch, which must arrive over the next one."""
    collector.faults.append(Fault.CUT_BEFORE_STORE)
    deliver(box)


def renew(box: Box, authority: Authority) -> None:
    """A later certificate for the same key."""
    key = SoftKey.load(box.identity_folder.key_path).public_key
    box.identity_folder.certificate_path.write_bytes(pem(authority.sensor(key), authority.issuing))


def test_reconnects_resume_and_nothing_is_lost(box: Box, collector: FakeCollector) -> None:
    box.connect(collector.url)
    deliver(box)
    for _ in range(3):
        cut(box, collector)
    assert (collector.connections, collector.resumed) == (4, 3)
    assert collector.sequences(EPOCH) == [1, 2, 3, 4]


def test_a_session_is_used_for_one_connection_only(box: Box, collector: FakeCollector) -> None:
    """Two cuts before any answer: there is no session from the second connection, so the third one is full."""
    box.connect(collector.url)
    deliver(box)
    collector.faults.append(Fault.CUT_BEFORE_STORE)
    cut(box, collector)
    assert (collector.connections, collector.resumed) == (3, 1)


def test_a_new_certificate_is_shown_in_a_full_handshake_even_for_the_same_key(
    box: Box, collector: FakeCollector, authority: Authority
) -> None:
    box.connect(collector.url)
    deliver(box)
    renew(box, authority)
    cut(box, collector)
    # The cut was met by the same connection's second try; a new identity is for the next one.
    assert (collector.connections, collector.resumed) == (2, 1)
    box.uplink.introduce_anew()
    deliver(box)
    assert (collector.connections, collector.resumed) == (3, 1)


def test_a_session_that_was_refused_is_not_resumed(box: Box, collector: FakeCollector) -> None:
    box.connect(collector.url)
    deliver(box)
    collector.heartbeat_refusals.append(refusal(SessionCode.SENSOR_UNKNOWN))
    while collector.heartbeat_refusals:
        box.steps(1)
    cut(box, collector)
    assert (collector.connections, collector.resumed) == (2, 0)


def test_after_a_connection_without_our_certificate_the_next_one_has_it(
    box: Box, authority: Authority, tmp_path: Path
) -> None:
    """A TPM that was away for a moment: the session of that moment would leave us without a name until it ends."""
    context = authority.server(tmp_path)
    context.verify_mode = ssl.CERT_NONE
    with FakeCollector(authority, context) as collector:
        box.connect(collector.url)
        box.steps(4)
        assert "without our certificate" in box.uplink.status().reason
        context.verify_mode = ssl.CERT_OPTIONAL
        deliver(box)
        assert collector.resumed == 0
        assert box.uplink.status().state is State.UP


def test_a_collector_that_knows_the_session_no_more_gets_a_full_handshake(
    box: Box, authority: Authority, tmp_path: Path
) -> None:
    """Restarted under the same address: its ticket keys are new."""
    with FakeCollector(authority, authority.server(tmp_path)) as first:
        port = first.port
        box.connect(first.url)
        deliver(box)
    # The connection that is still open from before ends as well.
    first.faults.append(Fault.CUT_BEFORE_STORE)
    with FakeCollector(authority, authority.server(tmp_path), port=port) as second:
        deliver(box)
        assert (second.connections, second.resumed) == (1, 0)
        cut(box, second)
        assert (second.connections, second.resumed) == (2, 1)


def test_a_session_is_offered_to_the_collector_it_is_from_and_to_no_other(
    box: Box, collector: FakeCollector, authority: Authority, tmp_path: Path
) -> None:
    with FakeCollector(authority, authority.server(tmp_path)) as other:
        box.connect(collector.url, other.url)
        deliver(box)
        # Both tries at the first address fail, so the second one is next; then the same back again.
        collector.faults.extend([Fault.CUT_BEFORE_STORE] * 2)
        deliver(box)
        assert (other.connections, other.resumed) == (1, 0)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", ConnectionLostError),
        (b"HTTP/1.1 200 OK\r\n", AnswerInvalidError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", ConnectionLostError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", ConnectionLostError),
        (b"HTTP/1.1 200 OK\r\n\r\nabc", AnswerInvalidError),
    ],
)
def test_attack_an_answer_cut_short_is_never_taken_for_a_whole_one(
    box: Box, authority: Authority, tmp_path: Path, answer: bytes, error: type[Exception]
) -> None:
    """TLS does not tell cuts from ends on a connection that may be resumed, so HTTP must."""
    context, resumption = authority.server(tmp_path), Resumption()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            plain, _ = listener.accept()
            sock = context.wrap_socket(plain, server_side=True)
            sock.recv(65536)
            sock.sendall(answer)
            # The connection ends without a word of TLS.
            sock.shutdown(socket.SHUT_RDWR)
            sock.close()

        thread = threading.Thread(target=serve)
        thread.start()
        url = CollectorUrl("127.0.0.1", listener.getsockname()[1])
        client = HttpsConnection(
            url, context=resumption.context(box.identity()), timeout_s=10, resumption=resumption
        )  # fmt: skip
        with pytest.raises(error):
            client.request("GET", "/", headers={}, body=b"", max_answer_bytes=100)
        thread.join()


def test_sessions_are_not_on_disk(box: Box, collector: FakeCollector) -> None:
    before = set((box.folder / "identity").rglob("*"))
    box.connect(collector.url)
    deliver(box)
    cut(box, collector)
    assert collector.resumed == 1
    assert set((box.folder / "identity").rglob("*")) == before
