"""What a key is worth is decided by who vouches for its TPM, by the operator, by nothing it says."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.wire.enrollment import CSRATTRS_PATH, decode_base64
from collector_client.config import Config
from tests.collector_client.harness import DAY_NS, Collector, production
from tests.fakes.sensor import Answer, event
from tests.fakes.tpm_device import Maker, TpmDevice, spki
from tests.fakes.tpm_sensor import TpmSensor

MAKER, DEVELOPMENT = Maker(), Maker("Development")


def unlisted(config: Config) -> Config:
    return replace(config, collector=replace(config.collector, allow_unlisted_tpm=True))


@contextmanager
def running(folder: Path, change: Callable[[Config], Config] = lambda config: config) -> Iterator[Collector]:
    made = Collector(folder, change)
    try:
        yield made.start()
    finally:
        made.stop()


def put(collector: Collector, name: str, data: bytes) -> None:
    path = collector.directory / "pki" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)


def enroll(collector: Collector, device: TpmDevice) -> Answer:
    """The answer that decides: the refusal of the challenge, or what the proof got."""
    box = collector.adopt(TpmSensor(collector.address, device))
    token = collector.token()
    asked = box.ask(token)
    return asked if asked.status != 200 else box.enroll_by_tpm(token)


def assurances(collector: Collector) -> list[object]:
    return [row[0] for row in collector.control("SELECT assurance FROM sensors ORDER BY enrolled_ns")]


def test_a_software_tpm_proves_everything_and_stays_software(tmp_path: Path) -> None:
    with running(tmp_path / "collector") as collector:
        put(collector, "tpm-roots-development/swtpm.pem", DEVELOPMENT.pem)
        assert enroll(collector, TpmDevice.made_by(DEVELOPMENT)).status == 200
        assert assurances(collector) == ["software"]


def test_production_refuses_a_software_tpm(tmp_path: Path) -> None:
    with running(tmp_path / "collector", production) as collector:
        put(collector, "tpm-roots-development/swtpm.pem", DEVELOPMENT.pem)
        assert enroll(collector, TpmDevice.made_by(DEVELOPMENT)).code == "KEY_IN_SOFTWARE"


@pytest.mark.parametrize("device", [lambda: TpmDevice(), lambda: TpmDevice.made_by(Maker("X"))], ids=["none", "other"])
def test_a_tpm_that_nobody_vouches_for_is_refused_or_marked_as_the_operator_says(
    tmp_path: Path, device: Callable[[], TpmDevice]
) -> None:
    with running(tmp_path / "strict") as collector:
        assert enroll(collector, device()).code == "EK_UNLISTED"
        assert assurances(collector) == []
    with running(tmp_path / "lax", lambda config: unlisted(production(config))) as collector:
        assert enroll(collector, device()).status == 200
        assert assurances(collector) == ["tpm-unlisted"]


def test_an_ek_on_the_operators_list_counts_as_a_makers_from_the_moment_it_is_written(tmp_path: Path) -> None:
    device = TpmDevice()
    digest = hashlib.sha256(spki(device.ek.key.public_key())).hexdigest()
    with running(tmp_path / "collector", production) as collector:
        assert enroll(collector, device).code == "EK_UNLISTED"
        put(collector, "tpm-allowed", f"# from the shelf\n{digest.upper()}  # box 7\n\n".encode())
        assert enroll(collector, device).status == 200
        assert assurances(collector) == ["tpm"]


def test_a_key_first_seen_in_software_is_worth_more_once_its_tpm_proved_it(tmp_path: Path) -> None:
    with running(tmp_path / "collector") as collector:
        put(collector, "tpm-roots/maker.pem", MAKER.pem)
        box = collector.adopt(TpmSensor(collector.address, TpmDevice.made_by(MAKER)))
        assert box.enroll(collector.token()).status == 200
        box.send([event(1)])
        assert box.enroll_by_tpm(collector.token()).status == 200
        box.send([event(2)])
        assert assurances(collector) == ["tpm"]
        assert collector.alerts("SELECT assurance FROM batches ORDER BY batch_id") == [("software",), ("tpm",)]


def test_a_proved_key_renews_as_itself_and_is_replaced_by_none_that_nothing_proves(tmp_path: Path) -> None:
    with running(tmp_path / "collector", production) as collector:
        put(collector, "tpm-roots/maker.pem", MAKER.pem)
        box = collector.adopt(TpmSensor(collector.address, TpmDevice.made_by(MAKER)))
        assert box.enroll_by_tpm(collector.token()).status == 200
        assert box.renew_key().code == "KEY_DIFFERS"
        assert box.renew().status == 200
        assert b"urn:vedette:assurance:tpm" in (box.certificate or b"")
        assert box.send([event(1)]).status == 200
        assert assurances(collector) == ["tpm"]


def test_a_proved_key_recovers_as_itself_and_to_no_key_that_nothing_proves(tmp_path: Path) -> None:
    with running(tmp_path / "collector", production) as collector:
        put(collector, "tpm-roots/maker.pem", MAKER.pem)
        box = collector.adopt(TpmSensor(collector.address, TpmDevice.made_by(MAKER)))
        assert box.enroll_by_tpm(collector.token()).status == 200
        collector.clock.ahead_ns = 31 * DAY_NS
        assert box.recover().code == "KEY_DIFFERS"
        assert box.recover(box.recovery(box.key)).status == 200
        assert b"urn:vedette:assurance:tpm" in (box.certificate or b"")


def test_a_key_that_proves_itself_ends_at_once_those_of_its_sensor_that_nothing_proves(tmp_path: Path) -> None:
    """The attack: a copied disk speaks with the old key in its grace, as a sensor that is now known for its TPM."""
    with running(tmp_path / "collector") as collector:
        put(collector, "tpm-roots/maker.pem", MAKER.pem)
        old = collector.sensor()
        old.send([event(1)])
        box = collector.adopt(TpmSensor(collector.address, TpmDevice.made_by(MAKER)))
        copy = collector.box(old.key)
        copy.sensor_id, copy.ca_pem, copy.certificate = old.sensor_id, old.ca_pem, old.certificate
        assert old.renew(old.csr(box.key)).status == 200
        box.sensor_id, box.ca_pem, box.certificate = old.sensor_id, old.ca_pem, old.certificate
        assert box.send([event(2)]).status == 200
        assert copy.send([event(3)]).status == 200, "the grace"
        assert box.enroll_by_tpm(collector.token()).status == 200
        assert copy.send([event(4)]).code == "KEY_SUPERSEDED"
        assert box.send([event(4)]).status == 200
        assert collector.control("SELECT sensor_id, assurance FROM sensors") == [(old.sensor_id, "tpm")]
        assert collector.alerts("SELECT assurance FROM batches ORDER BY batch_id")[-1] == ("tpm",)
        (detail,) = collector.control("SELECT detail FROM audit WHERE action = 'prove residency'")[0]
        assert f"ended the unproved {old.sensor_id}" in str(detail)


def test_a_superseded_key_is_not_brought_back_by_a_proof(tmp_path: Path) -> None:
    with running(tmp_path / "collector") as collector:
        put(collector, "tpm-roots/maker.pem", MAKER.pem)
        box = collector.adopt(TpmSensor(collector.address, TpmDevice.made_by(MAKER)))
        token = collector.token()
        assert box.enroll(collector.token()).status == 200
        early = box.challenge(token)
        first = box.key
        assert box.renew_key().status == 200
        assert box.send([event(1)]).status == 200
        assert box.ask(token).code == "KEY_SUPERSEDED"
        box.key, box.certificate = first, None
        assert box.prove(token, box.device.answer(early)).code == "KEY_SUPERSEDED"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("tpm-roots/a.pem", b"no certificate"),
        ("tpm-allowed", b"0123\n"),
        ("tpm-allowed", b"\xff" * 64),
    ],
)
def test_a_file_of_trust_that_does_not_read_stops_tpm_enrollment_and_nothing_else(
    tmp_path: Path, name: str, data: bytes
) -> None:
    with running(tmp_path / "collector") as collector:
        put(collector, "tpm-roots/maker.pem", MAKER.pem)
        put(collector, name, data)
        assert enroll(collector, TpmDevice.made_by(MAKER)).code == "COLLECTOR_FAILED"
        assert collector.sensor().send([event(1)]).status == 200


def test_a_list_that_others_may_write_is_not_believed(tmp_path: Path) -> None:
    with running(tmp_path / "collector") as collector:
        put(collector, "tpm-roots/maker.pem", MAKER.pem)
        (collector.directory / "pki" / "tpm-roots" / "maker.pem").chmod(0o666)
        assert enroll(collector, TpmDevice.made_by(MAKER)).code == "COLLECTOR_FAILED"


def test_csrattrs_asks_for_a_p256_key(tmp_path: Path) -> None:
    with running(tmp_path / "collector") as collector:
        box = collector.box()
        box.learn_ca()
        answer = box.request("GET", CSRATTRS_PATH)
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/csrattrs")
        der = decode_base64("attributes", answer.body, 4096)
    shown = subprocess.run(
        ["openssl", "asn1parse", "-inform", "DER"], input=der, capture_output=True, check=True, timeout=60
    ).stdout.decode()
    assert [name for name in ("id-ecPublicKey", "prime256v1", "ecdsa-with-SHA256") if name not in shown] == []
