"""A sensor named by a key in a secure element: whose word that is, and what the keys that it signs for may do."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from appliance.wire.element import ELEMENT_ENROLL_PATH, ELEMENT_RENEW_PATH, ElementEnrollment
from appliance.wire.enrollment import EnrollmentToken
from collector_client.store import Control
from collector_client.tokens import continuing_token
from tests.attacks.ledger import Ledger
from tests.collector_client.harness import DAY_NS, Collector, production
from tests.fakes.element_sensor import ElementSensor, fresh_key
from tests.fakes.sensor import event, key_id

HOUR_NS = 3600 * 10**9


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    made = Collector(tmp_path / "collector", production).start()
    yield made
    made.stop()


def box(collector: Collector, element: object = None) -> ElementSensor:
    return collector.adopt(ElementSensor(collector.address, element))  # type: ignore[arg-type]


def enrolled(collector: Collector) -> ElementSensor:
    made = box(collector)
    assert made.enroll_element(collector.token(key_sha256=made.digest)).status == 200
    return made


def audited(collector: Collector, action: str) -> list[str]:
    query = "SELECT detail FROM audit WHERE action = ? ORDER BY audit_id"
    return [str(detail) for (detail,) in collector.control(query, action)]


def test_production_takes_a_pinned_element_and_names_the_sensor_by_it_for_a_day(collector: Collector) -> None:
    sensor = enrolled(collector)
    assert sensor.send([event(1)]).status == 200
    certificate = x509.load_der_x509_certificate(sensor.certificate or b"")
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [
        f"urn:vedette:sensor:{sensor.sensor_id}",
        "urn:vedette:assurance:secure-element",
    ]
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert life.total_seconds() == 25 * 3600  # a day, and an hour for slow clocks
    assert collector.control("SELECT assurance FROM sensors") == [("secure-element",)]
    assert collector.alerts("SELECT assurance FROM batches") == [("secure-element",)]
    assert f"key {sensor.sensor_id}, pinned by operator" in audited(collector, "bind element")[0]


def test_the_element_signs_for_a_new_key_each_time_and_the_one_before_ends(collector: Collector) -> None:
    sensor = enrolled(collector)
    first, certificate = sensor.key, sensor.certificate
    assert sensor.send([event(1)]).status == 200
    for number in (2, 3):
        assert sensor.next_key().status == 200
        assert sensor.send([event(number)]).status == 200
    assert collector.numbers(sensor) == [1, 2, 3]
    collector.clock.ahead_ns = 2 * HOUR_NS
    sensor.disconnect()
    sensor.key, sensor.certificate = first, certificate
    assert sensor.send([event(4)]).code == "KEY_SUPERSEDED"


def test_a_box_that_was_off_for_weeks_is_let_in_by_its_element_and_one_off_for_too_long_is_not(
    collector: Collector,
) -> None:
    sensor = enrolled(collector)
    assert sensor.send([event(1)]).status == 200
    collector.clock.ahead_ns = 29 * DAY_NS
    sensor.disconnect()
    assert sensor.send([event(2)]).code == "CERTIFICATE_EXPIRED"
    assert sensor.next_key().status == 200
    collector.clock.ahead_ns = (29 + 32) * DAY_NS
    assert sensor.next_key().code == "RECOVERY_TOO_LATE"


def test_an_answer_that_was_lost_is_given_again(collector: Collector) -> None:
    sensor = box(collector)
    token = collector.token(key_sha256=sensor.digest)
    assert sensor.enroll_element(token).status == 200
    first = sensor.certificate
    assert sensor.enroll_element(token).status == 200
    assert sensor.certificate == first
    fresh = fresh_key()
    asked = sensor.word(fresh)
    assert sensor.next_key(asked).status == 200
    second = sensor.certificate
    assert sensor.next_key(asked).status == 200
    assert sensor.certificate == second != first


def test_a_key_of_an_element_never_speaks_itself(collector: Collector) -> None:
    """Neither its own, before and after it is bound, nor that of another box's element."""
    sensor, other = box(collector), enrolled(collector)
    token = collector.token(key_sha256=sensor.digest)
    assert sensor.enroll_element(token, sensor.word(sensor.element)).code == "KEY_TAKEN"
    assert sensor.enroll_element(token).status == 200
    assert sensor.next_key(sensor.word(sensor.element)).code == "KEY_TAKEN"
    assert sensor.next_key(sensor.word(other.element)).code == "KEY_TAKEN"
    assert sensor.next_key(sensor.word(other.key)).code == "KEY_TAKEN"


