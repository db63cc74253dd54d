"""Identity: who has no certificate, a foreign, an old or a revoked one is refused, on every request."""

from __future__ import annotations

import http.client
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from appliance.wire import session
from collector_client.pki import PKI_NAME, Authority, KeyPlaces, profile, rollover
from collector_client.store import Control, sensors
from tests.collector_client.harness import DAY_NS, Collector, production
from tests.fakes.sensor import FakeSensor, event

TLS_REFUSALS = (ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)
V1 = [("POST", session.BATCHES_PATH), ("POST", session.HEARTBEAT_PATH), ("GET", session.CONFIG_PATH)]


@pytest.mark.parametrize(("method", "path"), V1)
def test_without_a_certificate_nothing_below_v1_is_reached(collector: Collector, method: str, path: str) -> None:
    box = collector.box()
    box.learn_ca()
    answer = box.request(method, path, b"{}")
    assert (answer.status, answer.code) == (401, "CERTIFICATE_MISSING")


def test_a_certificate_of_another_authority_does_not_pass_tls(collector: Collector, tmp_path: Path) -> None:
    sensor = collector.sensor()
    other = Authority.create(tmp_path / "other", ["localhost"], collector.clock.wall_ns())
    sensor.disconnect()
    sensor.certificate = other.issue_sensor(sensor.key.public_key(), collector.clock.wall_ns(), 30).der
    with pytest.raises(TLS_REFUSALS):
        sensor.send([event(1)])
    assert not list(collector.directory.glob("alerts-*.db"))


def test_an_expired_certificate_does_not_pass_tls(collector: Collector) -> None:
    sensor = collector.sensor()
    sensor.disconnect()
    then_ns = collector.clock.wall_ns() - 40 * DAY_NS
    sensor.certificate = collector.authority.issue_sensor(sensor.key.public_key(), then_ns, 30).der
    with pytest.raises(TLS_REFUSALS):
        sensor.send([event(1)])


def test_a_certificate_that_expires_on_an_open_connection_is_refused(collector: Collector) -> None:
    sensor = collector.sensor()
    assert sensor.send([event(1)]).status == 200
    collector.clock.ahead_ns = 31 * DAY_NS
    assert sensor.send([event(2)]).code == "CERTIFICATE_EXPIRED"


def test_a_sensor_revoked_on_an_open_connection_is_refused_at_its_next_request(collector: Collector) -> None:
    sensor = collector.sensor()
    assert sensor.send([event(1)]).status == 200
    control = Control.open(collector.directory)
    with control.transaction() as connection:
        sensors.revoke(connection, sensor.sensor_id, "stolen", collector.clock.wall_ns())
    control.close()
    for answer in (sensor.send([event(2)]), sensor.heartbeat({}), sensor.request("GET", session.CONFIG_PATH)):
        assert (answer.status, answer.code) == (403, "SENSOR_REVOKED")
    assert collector.numbers(sensor) == [1]


def test_a_certificate_of_ours_without_a_record_is_unknown(collector: Collector) -> None:
    box = collector.box()
    box.learn_ca()
    box.certificate = collector.authority.issue_sensor(box.key.public_key(), collector.clock.wall_ns(), 30).der
    answer = box.send([event(1)])
    assert (answer.status, answer.code) == (403, "SENSOR_UNKNOWN")


