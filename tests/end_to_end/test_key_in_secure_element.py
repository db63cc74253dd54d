"""From a board with a secure element to a sensor: real firmware, real link, real collector; the chip is a fake that
really signs. No ATECC608 was tried.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.clock import SystemClock
from appliance.enroll import EnrollmentRefusedError, RenewalPlan, renew
from appliance.identity import (
    ElementKeyLostError,
    ElementMissingError,
    HttpsConnection,
    IdentityFolder,
    SoftKeyStore,
)
from appliance.identity.https import CollectorUrl
from appliance.wire.session import CONFIG_PATH
from collector_client.__main__ import main as collector_main
from tests.collector_client.harness import DAY_NS, Collector, production
from tests.fakes.element_box import ElementBox
from tests.fakes.signing_element import SigningElement
from tests.loop import ROOT, Daemon


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    made = Collector(tmp_path / "collector", production).start()
    yield made
    made.stop()


@pytest.fixture
def box(tmp_path: Path, collector: Collector) -> Iterator[ElementBox]:
    with ElementBox(tmp_path / "box") as made:
        made.configure(collector.address, collector.pin)
        yield made


def enrolled(box: ElementBox, collector: Collector) -> str:
    """By the commands that a person types; the sensor's id."""
    token = collector.token(key_sha256=bytes.fromhex(box.digest()))
    box.configure(collector.address, collector.pin, token)
    done = box.vedette("enroll", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["assurance"] == "secure-element"
    return str(said["sensor_id"])


def asked(identity: IdentityFolder, collector: Collector) -> int:
    """The status of the collector's answer to the box, over mutual TLS."""
    url = CollectorUrl.parse(f"https://{collector.address}")
    connection = HttpsConnection(url, context=identity.load().context(), timeout_s=10, proxy=None)
    try:
        return connection.request("GET", CONFIG_PATH, headers={}, body=b"", max_answer_bytes=1 << 16).status
    finally:
        connection.close()


def plan(collector: Collector) -> RenewalPlan:
    return RenewalPlan.parse(urls=[f"https://{collector.address}"])


def test_a_board_with_a_secure_element_becomes_a_sensor_speaks_and_renews(
    box: ElementBox, collector: Collector, capsys: pytest.CaptureFixture[str]
) -> None:
    name = enrolled(box, collector)
    assert asked(box.identity, collector) == 200
    first = box.identity.load().signer.spki_der()
    steps: list[str] = []
    certificate = renew(plan(collector), box.identity, SystemClock(), on_step=steps.append)
    assert (certificate.sensor_id, certificate.assurance) == (name, "secure-element")
    assert any("signed by the secure element" in step for step in steps)
    assert box.identity.load().signer.spki_der() != first
    assert asked(box.identity, collector) == 200
    assert box.vedette("enroll", "--renew").returncode == 0
    # Two words at the enrollment, one at each renewal; nothing else of it.
    assert box.chip.signed == 4
    assert list(box.chip.slots) == [0]
    assert collector_main(["sensors", str(collector.directory)]) == 0
    assert "secure-element" in capsys.readouterr().out


def test_the_enrollment_may_be_repeated_and_the_chips_key_stays(box: ElementBox, collector: Collector) -> None:
    name = enrolled(box, collector)
    (key,) = box.chip.slots.values()
    again = box.vedette("enroll")
    assert (again.returncode, f"already enrolled as {name}" in again.stdout) == (0, True)
    box.identity.certificate_path.unlink()  # the power went before it was written
    done = box.vedette("enroll")
    assert (done.returncode, f"enrolled as {name} (assurance: secure-element)" in done.stdout) == (0, True)
    assert list(box.chip.slots.values()) == [key]


def test_a_chip_that_nobody_pinned_is_refused_and_the_token_stays_open(box: ElementBox, collector: Collector) -> None:
    token = collector.token()
    box.configure(collector.address, collector.pin, token)
    done = box.vedette("enroll")
    assert done.returncode != 0
    assert "ELEMENT_UNPINNED" in done.stderr
    assert "vedette supervisor element" in done.stderr
    assert not box.identity.certificate_path.exists()
    assert collector.control("SELECT used_by FROM tokens") == [(None,)]
    assert collector.control("SELECT * FROM sensors") == []


def test_without_its_element_a_box_speaks_until_the_day_is_over_and_says_what_is_missing(
    box: ElementBox, collector: Collector
) -> None:
    enrolled(box, collector)
    box.chip.absent = True
    with pytest.raises(ElementMissingError, match="no answer that holds"):
        renew(plan(collector), box.identity, SystemClock())
    assert asked(box.identity, collector) == 200
    box.line.unplug()
    with pytest.raises(ElementMissingError, match="port"):
        renew(plan(collector), box.identity, SystemClock())
    done = box.vedette("enroll", "--renew")
    assert done.returncode != 0
    assert "secure element" in done.stderr


def test_another_element_on_the_line_is_named_and_no_key_is_made_for_it(
    box: ElementBox, collector: Collector, tmp_path: Path
) -> None:
    enrolled(box, collector)
    other = SigningElement()
    box.board.bench.supervisor.element._bus = other
    with pytest.raises(ElementKeyLostError):
        renew(plan(collector), box.identity, SystemClock())
    assert not box.identity.pairs.following().exists()
    box.board.bench.supervisor.element._bus = box.chip
    renew(plan(collector), box.identity, SystemClock())


def test_a_copied_disk_is_good_for_a_day(box: ElementBox, collector: Collector, tmp_path: Path) -> None:
    """Key, certificate and CA of the box, without its element."""
    enrolled(box, collector)
    shutil.copytree(box.state / "identity", tmp_path / "stolen" / "identity")
    with ElementBox(tmp_path / "stolen") as thief:
        thief.configure(collector.address, collector.pin)
        assert asked(thief.identity, collector) == 200
        # With a chip of the thief's own, with none, and as a software key.
        with pytest.raises(ElementKeyLostError):
            renew(plan(collector), thief.identity, SystemClock())
        thief.chip.absent = True
        with pytest.raises(ElementMissingError):
            renew(plan(collector), thief.identity, SystemClock())
        path = thief.identity.key_path
        path.write_bytes(path.read_bytes().partition(b"-----BEGIN PUBLIC KEY-----")[0])
        with pytest.raises(EnrollmentRefusedError, match="ELEMENT_MUST_SIGN"):
            renew(plan(collector), IdentityFolder(thief.state / "identity", SoftKeyStore()), SystemClock())
    collector.clock.ahead_ns = DAY_NS + 1
    assert asked(IdentityFolder(thief.state / "identity", SoftKeyStore()), collector) == 403


def test_a_renewal_whose_element_went_away_goes_on_with_it(box: ElementBox, collector: Collector) -> None:
    enrolled(box, collector)
    sign, box.chip.bad_signature = box.chip.signed, True
    with pytest.raises(Exception, match="not one of its key"):
        renew(plan(collector), box.identity, SystemClock())
    assert box.chip.signed > sign
    box.chip.bad_signature = False
    renew(plan(collector), box.identity, SystemClock())
    assert asked(box.identity, collector) == 200


def test_while_the_daemon_has_the_port_it_lends_the_element(box: ElementBox, collector: Collector) -> None:
    name = enrolled(box, collector)
    pcap = next((ROOT / "tests" / "traffic" / "pcaps").glob("*.pcap"))
    box.configure(collector.address, collector.pin, more=f'[capture]\nfiles = ["{pcap}"]\nwhen_done = "stay"')
    argv = [sys.executable, "-m", "appliance", "run", "--config", str(box.state / "vedette.toml")]
    daemon = Daemon("sensor", argv, box.state)
    daemon.start()
    try:
        box.board.until("UP", 60)
        before = box.chip.signed
        done = box.vedette("enroll", "--renew")
        assert done.returncode == 0, done.stderr
        assert box.chip.signed == before + 1
        status = json.loads(box.vedette("status", "--json").stdout)
        sensor = status["sensor"]
        assert (sensor["sensor_id"], sensor["assurance"]) == (name, "secure-element")
        doctor = json.loads(box.vedette("doctor", "--json").stdout)
        (key,) = [check for check in doctor["checks"] if check["check"] == "key"]
        assert (key["state"], "secure element" in key["text"]) == ("ok", True)
        assert bytes.fromhex(box.digest())
        box.chip.absent = True
        done = box.vedette("enroll", "--renew")
        assert done.returncode != 0
        assert "gives no answer that holds" in done.stderr
    finally:
        assert daemon.stop() == 0


def test_while_the_box_waits_for_its_setup_the_port_is_lent_too(box: ElementBox, collector: Collector) -> None:
    argv = [sys.executable, "-m", "appliance", "supervisor", "wait", "--config", str(box.state / "vedette.toml")]
    waiting = Daemon("waiting", argv, box.state)
    waiting.start()
    try:
        enrolled(box, collector)
    finally:
        assert waiting.stop() == 0
    assert not (box.state / "run" / "supervisor.sock").exists()


def test_another_key_in_the_chip_needs_a_hand_at_the_board(box: ElementBox, collector: Collector) -> None:
    enrolled(box, collector)
    done = box.vedette("reset", "--clear-tpm", "--yes")
    assert done.returncode != 0
    assert "hold the board's button" in done.stderr
    box.board.bench.supervisor.gives_up_key = True
    (before,) = box.chip.slots.values()
    done = box.vedette("reset", "--clear-tpm", "--yes")
    assert done.returncode == 0, done.stderr
    (after,) = box.chip.slots.values()
    assert before.public_key() != after.public_key()
    enrolled(box, collector)
    assert len(collector.control("SELECT sensor_id FROM sensors")) == 2
