"""A box that was reset or replaced goes on with its record when the operator said so, and only then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from appliance.wire.enrollment import SENSOR_URN, EnrollmentToken
from collector_client.config import Config
from collector_client.store import Control, audit, sensors
from collector_client.tokens import Continued, continuing_token
from tests.collector_client.harness import Collector
from tests.collector_client.ingest.test_residency import trust
from tests.fakes.sensor import FakeSensor, event
from tests.fakes.tpm_device import Maker, TpmDevice
from tests.fakes.tpm_sensor import TpmSensor

MAKER = Maker()


def roomy(config: Config) -> Config:
    return replace(config, quota=replace(config.quota, enrollments_per_minute=10_000))


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    made = Collector(tmp_path / "collector", roomy)
    trust(made, MAKER)
    yield made.start()
    made.stop()


def yes(collector: Collector, sensor_id: str, **more: bool) -> Continued:
    """The operator's yes."""
    with closing(Control.open(collector.directory)) as control:
        return continuing_token(control, sensor_id, 3600, collector.clock.wall_ns(), by="olga", **more)


def change(collector: Collector, what: str, sensor_id: str) -> None:
    """`revoke` or `quarantine` a sensor."""
    with closing(Control.open(collector.directory)) as control, control.transaction() as connection:
        getattr(sensors, what)(connection, sensor_id, "stolen", collector.clock.wall_ns())


def after_reset(collector: Collector, name: str = "") -> FakeSensor:
    """The same box without its key; `name` is what the collector will call it."""
    box = collector.box()
    box.sensor_id = name or box.sensor_id
    return box


def in_tpm(collector: Collector, device: TpmDevice | None = None, name: str = "") -> TpmSensor:
    """A box with a new key in its TPM."""
    made = device or TpmDevice.made_by(MAKER)
    box = collector.adopt(TpmSensor(collector.address, replace(made, ldevid=TpmDevice().ldevid)))
    box.sensor_id = name or box.sensor_id
    return box


def named_in(certificate: bytes | None) -> list[str]:
    names = x509.load_der_x509_certificate(certificate or b"").extensions
    found = names.get_extension_for_class(x509.SubjectAlternativeName).value
    return found.get_values_for_type(x509.UniformResourceIdentifier)


def test_a_reset_box_keeps_its_name_site_and_history(collector: Collector) -> None:
    old = collector.sensor(tenant="acme", site="north")
    assert old.send([event(1), event(2)]).status == 200
    new = after_reset(collector, old.sensor_id)
    assert new.enroll(str(yes(collector, old.sensor_id).token)).status == 200
    assert SENSOR_URN + old.sensor_id in named_in(new.certificate)
    assert new.send([event(1, epoch=8)], epoch=8).status == 200
    assert collector.control("SELECT sensor_id FROM sensors") == [(old.sensor_id,)]
    assert collector.alerts("SELECT DISTINCT sensor_id, tenant_id FROM alerts") == [(old.sensor_id, 1)]
    assert (collector.numbers(old), collector.numbers(old, 8)) == ([1, 2], [1])
    assert new.renew().status == 200


def test_the_audit_says_who_allowed_it_and_what_it_ended(collector: Collector) -> None:
    old = collector.sensor()
    assert old.send([event(1)]).status == 200
    new = after_reset(collector)
    key = new.sensor_id
    assert new.enroll(str(yes(collector, old.sensor_id).token)).status == 200
    ((made_by, made),) = collector.control("SELECT actor, detail FROM audit WHERE detail LIKE '%to go on with%'")
    ((done,),) = collector.control("SELECT detail FROM audit WHERE action = 'reenroll'")
    assert (made_by, f"to go on with {old.sensor_id}" in str(made)) == ("olga", True)
    assert f"goes on with key {key}, allowed by olga; ended {old.sensor_id}" in str(done)
    with closing(Control.open(collector.directory)) as control, control.reading() as connection:
        assert audit.verify(connection) is None


def test_the_keys_of_before_are_worth_nothing_from_then_on(collector: Collector) -> None:
    old = collector.sensor()
    assert old.send([event(1)]).status == 200
    assert after_reset(collector).enroll(str(yes(collector, old.sensor_id).token)).status == 200
    assert old.send([event(2)]).code == "KEY_SUPERSEDED"
    assert old.renew().code == "KEY_SUPERSEDED"
    assert old.enroll(str(yes(collector, old.sensor_id).token)).code == "KEY_SUPERSEDED"


