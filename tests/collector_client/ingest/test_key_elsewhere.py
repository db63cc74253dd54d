"""The ingest with an issuing key behind a command: enrolls, renews, and stores batches while the key hangs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.wire.residency import ResidencyChallenge
from collector_client.config import Config, key_places
from collector_client.pki import rollover
from collector_client.pki.files import key_pem, new_key
from tests.collector_client.harness import Collector
from tests.collector_client.ingest.test_residency import trust
from tests.collector_client.pki import signing_hook
from tests.fakes.sensor import FakeSensor, event
from tests.fakes.tpm_device import Maker, TpmDevice
from tests.fakes.tpm_sensor import TpmSensor

HOOK = Path(signing_hook.__file__)


def behind(keys: Path, config: Config) -> Config:
    """A configuration whose issuing key the hook has; a file FAULT in the folder breaks it."""
    script = keys / "hook"
    script.write_text(f"#!/bin/sh\nexec {sys.executable} {HOOK} {keys} $(cat {keys}/FAULT 2>/dev/null)\n")
    script.chmod(0o700)
    section = replace(config.ca, issuing_key="command", command=(str(script),), key_timeout_ms=5000)
    return replace(config, ca=section, quota=replace(config.quota, enrollments_per_minute=10_000))


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "kms-7.pem").write_bytes(key_pem(new_key()))
    return tmp_path / "keys"


@pytest.fixture
def collector(tmp_path: Path, keys: Path) -> Iterator[Collector]:
    made = Collector(tmp_path / "collector", lambda config: behind(keys, config))
    pki, now_ns = made.directory / "pki", made.clock.wall_ns()
    _, request = rollover.request(pki, "command", "kms-7", key_places(made.config.ca, {}))
    rollover.install(pki, [rollover.sign(pki, request, now_ns)], now_ns)
    yield made.start()
    made.stop()


def sends(sensor: FakeSensor, seq: int) -> bool:
    return sensor.send([event(seq)]).status == 200


def test_sensors_enroll_renew_and_recover_by_a_key_that_is_elsewhere(collector: Collector, keys: Path) -> None:
    sensor = collector.sensor()
    assert sends(sensor, 1)
    assert sensor.renew().status == 200
    assert sensor.renew_key().status == 200
    assert sends(sensor, 2)
    assert sensor.recover().status == 200
    assert sends(sensor, 3)
    assert not (collector.directory / "pki" / "issuing-2.key").exists()
    assert collector.control("SELECT COUNT(*) FROM tokens WHERE used_ns IS NOT NULL") == [(1,)]


def another(device: TpmDevice) -> TpmDevice:
    """The same TPM with another LDevID."""
    return replace(device, ldevid=TpmDevice().ldevid)


def test_boxes_with_a_tpm_enroll_renew_and_recover_by_a_key_that_is_elsewhere(collector: Collector, keys: Path) -> None:
    maker = Maker()
    trust(collector, maker)
    device = TpmDevice.made_by(maker)
    box = collector.adopt(TpmSensor(collector.address, device))
    assert box.enroll_by_tpm(collector.token()).status == 200
    assert sends(box, 1)
    challenge = box.rechallenge(second := another(device))
    (keys / "FAULT").write_text("75")
    proof = second.answer(ResidencyChallenge.decode(challenge.body))
    assert box.reprove(second, proof).code == "SIGNER_FAILED"
    assert collector.control("SELECT COUNT(*) FROM sensor_keys") == [(1,)]
    (keys / "FAULT").unlink()
    assert box.reprove(second, proof).status == 200, "the challenge was not used up"
    assert sends(box, 2)
    assert box.recover_by_tpm(another(device)).status == 200
    assert sends(box, 3)
    asked = [json.loads(line)["operation"] for line in (keys / "asked").read_text().splitlines()]
    assert asked.count("sign") >= 5, "the request, the server, and three times the box"


@pytest.mark.parametrize("fault", ["75", "lies", "garbage"])
def test_a_key_that_fails_refuses_by_name_and_uses_nothing_up(collector: Collector, keys: Path, fault: str) -> None:
    (keys / "FAULT").write_text(fault)
    box, token = collector.box(), collector.token()
    answer = box.enroll(token)
    assert (answer.status, answer.code) == (503, "SIGNER_FAILED")
    assert answer.refusal.retry_after_s
    assert b"no way" not in answer.body, "what the command says is the operator's"
    assert collector.control("SELECT COUNT(*) FROM sensors") == [(0,)]
    assert collector.control("SELECT used_ns FROM tokens") == [(None,)]
    (keys / "FAULT").unlink()
    assert box.enroll(token).status == 200
    assert sends(box, 1)


def test_a_key_that_hangs_holds_up_nobody_elses_batches(collector: Collector, keys: Path) -> None:
    sensor = collector.sensor()
    (keys / "FAULT").write_text("hangs")
    waiting = collector.box()
    waiting.learn_ca()
    with ThreadPoolExecutor(1) as pool:
        enrolling = pool.submit(waiting.enroll, collector.token())
        stored = 0
        while not enrolling.done():
            stored += 1
            assert sends(sensor, stored)
        assert enrolling.result().code == "SIGNER_FAILED"
    assert stored > 1
    assert collector.control("SELECT COUNT(*) FROM sensors") == [(1,)]
