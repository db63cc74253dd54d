"""Tokens enroll one key once; the same key may ask again; everything else is told apart and leaves no trace."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from appliance.wire.enrollment import SIMPLEENROLL_PATH, EnrollmentToken
from collector_client.config import Config
from collector_client.store import Control, audit, sensors
from tests.collector_client.harness import DAY_NS, Collector
from tests.fakes.sensor import event


def test_a_token_and_a_key_become_a_sensor(collector: Collector) -> None:
    box = collector.box()
    assert box.learn_ca() == collector.pin
    assert box.enroll(collector.token("acme", "north")).status == 200
    certificate = x509.load_der_x509_certificate(box.certificate or b"")
    assert certificate.public_key() == box.key.public_key()
    query = (
        "SELECT sensor_id, assurance, tenants.name, sites.name, certificate FROM sensors"
        " JOIN sites USING (site_id) JOIN tenants USING (tenant_id)"
    )
    assert collector.control(query) == [(box.sensor_id, "software", "acme", "north", box.certificate)]
    assert collector.control("SELECT used_by FROM tokens") == [(box.sensor_id,)]
    actions = [action for (action,) in collector.control("SELECT action FROM audit ORDER BY audit_id")]
    assert actions == ["token new", "enroll"]


def test_the_same_key_that_lost_the_answer_gets_the_same_certificate_even_after_the_token_ended(
    collector: Collector,
) -> None:
    box, token = collector.box(), collector.token(life_s=60)
    box.enroll(token)
    first = box.certificate
    collector.clock.ahead_ns = 3600 * 10**9
    assert box.enroll(token).status == 200
    assert box.certificate == first
    assert collector.control("SELECT COUNT(*) FROM sensors") == [(1,)]
    assert box.send([event(1)]).status == 200


def test_unknown_used_and_expired_tokens_are_told_apart(collector: Collector) -> None:
    used, old = collector.token(), collector.token(life_s=60)
    collector.box().enroll(used)
    collector.clock.ahead_ns = 3600 * 10**9
    unknown = EnrollmentToken("t-" + "a" * 12, "x" * 43)
    wrong_secret = replace(EnrollmentToken.parse(used), secret="x" * 43)
    for token, code in (
        (used, "TOKEN_USED"),
        (old, "TOKEN_EXPIRED"),
        (unknown, "TOKEN_UNKNOWN"),
        (wrong_secret, "TOKEN_UNKNOWN"),
    ):
        answer = collector.box().enroll(str(token))
        assert (answer.status, answer.code) == (401, code)
        assert answer.headers["WWW-Authenticate"].startswith("Basic")
        assert "vedette-collector token new" in answer.refusal.do
    assert collector.control("SELECT COUNT(*) FROM sensors") == [(1,)]


def test_two_keys_that_race_for_one_token_do_not_both_win(collector: Collector) -> None:
    token = collector.token()
    answers = [collector.box().enroll(token).status for _ in range(3)]
    assert sorted(answers) == [200, 401, 401]


def test_a_revoked_key_does_not_come_back_with_a_new_token(collector: Collector) -> None:
    sensor = collector.sensor()
    control = Control.open(collector.directory)
    with control.transaction() as connection:
        sensors.revoke(connection, sensor.sensor_id, "stolen", collector.clock.wall_ns())
    control.close()
    assert sensor.enroll(collector.token()).code == "SENSOR_REVOKED"
    assert collector.control("SELECT COUNT(*) FROM tokens WHERE used_ns IS NULL") == [(1,)]


def test_a_known_key_gets_a_new_certificate_with_a_new_token_of_its_site(collector: Collector) -> None:
    sensor = collector.sensor(tenant="acme", site="north")
    first = sensor.certificate
    collector.clock.ahead_ns = 20 * DAY_NS
    assert sensor.enroll(collector.token("acme", "north")).status == 200
    assert sensor.certificate != first
    assert collector.control("SELECT certificate FROM sensors") == [(sensor.certificate,)]
    actions = [action for (action,) in collector.control("SELECT action FROM audit ORDER BY audit_id")]
    assert actions[-1] == "reenroll"


@pytest.mark.parametrize(("tenant", "site"), [("umbrella", "north"), ("acme", "south")])
def test_a_known_key_is_not_carried_to_another_site(collector: Collector, tenant: str, site: str) -> None:
    sensor = collector.sensor(tenant="acme", site="north")
    assert sensor.enroll(collector.token(tenant, site)).code == "SENSOR_ELSEWHERE"


def test_a_request_that_proves_no_p256_key_costs_no_token(collector: Collector) -> None:
    token = collector.token()
    box = collector.box()
    for csr in (b"", b"rubbish", box.csr(ec.generate_private_key(ec.SECP384R1()))):
        answer = box.enroll(token, csr or b" ")
        assert (answer.status, answer.code) == (400, "REQUEST_INVALID")
    assert box.enroll(token, b"A" * 20_000).code == "BODY_TOO_LARGE"
    assert box.enroll(token).status == 200


def test_without_a_token_or_with_another_scheme_nothing_is_signed(collector: Collector) -> None:
    box = collector.box()
    box.learn_ca()
    assert box.request("POST", SIMPLEENROLL_PATH, box.csr()).code == "TOKEN_MISSING"
    answer = box.request("POST", SIMPLEENROLL_PATH, box.csr(), {"Authorization": "Bearer x"})
    assert (answer.status, answer.code) == (401, "TOKEN_UNKNOWN")


def test_a_certificate_is_renewed_over_mutual_tls(collector: Collector) -> None:
    collector.clock.ahead_ns = -20 * DAY_NS
    sensor = collector.sensor()
    (first,) = collector.control("SELECT cert_not_after_ns FROM sensors")[0]
    collector.clock.ahead_ns = 0
    assert sensor.renew().status == 200
    ((later, kept),) = collector.control("SELECT cert_not_after_ns, certificate FROM sensors")
    assert kept == sensor.certificate
    assert 0 <= later - first - 20 * DAY_NS <= 60 * 10**9
    assert sensor.send([event(1)]).status == 200
    actions = [action for (action,) in collector.control("SELECT action FROM audit ORDER BY audit_id")]
    assert actions == ["token new", "enroll", "renew"]


def test_nothing_is_renewed_without_a_certificate(collector: Collector) -> None:
    box = collector.box()
    box.learn_ca()
    assert box.renew().code == "CERTIFICATE_MISSING"


def test_an_address_that_tries_too_often_is_slowed_down(tmp_path: Path) -> None:
    def few(config: Config) -> Config:
        return replace(config, quota=replace(config.quota, enrollments_per_minute=3))

    collector = Collector(tmp_path / "collector", few).start()
    try:
        box = collector.box()
        wrong = str(EnrollmentToken("t-" + "a" * 12, "x" * 43))
        codes = [box.enroll(wrong).code for _ in range(4)]
        assert codes == ["TOKEN_UNKNOWN"] * 3 + ["ENROLLMENT_RATE"]
    finally:
        collector.stop()


def test_the_audit_chain_holds_and_names_no_secret(collector: Collector) -> None:
    token = collector.token()
    collector.box().enroll(token)
    control = Control.open(collector.directory)
    with control.reading() as connection:
        assert audit.verify(connection) is None
    control.close()
    rows = str(collector.control("SELECT * FROM audit"))
    assert EnrollmentToken.parse(token).secret not in rows
    assert EnrollmentToken.parse(token).secret.encode() not in (collector.directory / "control.db").read_bytes()