def test_the_servers_own_certificate_is_no_sensor(collector: Collector) -> None:
    box = collector.box()
    box.learn_ca()
    files = (collector.directory / "pki" / "server.pem").read_bytes()
    key = load_pem_private_key(files, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    box.key = key
    box.certificate = x509.load_pem_x509_certificates(files)[0].public_bytes(Encoding.DER)
    with pytest.raises(TLS_REFUSALS):
        box.send([event(1)])


def test_a_certificate_in_another_sensors_name_is_foreign(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim, box = collector.sensor(), collector.box()
    box.learn_ca()
    # What a careless authority would sign: the victim's name over the thief's key.
    monkeypatch.setattr(profile, "sensor_id", lambda _: victim.sensor_id)
    box.certificate = collector.authority.issue_sensor(box.key.public_key(), collector.clock.wall_ns(), 30).der
    monkeypatch.undo()
    answer = box.send([event(1)])
    assert (answer.status, answer.code) == (403, "CERTIFICATE_FOREIGN")


def test_an_old_tls_is_refused(collector: Collector) -> None:
    box = collector.box()
    box.learn_ca()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=box.ca_pem.decode())
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(TLS_REFUSALS):
        box.request("GET", session.CONFIG_PATH, context=context)


def test_a_client_that_trusts_another_authority_finds_out(collector: Collector, tmp_path: Path) -> None:
    box = collector.box()
    box.ca_pem = Authority.create(tmp_path / "other", ["localhost"], collector.clock.wall_ns()).ca_pem()
    with pytest.raises(ssl.SSLCertVerificationError):
        box.request("GET", session.CONFIG_PATH)


def test_production_refuses_keys_in_software_everywhere(tmp_path: Path) -> None:
    trial = Collector(tmp_path / "collector").start()
    sensor = trial.sensor()
    trial.stop()
    strict = Collector(tmp_path / "collector", production).start()
    try:
        again = FakeSensor(strict.address, sensor.key)
        again.ca_pem, again.certificate = sensor.ca_pem, sensor.certificate
        assert again.send([event(1)]).code == "KEY_IN_SOFTWARE"
        assert again.renew().code == "KEY_IN_SOFTWARE"
        again.disconnect()
        newcomer = strict.box()
        assert newcomer.enroll(strict.token()).code == "KEY_IN_SOFTWARE"
        assert strict.control("SELECT COUNT(*) FROM tokens WHERE used_ns IS NOT NULL") == [(1,)]
        told = strict.control(
            "SELECT action, detail FROM audit WHERE detail LIKE '%KEY_IN_SOFTWARE%' ORDER BY audit_id"
        )
        assert [action for action, _ in told] == ["renew refused", "refuse enrollment"]
    finally:
        strict.stop()


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "PATH"),
        ("GET", "/v1/batches/", 404, "PATH"),
        ("GET", "/v1/../v1/config", 404, "PATH"),
        ("GET", session.BATCHES_PATH, 405, "METHOD"),
        ("DELETE", session.CONFIG_PATH, 405, "METHOD"),
        ("POST", "/.well-known/est/fullcmc", 404, "PATH"),
        ("GET", "/.well-known/est/simpleenroll", 405, "METHOD"),
    ],
)
def test_all_else_is_404_or_405(collector: Collector, method: str, path: str, status: int, code: str) -> None:
    answer = collector.sensor().request(method, path)
    assert (answer.status, answer.code) == (status, code)
    assert answer.headers["Server"] == "vedette"


def test_that_its_ca_is_retired_is_told_only_to_a_sensor_whose_key_is_on_record(collector: Collector) -> None:
    """A box reads more into it: that its next key is known, so that it can let go of the one before."""
    sensor = collector.sensor()
    pki, now_ns = collector.directory / PKI_NAME, collector.clock.wall_ns()
    unknown = ec.generate_private_key(ec.SECP256R1())
    made = collector.authority.issue_sensor(unknown.public_key(), now_ns, 30, name=sensor.sensor_id)
    _, request = rollover.request(pki, "file", "", KeyPlaces())
    rollover.install(pki, [rollover.sign(pki, request, now_ns)], now_ns)
    rollover.retire(pki, "issuing")
    collector.stop()
    collector.start()
    for key, certificate, code in (
        (sensor.key, sensor.certificate, "AUTHORITY_RETIRED"),
        (unknown, made.der, "CERTIFICATE_FOREIGN"),
    ):
        box = collector.box(key)
        box.learn_ca()
        box.sensor_id, box.certificate = sensor.sensor_id, certificate
        assert box.send([event(1)]).code == code
    assert not list(collector.directory.glob("alerts-*.db"))
