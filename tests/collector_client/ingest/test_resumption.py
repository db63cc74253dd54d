"""A resumed TLS session skips the check of the certificate, so every request looks its key up, and tickets end soon."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from appliance.identity import SoftKey
from appliance.identity.tls import enrollment_context
from appliance.wire import session
from collector_client.ingest.tickets import TICKETS_S, TicketContexts
from collector_client.store import Control, sensors
from tests.collector_client.harness import DAY_NS, Collector, production
from tests.fakes.handshake import shake_hands
from tests.fakes.pki import Authority, pem
from tests.fakes.sensor import Answer, FakeSensor

HOUR_NS = 3600 * 10**9


class Said(NamedTuple):
    """An answer, and whether its connection was resumed."""

    resumed: bool
    status: int
    code: str


class Resumer:
    """A sensor that takes a new connection for each request, and resumes the last one's session."""

    def __init__(self, sensor: FakeSensor) -> None:
        self._sensor = sensor
        self._context = sensor.context()
        self.session: ssl.SSLSession | None = None

    def ask(self, method: str = "GET", path: str = session.CONFIG_PATH, body: bytes | None = None) -> Said:
        plain = socket.create_connection((self._sensor.host, self._sensor.port), 30)
        with self._context.wrap_socket(plain, server_hostname=self._sensor.host, session=self.session) as sock:
            connection = http.client.HTTPConnection(self._sensor.host)
            connection.sock = sock
            connection.request(method, path, body)
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
            self.session = sock.session
            return Said(bool(sock.session_reused), answer.status, "" if answer.status == 200 else answer.code)

    def warmed(self) -> Resumer:
        """It has resumed once."""
        assert self.ask() == (False, 200, "")
        assert self.ask() == (True, 200, "")
        return self


@pytest.fixture
def one_hour(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the wall clock is turned: the hour of the tickets does not end."""
    monkeypatch.setattr(collector.clock, "monotonic_s", time.monotonic)


def revoked(collector: Collector, sensor: FakeSensor) -> None:
    _record(collector, sensors.revoke, sensor)


def quarantined(collector: Collector, sensor: FakeSensor) -> None:
    _record(collector, sensors.quarantine, sensor)


def _record(collector: Collector, change: Callable[..., object], sensor: FakeSensor) -> None:
    control = Control.open(collector.directory)
    with control.transaction() as connection:
        change(connection, sensor.sensor_id, "because", collector.clock.wall_ns())
    control.close()


def superseded(collector: Collector, sensor: FakeSensor) -> None:
    assert sensor.renew_key().status == 200
    assert sensor.request("GET", session.CONFIG_PATH).status == 200
    collector.clock.ahead_ns = 2 * HOUR_NS


def expired(collector: Collector, _: FakeSensor) -> None:
    collector.clock.ahead_ns = 31 * DAY_NS


REFUSED = {
    "SENSOR_REVOKED": revoked,
    "SENSOR_QUARANTINED": quarantined,
    "KEY_SUPERSEDED": superseded,
    "CERTIFICATE_EXPIRED": expired,
}


@pytest.mark.usefixtures("one_hour")
@pytest.mark.parametrize("code", REFUSED)
def test_attack_a_session_resumed_after_its_key_lost_its_right_is_refused_at_the_first_request(
    collector: Collector, code: str
) -> None:
    sensor = collector.sensor()
    resumer = Resumer(sensor).warmed()
    REFUSED[code](collector, sensor)
    assert resumer.ask("POST", session.BATCHES_PATH, b"") == (True, 403, code)


def test_a_resumed_session_is_the_sensor_that_it_was(collector: Collector) -> None:
    """The certificate comes with the session: two sensors in turn stay two."""
    one, two = Resumer(collector.sensor()).warmed(), Resumer(collector.sensor()).warmed()
    revoked(collector, one._sensor)
    assert two.ask() == (True, 200, "")
    assert one.ask() == (True, 403, "SENSOR_REVOKED")


def test_production_refuses_a_key_in_software_over_a_resumed_session(tmp_path: Path) -> None:
    made = Collector(tmp_path / "collector").start()
    sensor = made.sensor()
    made.stop()
    strict = Collector(tmp_path / "collector", production).start()
    try:
        sensor.port = int(strict.address.rpartition(":")[2])
        resumer = Resumer(sensor)
        assert [resumer.ask() for _ in range(2)] == [(False, 403, "KEY_IN_SOFTWARE"), (True, 403, "KEY_IN_SOFTWARE")]
    finally:
        strict.stop()


def test_attack_a_session_without_a_certificate_gets_none_by_resumption(collector: Collector) -> None:
    box = collector.box()
    box.learn_ca()
    resumer = Resumer(box)
    assert resumer.ask() == (False, 401, "CERTIFICATE_MISSING")
    assert resumer.ask() == (True, 401, "CERTIFICATE_MISSING")


def test_a_ticket_of_before_a_restart_is_worthless_and_costs_one_full_handshake(collector: Collector) -> None:
    sensor = collector.sensor()
    resumer = Resumer(sensor).warmed()
    sensor.disconnect()
    collector.stop()
    collector.start()
    sensor.port = int(collector.address.rpartition(":")[2])
    assert resumer.ask() == (False, 200, "")
    assert resumer.ask() == (True, 200, "")


def test_a_chain_of_resumptions_ends_with_its_hour(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    renewed, renew = threading.Event(), TicketContexts.renew

    def telling(contexts: TicketContexts) -> None:
        renew(contexts)
        renewed.set()

    monkeypatch.setattr(TicketContexts, "renew", telling)
    resumer = Resumer(collector.sensor()).warmed()
    assert not renewed.is_set()
    collector.clock.ahead_ns = int(TICKETS_S) * 10**9
    assert renewed.wait(60)
    assert resumer.ask() == (False, 200, "")
    assert resumer.ask() == (True, 200, "")


def test_attack_a_ticket_does_not_carry_a_client_over_a_change_of_trust(tmp_path: Path) -> None:
    ours, other = Authority(), Authority("Other")
    folder = tmp_path / "other"
    folder.mkdir()
    trusting = [ours.server(tmp_path), other.server(folder)]
    for context in trusting:
        # One server's certificate for both, so that only the trust in clients differs.
        context.load_cert_chain(next(tmp_path.glob("server-*.pem")))
    contexts = TicketContexts(lambda: trusting[0])
    client = _client_of(ours, tmp_path)
    first = shake_hands(client, contexts.in_use)
    assert first.server.getpeercert(binary_form=True)
    second = shake_hands(client, contexts.in_use, first.client.session)
    assert second.client.session_reused
    assert second.server.getpeercert(binary_form=True) == first.server.getpeercert(binary_form=True)
    trusting.reverse()
    contexts.renew()
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(client, contexts.in_use, second.client.session)


def _client_of(authority: Authority, folder: Path) -> ssl.SSLContext:
    key = SoftKey.load_or_create(folder / "client.key")
    (folder / "client.pem").write_bytes(pem(authority.sensor(key.public_key), authority.issuing))
    context = enrollment_context(pem(authority.root))
    key.load_into(context, folder / "client.pem")
    return context