def test_the_first_word_of_an_element_is_in_its_own_name(collector: Collector) -> None:
    sensor, other = box(collector), enrolled(collector)
    token = collector.token(key_sha256=sensor.digest)
    assert sensor.enroll_element(token, sensor.word(sensor.key, named=other.sensor_id)).code == "PROOF_INVALID"
    assert sensor.enroll_element(token).status == 200


def test_a_box_that_never_got_its_answer_asks_with_the_same_token_days_later(collector: Collector) -> None:
    sensor = box(collector)
    token = collector.token(key_sha256=sensor.digest)
    assert sensor.enroll_element(token).status == 200
    collector.clock.ahead_ns = 3 * DAY_NS
    assert sensor.enroll_element(token).status == 200
    assert sensor.enroll_element(token, sensor.word(sensor.key, by=fresh_key())).code == "PROOF_INVALID"
    assert box(collector).enroll_element(token).code == "TOKEN_OTHER_KEY"
    assert len(audited(collector, "enroll")) == 1
    collector.clock.ahead_ns = 40 * DAY_NS
    assert sensor.enroll_element(token).code == "RECOVERY_TOO_LATE"


def test_a_key_whose_certificate_ended_unused_is_signed_for_again(collector: Collector) -> None:
    sensor = enrolled(collector)
    fresh = fresh_key()
    assert sensor.next_key(sensor.word(fresh)).status == 200
    collector.clock.ahead_ns = 2 * DAY_NS
    old = sensor.certificate
    assert sensor.next_key(sensor.word(fresh)).status == 200
    assert sensor.certificate != old


def test_a_key_that_has_spoken_gets_no_second_certificate_for_the_same_word(collector: Collector) -> None:
    """Who copied the disk and heard what the element signed has a day, not two."""
    sensor = enrolled(collector)
    fresh = fresh_key()
    word = sensor.word(fresh)
    assert sensor.next_key(word).status == 200
    sensor.key = fresh
    assert sensor.send([event(1)]).status == 200
    assert sensor.next_key(word).code == "KEY_TAKEN"
    assert sensor.next_key(sensor.word(sensor.element)).code == "KEY_TAKEN"


def test_the_speaking_key_renews_nothing_by_any_other_way(collector: Collector) -> None:
    sensor = enrolled(collector)
    assert sensor.send([event(1)]).status == 200
    books = Ledger(collector)
    assert sensor.renew().code == "ELEMENT_MUST_SIGN"
    books.refused("ELEMENT_MUST_SIGN", sensor.sensor_id, "renew refused")
    assert sensor.renew_key().code == "ELEMENT_MUST_SIGN"
    books.refused("ELEMENT_MUST_SIGN", sensor.sensor_id, "renew refused")
    speaking = ElementSensor(collector.address, sensor.key)
    collector.adopt(speaking).ca_pem = sensor.ca_pem
    speaking.sensor_id, speaking.key = sensor.sensor_id, sensor.key
    assert speaking.recover().code == "ELEMENT_MUST_SIGN"
    books.refused("ELEMENT_MUST_SIGN", sensor.sensor_id, "recover refused")
    # Nor with somebody's token for an ordinary key.
    assert sensor.enroll(collector.token()).code == "ELEMENT_MUST_SIGN"
    # The element's own key, as if it were an ordinary one, is not let in either.
    books.reread()
    assert sensor.enroll(collector.token(), sensor.csr(sensor.element)).code == "ELEMENT_MUST_SIGN"
    assert speaking.next_key().code == "SENSOR_UNKNOWN"


def test_an_element_that_was_an_ordinary_key_before_is_not_taken(tmp_path: Path) -> None:
    collector = Collector(tmp_path / "collector").start()
    try:
        sensor = box(collector)
        assert sensor.enroll(collector.token(), sensor.csr(sensor.element)).status == 200
        assert sensor.enroll_element(collector.token(key_sha256=sensor.digest)).code == "KEY_TAKEN"
    finally:
        collector.stop()


def test_without_production_an_element_that_nobody_pinned_is_refused_too_and_never_called_software(
    tmp_path: Path,
) -> None:
    collector = Collector(tmp_path / "collector").start()
    try:
        token = collector.token()
        books = Ledger(collector)
        assert box(collector).enroll_element(token).code == "ELEMENT_UNPINNED"
        books.refused("ELEMENT_UNPINNED", EnrollmentToken.parse(token).token_id)
    finally:
        collector.stop()