def test_the_token_is_for_one_key_which_may_ask_again(collector: Collector) -> None:
    token = str(yes(collector, collector.sensor().sensor_id).token)
    new = after_reset(collector)
    assert new.enroll(token).status == 200
    first = new.certificate
    assert new.enroll(token).status == 200
    assert new.certificate == first
    assert after_reset(collector).enroll(token).code == "TOKEN_USED"


@pytest.mark.parametrize("what", ["revoke", "quarantine"])
def test_what_was_held_against_the_old_keys_is_lifted_for_the_new_one_alone(collector: Collector, what: str) -> None:
    old = collector.sensor()
    change(collector, what, old.sensor_id)
    token = str(yes(collector, old.sensor_id).token)
    certificate = old.certificate
    assert old.enroll(token).code in ("SENSOR_REVOKED", "SENSOR_QUARANTINED"), "the old key may not use the token"
    old.certificate = certificate
    old.disconnect()
    new = after_reset(collector, old.sensor_id)
    assert new.enroll(token).status == 200
    assert new.send([event(1, epoch=8)], epoch=8).status == 200
    assert old.send([event(1)]).code == "KEY_SUPERSEDED"
    ((detail,),) = collector.control("SELECT detail FROM audit WHERE action = 'reenroll'")
    assert "stolen" in str(detail)


def test_another_sensors_key_does_not_move_over(collector: Collector) -> None:
    first, second = collector.sensor(), collector.sensor()
    token = str(yes(collector, first.sensor_id).token)
    assert second.enroll(token).code == "KEY_TAKEN"
    assert collector.control("SELECT used_by FROM tokens WHERE for_sensor IS NOT NULL") == [(None,)]
    assert first.send([event(1)]).status == 200


def test_a_known_tpm_becomes_no_second_sensor_and_the_token_stays_open(collector: Collector) -> None:
    device = TpmDevice.made_by(MAKER)
    old = in_tpm(collector, device)
    assert old.enroll_by_tpm(collector.token()).status == 200
    token = collector.token()
    answer = in_tpm(collector, device).ask(token)
    assert answer.code == "TPM_KNOWN"
    assert old.sensor_id in str(answer.refusal)
    rows = collector.control("SELECT action, subject FROM audit ORDER BY audit_id DESC LIMIT 1")
    assert rows == [("refuse enrollment", EnrollmentToken.parse(token).token_id)]
    assert in_tpm(collector).enroll_by_tpm(token).status == 200, "another box's TPM"


def test_a_known_tpm_whose_sensor_is_revoked_is_a_new_sensor(collector: Collector) -> None:
    device = TpmDevice.made_by(MAKER)
    old = in_tpm(collector, device)
    assert old.enroll_by_tpm(collector.token()).status == 200
    change(collector, "revoke", old.sensor_id)
    new = in_tpm(collector, device)
    assert new.enroll_by_tpm(collector.token()).status == 200
    assert collector.control("SELECT COUNT(*) FROM sensors") == [(2,)]


def test_a_tpm_that_became_known_between_challenge_and_answer_is_refused(collector: Collector) -> None:
    device = TpmDevice.made_by(MAKER)
    slow, token = in_tpm(collector, device), collector.token()
    proof = slow.device.answer(slow.challenge(token))
    assert in_tpm(collector, device).enroll_by_tpm(collector.token()).status == 200
    assert slow.prove(token, proof).code == "TPM_KNOWN"


def test_the_same_box_goes_on_by_its_tpm(collector: Collector) -> None:
    device = TpmDevice.made_by(MAKER)
    old = in_tpm(collector, device)
    assert old.enroll_by_tpm(collector.token()).status == 200
    new = in_tpm(collector, device, old.sensor_id)
    made = yes(collector, old.sensor_id)
    assert made.ek_sha256 is not None
    assert new.enroll_by_tpm(str(made.token)).status == 200
    assert new.send([event(1, epoch=8)], epoch=8).status == 200
    assert old.send([event(1)]).code == "KEY_SUPERSEDED"
    assert collector.control("SELECT sensor_id, assurance FROM sensors") == [(old.sensor_id, "tpm")]
    assert collector.control("SELECT sensor_id FROM residencies") == [(old.sensor_id,)] * 2


