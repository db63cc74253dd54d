"""From a stick to a sensor, against a real TLS server: the power may go anywhere, the token works once, in one box."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from appliance.clock import SystemClock
from appliance.config import KEPT_NAME, Config, ConfigError, load_config, read_kept
from appliance.config.sections import SensorSection
from appliance.enroll import Enrolled, EnrollmentPlan, TokenExpiredError, TokenUsedError, WrongPinError, enroll
from appliance.errors import OperatorError
from appliance.identity import IdentityFolder
from appliance.setup import (
    NETWORK_NAME,
    BelongsElsewhereError,
    Box,
    EnrolledAlreadyError,
    NoSetupFileError,
    NothingToSetUpError,
    Outcome,
    StickGoneError,
    StickUsedError,
    set_up,
)
from appliance.wire.codes import SessionCode
from appliance.wire.enrollment import EnrollmentToken
from appliance.wire.setup_file import SETUP_NAME, Setup, parse_setup
from appliance.wire.setup_render import render_setup
from appliance.wire.setup_values import Network
from tests.fakes.collector import FakeCollector
from tests.fakes.pki import Authority

TOKEN = EnrollmentToken("t-abcdefghijkl", "S" * 40)
NEXT_TOKEN = EnrollmentToken("t-mnopqrstuvwx", "N" * 40)
NETWORK = Network("192.0.2.5/24", "192.0.2.1", (), "52:54:00:12:34:56")


class PowerCut(BaseException):
    """Nothing runs after it, as in life."""


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def collector(authority: Authority, tmp_path: Path) -> Iterator[FakeCollector]:
    with FakeCollector(authority, authority.server(tmp_path)) as fake:
        fake.tokens |= {token.token_id: token for token in (TOKEN, NEXT_TOKEN)}
        yield fake


@dataclass
class Site:
    """A stick and boxes to put it into."""

    root: Path
    collector: FakeCollector

    @property
    def stick(self) -> Path:
        return self.root / "stick"

    @property
    def file(self) -> Path:
        return self.stick / SETUP_NAME

    def content(self, token: EnrollmentToken = TOKEN, pin: str = "") -> Setup:
        pin = pin or self.collector.authority.pin
        return Setup(
            (self.collector.url,), pin, token.token_id, token, network=NETWORK, interfaces=("enp2s0",), install="ask"
        )

    def write(self, setup: Setup | None = None) -> None:
        self.stick.mkdir(exist_ok=True)
        self.file.write_bytes(render_setup(setup or self.content()).replace("\n", "\r\n").encode())

    def box(self, name: str = "box", **more: bool) -> Box:
        """A box with its state; made anew, it is the same box after a restart."""
        state = self.root / name
        base = Config(sensor=SensorSection(state_dir=str(state)))
        network = self.root / f"{name}-network"
        return Box(base, IdentityFolder(state / "identity"), SystemClock(), network, **more)

    def kept(self, name: str = "box") -> Setup:
        found = read_kept(self.root / name)
        assert found is not None
        return found

    def is_done(self, outcome: Outcome, name: str = "box") -> None:
        """A sensor, and no secret anywhere."""
        assert outcome.certificate is not None
        box = self.box(name)
        assert box.folder.load().certificate.sensor_id == outcome.certificate.sensor_id
        for where in (self.root / name, self.stick):
            for path in where.rglob("*"):
                assert not path.is_file() or TOKEN.secret.encode() not in path.read_bytes(), path
        for setup in (self.kept(name), parse_setup(self.file.read_bytes())):
            assert setup.used is not None
            assert setup.used.sensor_id == outcome.certificate.sensor_id
            assert setup.token is None
        assert f"Address={NETWORK.address}" in (self.root / f"{name}-network" / NETWORK_NAME).read_text()


@pytest.fixture
def site(tmp_path: Path, collector: FakeCollector) -> Site:
    made = Site(tmp_path, collector)
    made.write()
    return made


def test_a_stick_makes_a_sensor_and_is_used_up(site: Site) -> None:
    steps: list[str] = []
    outcome = set_up(site.stick, site.box(), on_step=steps.append)
    site.is_done(outcome)
    assert outcome.stick_wiped
    assert stat.S_IMODE((site.root / "box" / KEPT_NAME).stat().st_mode) == 0o600
    assert not any(TOKEN.secret in step for step in steps)


def test_what_the_stick_says_stands_over_the_configuration_file(site: Site) -> None:
    config = site.root / "vedette.toml"
    config.write_text(
        f'[sensor]\nstate_dir = "{site.root / "box"}"\n[collector]\nurls = ["https://old"]\nca_pin = "{"00" * 32}"\n'
        'token_file = "/none"\nproxy = "http://old:1"\ntimeout_s = 7\n[capture]\nfiles = ["a.pcap"]\n'
    )
    set_up(site.stick, site.box(), and_enroll=False)
    loaded = load_config(config)
    section = loaded.collector
    assert (section.urls, section.ca_pin) == ((site.collector.url,), site.collector.authority.pin)
    assert (section.token, section.token_file, section.proxy, section.timeout_s) == (str(TOKEN), "", "", 7)
    assert (loaded.capture.interfaces, loaded.capture.files) == (("enp2s0",), ())
    set_up(site.stick, site.box())
    assert load_config(config).collector.token == ""


def test_nothing_is_changed_before_all_is_checked(site: Site) -> None:
    site.file.write_bytes(site.file.read_bytes().replace(b'"192.0.2.1"', b'"192.0.3.1"'))
    with pytest.raises(OperatorError, match="gateway"):
        set_up(site.stick, site.box())
    assert not (site.root / "box").exists()
    assert not (site.root / "box-network").exists()
    assert site.collector.connections == 0


def cut_at(monkeypatch: pytest.MonkeyPatch, number: int) -> list[str]:
    """The power goes at the `number`th time that something is put on a disk or its name put in place; gives the list
    of what was done before.
    """
    done: list[str] = []

    def counting(name: str, act: object) -> object:
        def acting(*args: object, **more: object) -> object:
            done.append(name)
            if len(done) == number:
                raise PowerCut
            return act(*args, **more)  # type: ignore[operator]

        return acting

    monkeypatch.setattr(os, "fsync", counting("fsync", os.fsync))
    monkeypatch.setattr(os, "rename", counting("rename", os.rename))
    monkeypatch.setattr(os, "write", counting("write", os.write))
    return done


MOST_CUTS = 60


@pytest.mark.parametrize("stick_stays", [True, False], ids=["the stick stays in", "the stick is taken out"])
def test_a_power_cut_anywhere_leaves_a_box_that_goes_on(
    site: Site, monkeypatch: pytest.MonkeyPatch, stick_stays: bool
) -> None:
    cuts = 0
    for number in range(1, MOST_CUTS):
        name = f"box{number}"
        site.write()
        site.collector.used.clear()
        with monkeypatch.context() as patch:
            cut_at(patch, number)
            try:
                outcome = set_up(site.stick, site.box(name))
            except PowerCut:
                cuts += 1
            else:
                site.is_done(outcome, name)
                break
        taken_in = (site.root / name / KEPT_NAME).exists()
        if stick_stays or not taken_in:
            outcome = set_up(site.stick, site.box(name))
            site.is_done(outcome, name)
        else:
            outcome = set_up(None, site.box(name))
            assert outcome.certificate is not None
            assert TOKEN.secret.encode() not in (site.root / name / KEPT_NAME).read_bytes()
        assert len(site.collector.used) == 1
    assert 15 < cuts < MOST_CUTS - 1


def test_a_power_cut_at_each_step_that_is_told(site: Site) -> None:
    told = 0
    for number in range(MOST_CUTS):
        name = f"box{number}"
        site.write()
        site.collector.used.clear()
        steps: list[str] = []

        def cut(step: str, steps: list[str] = steps, number: int = number) -> None:
            if len(steps) == number:
                raise PowerCut
            steps.append(step)

        try:
            set_up(site.stick, site.box(name), on_step=cut)
        except PowerCut:
            told += 1
        else:
            break
        site.is_done(set_up(site.stick, site.box(name)), name)
    assert told >= 6


def test_again_with_the_stick_still_in_changes_nothing(site: Site) -> None:
    first = set_up(site.stick, site.box())
    before, connections = site.file.read_bytes(), site.collector.connections
    again = set_up(site.stick, site.box())
    assert (again.certificate, again.stick_wiped) == (first.certificate, False)
    assert (site.file.read_bytes(), site.collector.connections) == (before, connections)
    assert set_up(None, site.box()).certificate == first.certificate


def test_the_network_file_comes_back_at_each_start(site: Site) -> None:
    set_up(site.stick, site.box())
    (site.root / "box-network" / NETWORK_NAME).unlink()
    assert set_up(None, site.box(), and_enroll=False).network_file == site.root / "box-network" / NETWORK_NAME


def test_attack_the_same_stick_in_a_second_box(site: Site) -> None:
    first = set_up(site.stick, site.box("one"))
    assert first.certificate is not None
    with pytest.raises(StickUsedError, match=first.certificate.sensor_id):
        set_up(site.stick, site.box("two"))
    assert not (site.root / "two").exists()


def test_attack_a_copy_of_the_stick_in_a_second_box(site: Site) -> None:
    copy = site.file.read_bytes()
    set_up(site.stick, site.box("one"))
    site.file.write_bytes(copy)
    with pytest.raises(TokenUsedError):
        set_up(site.stick, site.box("two"))
    assert site.file.read_bytes() == copy
    assert not site.box("two").folder.certificate_path.exists()


def test_a_token_that_is_refused_can_be_followed_by_a_better_stick(site: Site) -> None:
    site.collector.tokens[TOKEN.token_id] = SessionCode.TOKEN_EXPIRED
    with pytest.raises(TokenExpiredError):
        set_up(site.stick, site.box())
    with pytest.raises(TokenExpiredError):
        set_up(None, site.box())
    site.write(site.content(NEXT_TOKEN))
    outcome = set_up(site.stick, site.box())
    assert outcome.certificate is not None
    assert site.kept().token_id == NEXT_TOKEN.token_id


def test_a_wrong_pin_spends_nothing(site: Site) -> None:
    site.write(site.content(pin="cd" * 32))
    with pytest.raises(WrongPinError):
        set_up(site.stick, site.box())
    assert site.collector.used == {}
    assert parse_setup(site.file.read_bytes()).token == TOKEN


def test_attack_another_stick_in_a_sensor_does_not_take_it_over(site: Site) -> None:
    first = set_up(site.stick, site.box())
    kept = (site.root / "box" / KEPT_NAME).read_bytes()
    for pin in ("", "cd" * 32):
        site.write(site.content(NEXT_TOKEN, pin))
        before = site.file.read_bytes()
        with pytest.raises(EnrolledAlreadyError):
            set_up(site.stick, site.box())
        assert site.file.read_bytes() == before
    assert (site.root / "box" / KEPT_NAME).read_bytes() == kept
    assert site.box().folder.load().certificate == first.certificate


def test_a_sensor_whose_certificate_ended_takes_a_new_stick_of_its_own_collector_only(site: Site) -> None:
    set_up(site.stick, site.box())
    far = SystemClock().wall_ns() + 4000 * 86_400 * 10**9

    class Later(SystemClock):
        def wall_ns(self) -> int:
            return far

    box = replace(site.box(), clock=Later())
    (site.root / "box-network" / NETWORK_NAME).unlink()
    ended = set_up(site.stick, box)
    assert (ended.certificate, ended.ended) == (None, True)
    assert (site.root / "box-network" / NETWORK_NAME).exists()
    site.write(site.content(NEXT_TOKEN, "cd" * 32))
    with pytest.raises(BelongsElsewhereError):
        set_up(site.stick, box)
    site.write(site.content(NEXT_TOKEN))
    assert set_up(site.stick, box, and_enroll=False).certificate is None
    assert site.kept().token == NEXT_TOKEN


def test_a_clock_in_1970_neither_hides_the_sensor_nor_dates_the_remark(site: Site) -> None:
    class Slow(SystemClock):
        def wall_ns(self) -> int:
            return 1_000_000_000

    def in_time(plan: EnrollmentPlan, _tell: object) -> Enrolled:
        return enroll(plan, site.box().folder, SystemClock())

    first = set_up(site.stick, replace(site.box(), enroller=in_time, clock=Slow()))
    site.is_done(first)
    used = site.kept().used
    assert used is not None
    assert used.at > "2020"
    assert set_up(site.stick, replace(site.box(), clock=Slow())).certificate == first.certificate


def test_a_bad_stick_does_not_keep_the_network_of_before_away(site: Site) -> None:
    set_up(site.stick, site.box())
    (site.root / "box-network" / NETWORK_NAME).unlink()
    site.file.write_bytes(b"\0")
    with pytest.raises(OperatorError, match="UTF-16"):
        set_up(site.stick, site.box())
    assert (site.root / "box-network" / NETWORK_NAME).exists()


def test_taken_in_first_and_enrolled_when_the_network_is_up(site: Site) -> None:
    outcome = set_up(site.stick, site.box(), and_enroll=False)
    assert (outcome.certificate, site.collector.connections) == (None, 0)
    assert outcome.network_file is not None
    site.is_done(set_up(site.stick, site.box()))


def test_a_stick_taken_out_after_it_was_taken_in_is_wiped_when_it_comes_back(site: Site) -> None:
    set_up(site.stick, site.box(), and_enroll=False)
    copy = site.file.read_bytes()
    site.file.unlink()
    assert set_up(site.stick, site.box()).certificate is not None
    site.file.write_bytes(copy)
    site.is_done(set_up(site.stick, site.box()))


def test_a_stick_pulled_out_during_the_enrollment_leaves_a_sensor_and_a_named_fault(site: Site) -> None:
    def pull(step: str) -> None:
        if "the certificate came" in step:
            site.stick.rename(site.root / "pocket")

    with pytest.raises(StickGoneError, match=SETUP_NAME):
        set_up(site.stick, site.box(), on_step=pull)
    assert site.kept().token is None
    (site.root / "pocket").rename(site.stick)
    site.is_done(set_up(site.stick, site.box()))


def test_read_only_media_is_left_alone_when_it_was_said(site: Site) -> None:
    before = site.file.read_bytes()
    outcome = set_up(site.stick, site.box(leave_stick=True))
    assert outcome.certificate is not None
    assert site.file.read_bytes() == before
    assert site.kept().token is None


def test_without_a_stick_and_with_an_empty_one_a_new_box_says_what_is_missing(site: Site) -> None:
    with pytest.raises(NothingToSetUpError):
        set_up(None, site.box())
    site.file.unlink()
    with pytest.raises(NoSetupFileError):
        set_up(site.stick, site.box())


def test_what_is_kept_and_damaged_is_named_and_a_stick_replaces_it(site: Site) -> None:
    (site.root / "box").mkdir()
    (site.root / "box" / KEPT_NAME).write_bytes(b"[collector\n")
    with pytest.raises(ConfigError, match=KEPT_NAME) as refusal:
        set_up(None, site.box())
    assert "vedette setup" in refusal.value.advice
    site.is_done(set_up(site.stick, site.box()))