def test_a_sensor_that_is_revoked_or_in_quarantine_gets_no_key_by_its_element(collector: Collector) -> None:
    one, two = enrolled(collector), enrolled(collector)
    collector.revoke(one.sensor_id)
    assert one.next_key().code == "SENSOR_REVOKED"
    assert one.enroll_element(collector.token(key_sha256=one.digest)).code == "SENSOR_REVOKED"
    assert two.send([event(1)]).status == 200
    assert two.send([event(1, text="another")]).code == "SEQUENCE_FORK"
    assert two.next_key().code == "SENSOR_QUARANTINED"


def test_a_second_token_brings_the_same_element_back_after_its_disk_was_lost(collector: Collector) -> None:
    sensor = enrolled(collector)
    again = box(collector, sensor.element)
    assert again.enroll_element(collector.token(key_sha256=again.digest)).status == 200
    assert again.send([event(1)]).status == 200
    assert collector.control("SELECT sensor_id FROM sensors") == [(sensor.sensor_id,)]
    elsewhere = box(collector, sensor.element)
    token = collector.token(site="south", key_sha256=elsewhere.digest)
    assert elsewhere.enroll_element(token).code == "SENSOR_ELSEWHERE"


def test_a_sensor_goes_on_with_another_element_by_the_operators_yes(collector: Collector) -> None:
    old = enrolled(collector)
    collector.revoke(old.sensor_id)
    new = box(collector)
    token = collector.token(for_sensor=old.sensor_id, key_sha256=new.digest)
    assert new.enroll_element(token).status == 200
    assert new.enroll_element(token).status == 200  # the answer was lost
    new.sensor_id = old.sensor_id
    assert new.next_key(new.word(fresh_key())).status == 200
    assert old.next_key().code == "KEY_SUPERSEDED"
    assert f"ended {old.sensor_id}" in audited(collector, "reenroll")[0].replace(f"{key_id(old.key)}, ", "")
    stranger = enrolled(collector)
    taken = collector.token(for_sensor=old.sensor_id, key_sha256=stranger.digest)
    assert stranger.enroll_element(taken).code == "KEY_TAKEN"


def test_a_token_to_go_on_is_for_the_sensors_own_element_unless_the_operator_says_otherwise(
    collector: Collector,
) -> None:
    sensor = enrolled(collector)
    control = Control.open(collector.directory)
    now_ns = collector.clock.wall_ns()
    made = continuing_token(control, sensor.sensor_id, 3600, now_ns)
    assert (made.key_sha256, made.ek_sha256) == (sensor.digest, None)
    assert continuing_token(control, sensor.sensor_id, 3600, now_ns, other_box=True).key_sha256 is None
    control.close()
    assert box(collector).enroll_element(str(made.token)).code == "TOKEN_OTHER_KEY"
    assert sensor.enroll_element(str(made.token)).status == 200


@pytest.mark.parametrize("path", [ELEMENT_ENROLL_PATH, ELEMENT_RENEW_PATH])
@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"identity":"AA==","asked":{}}', b"\xff" * 64, b'{"sensor":1}', b"[" * 10_000]
)
def test_a_body_that_is_no_word_of_an_element_is_one_named_refusal(
    collector: Collector, path: str, body: bytes
) -> None:
    sensor = box(collector)
    sensor.learn_ca()
    headers = {"Authorization": EnrollmentToken.parse(collector.token(key_sha256=sensor.digest)).authorization()}
    assert sensor.request("POST", path, body, headers).code == "REQUEST_INVALID"


def test_what_is_too_long_is_refused_before_it_is_read(collector: Collector) -> None:
    sensor = box(collector)
    sensor.learn_ca()
    headers = {"Authorization": EnrollmentToken.parse(collector.token(key_sha256=sensor.digest)).authorization()}
    assert sensor.request("POST", ELEMENT_ENROLL_PATH, b"x" * 100_000, headers).status == 413


def test_requests_that_are_no_requests_are_named(collector: Collector) -> None:
    sensor = box(collector)
    sensor.learn_ca()
    token = collector.token(key_sha256=sensor.digest)
    good = sensor.word(sensor.key)
    headers = {"Authorization": EnrollmentToken.parse(token).authorization()}
    for came in (ElementEnrollment(b"no CSR", good), ElementEnrollment(base64.b64decode(sensor.csr()) + b"\0", good)):
        answer = sensor.request("POST", ELEMENT_ENROLL_PATH, came.to_json(), headers)
        assert answer.code == "REQUEST_INVALID"
    assert sensor.enroll_element(token).status == 200
