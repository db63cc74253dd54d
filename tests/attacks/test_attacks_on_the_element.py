"""A box with a secure element: its disk copied, its token stolen, its signature borrowed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.wire.enrollment import EnrollmentToken
from tests.attacks.ledger import Ledger
from tests.collector_client.harness import Collector, production
from tests.fakes.element_sensor import ElementSensor, fresh_key
from tests.fakes.sensor import event


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    """In production; nobody vouches for any TPM."""
    made = Collector(tmp_path / "collector", production).start()
    yield made
    made.stop()


def box(collector: Collector) -> ElementSensor:
    return collector.adopt(ElementSensor(collector.address))


@pytest.fixture
def sensor(collector: Collector) -> ElementSensor:
    """One that is enrolled and has spoken."""
    made = box(collector)
    assert made.enroll_element(collector.token(key_sha256=made.digest)).status == 200
    assert made.send([event(1)]).status == 200
    return made


def name_of(token: str) -> str:
    return EnrollmentToken.parse(token).token_id


def test_an_element_that_no_operator_has_named(collector: Collector) -> None:
    """Anybody can buy one, or say of a file that it is one."""
    token, thief = collector.token(), box(collector)
    books = Ledger(collector)
    thief.enroll_element(token)
    books.refused("ELEMENT_UNPINNED", name_of(token))


def test_a_token_for_another_element(collector: Collector) -> None:
    rightful, thief = box(collector), box(collector)
    token = collector.token(key_sha256=rightful.digest)
    books = Ledger(collector)
    thief.enroll_element(token)
    books.refused("TOKEN_OTHER_KEY", name_of(token))
    assert rightful.enroll_element(token).status == 200


def test_a_token_for_an_element_with_a_key_on_a_disk(collector: Collector) -> None:
    token, thief = collector.token(key_sha256=box(collector).digest), collector.box()
    books = Ledger(collector)
    thief.enroll(token)
    books.refused("TOKEN_OTHER_KEY", name_of(token))


def test_an_element_whose_request_was_seen_has_not_signed_for_the_thiefs_key(collector: Collector) -> None:
    """The rightful element's request, which is no secret, and another's word for a key of the thief's."""
    rightful, thief = box(collector), box(collector)
    token = collector.token(key_sha256=rightful.digest)
    rightful.learn_ca()
    books = Ledger(collector)
    forged = rightful.word(thief.key, by=thief.element)
    assert rightful.enroll_element(token, forged).code == "PROOF_INVALID"
    books.refused("PROOF_INVALID", name_of(token))
    # Its word for its own key, under which a key of the thief's was put.
    stolen = rightful.word(rightful.key)
    swapped = type(stolen)(stolen.sensor_id, stolen.key_id, thief.word(thief.key).request, stolen.proof_der)
    assert rightful.enroll_element(token, swapped).code == "PROOF_INVALID"
    books.refused("PROOF_INVALID", name_of(token))
    assert rightful.enroll_element(token).status == 200


def test_a_renewal_signed_by_another_element(collector: Collector, sensor: ElementSensor) -> None:
    books = Ledger(collector)
    sensor.next_key(sensor.word(fresh_key(), by=fresh_key()))
    books.refused("PROOF_INVALID", sensor.sensor_id, "renew refused")


def test_a_renewal_in_the_name_of_another_sensor(collector: Collector, sensor: ElementSensor) -> None:
    other = box(collector)
    assert other.enroll_element(collector.token(key_sha256=other.digest)).status == 200
    books = Ledger(collector)
    other.next_key(other.word(fresh_key(), named=sensor.sensor_id))
    books.refused("SENSOR_UNKNOWN", sensor.sensor_id, "renew refused")


def test_a_copied_disk_that_renews_itself(collector: Collector, sensor: ElementSensor) -> None:
    books = Ledger(collector)
    sensor.renew()
    books.refused("ELEMENT_MUST_SIGN", sensor.sensor_id, "renew refused")
    sensor.renew_key()
    books.refused("ELEMENT_MUST_SIGN", sensor.sensor_id, "renew refused")


def test_a_copied_disk_that_recovers(collector: Collector, sensor: ElementSensor) -> None:
    books = Ledger(collector)
    sensor.recover()
    books.refused("ELEMENT_MUST_SIGN", sensor.sensor_id, "recover refused")


def test_a_copied_disk_with_the_elements_word_of_the_day(collector: Collector, sensor: ElementSensor) -> None:
    fresh = fresh_key()
    word = sensor.word(fresh)
    assert sensor.next_key(word).status == 200
    sensor.key = fresh
    assert sensor.send([event(2)]).status == 200
    books = Ledger(collector)
    sensor.next_key(word)
    books.refused("KEY_TAKEN", sensor.sensor_id, "renew refused")


def test_a_revoked_sensors_element(collector: Collector, sensor: ElementSensor) -> None:
    collector.revoke(sensor.sensor_id)
    books = Ledger(collector)
    sensor.next_key()
    books.refused("SENSOR_REVOKED", sensor.sensor_id, "renew refused")