def test_a_stolen_token_takes_a_proved_sensors_record_to_no_other_box(collector: Collector) -> None:
    old = in_tpm(collector)
    assert old.enroll_by_tpm(collector.token()).status == 200
    token = str(yes(collector, old.sensor_id).token)
    assert in_tpm(collector).ask(token).code == "TOKEN_OTHER_TPM"
    assert collector.box().enroll(token).code == "TOKEN_OTHER_TPM"
    assert old.send([event(1)]).status == 200, "nothing has ended"


def test_another_box_goes_on_where_the_operator_said_any(collector: Collector) -> None:
    device = TpmDevice.made_by(MAKER)
    old = in_tpm(collector, device)
    assert old.enroll_by_tpm(collector.token()).status == 200
    made = yes(collector, old.sensor_id, other_box=True)
    assert made.ek_sha256 is None
    new = in_tpm(collector, name=old.sensor_id)
    assert new.enroll_by_tpm(str(made.token)).status == 200
    assert new.send([event(1, epoch=8)], epoch=8).status == 200
    # The old box is nobody's now, and may become another sensor elsewhere.
    assert in_tpm(collector, device).enroll_by_tpm(collector.token(site="south")).status == 200


def test_a_key_on_a_disk_takes_its_own_low_assurance_along(collector: Collector) -> None:
    device = TpmDevice.made_by(MAKER)
    old = in_tpm(collector, device)
    assert old.enroll_by_tpm(collector.token()).status == 200
    new = after_reset(collector, old.sensor_id)
    assert new.enroll(str(yes(collector, old.sensor_id, other_box=True).token)).status == 200
    assert collector.control("SELECT assurance FROM sensors") == [("software",)]
    assert any(name.endswith(":software") for name in named_in(new.certificate))
    assert yes(collector, old.sensor_id).ek_sha256 is None, "the record is no more bound to the TPM that it left"
    assert in_tpm(collector, device).enroll_by_tpm(collector.token()).status == 200


@pytest.mark.parametrize("table", ["sensor_keys", "tokens", "sensors"])
def test_a_store_that_fails_half_way_leaves_the_old_key_good(collector: Collector, table: str) -> None:
    old = collector.sensor()
    token = str(yes(collector, old.sensor_id).token)
    new = after_reset(collector)
    broken = f"CREATE TRIGGER broken BEFORE UPDATE ON {table} BEGIN SELECT RAISE(ABORT, 'broken'); END"
    with closing(Control.open(collector.directory)) as control:
        with control.transaction() as connection:
            connection.execute(broken)
        assert new.enroll(token).code == "STORE_FAILED"
        with control.transaction() as connection:
            connection.execute("DROP TRIGGER broken")
    assert old.send([event(1)]).status == 200
    assert collector.control("SELECT COUNT(*) FROM sensor_keys") == [(1,)]
    assert new.enroll(token).status == 200


def test_another_key_of_a_box_that_was_reset_twice_ends_the_one_that_never_spoke(collector: Collector) -> None:
    old = collector.sensor()
    first, second = after_reset(collector, old.sensor_id), after_reset(collector, old.sensor_id)
    assert first.enroll(str(yes(collector, old.sensor_id).token)).status == 200
    assert second.enroll(str(yes(collector, old.sensor_id).token)).status == 200
    assert first.send([event(1)]).code == "KEY_SUPERSEDED"
    assert second.send([event(1)]).status == 200


def test_a_key_that_came_in_by_a_yes_is_not_known_elsewhere(collector: Collector) -> None:
    """The key's own name is nobody's: it neither speaks nor enrolls as another sensor."""
    old = collector.sensor()
    key = ec.generate_private_key(ec.SECP256R1())
    new = collector.box(key)
    own_name = new.sensor_id
    assert new.enroll(str(yes(collector, old.sensor_id).token)).status == 200
    assert new.enroll(collector.token()).status == 200
    assert SENSOR_URN + old.sensor_id in named_in(new.certificate)
    assert collector.control("SELECT COUNT(*) FROM sensors WHERE sensor_id = ?", own_name) == [(0,)]
