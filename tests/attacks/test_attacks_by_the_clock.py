"""A clock that says 1970, on either side: nothing is taken outside of its life, and the token stays unsaid."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("tpm2_pytss", reason="needs tpm2-pytss (make setup-test)")

from appliance.enroll import IssuedWrongError
from appliance.identity import ServerExpiredError, WrongCaError
from appliance.wire.signed_time import TIME_PATH
from tests.attacks.box import Box
from tests.attacks.ledger import Ledger
from tests.attacks.middle import between, nothing_but_the_question
from tests.collector_client.harness import Collector
from tests.fakes.pki import Authority
from tests.fakes.swtpm import Swtpm

pytestmark = pytest.mark.tpm

DAYS_AHEAD = (1.0, 30.0)


@pytest.fixture
def box(one_tpm: Swtpm, tmp_path: Path) -> Box:
    return Box(tmp_path / "box", one_tpm)


class InJanuary1970:
    """A box without a battery, five seconds after power came."""

    def wall_ns(self) -> int:
        return 5 * 10**9

    def monotonic_s(self) -> float:
        return 5.0


def test_clock_of_the_box_in_1970(collector: Collector, box: Box) -> None:
    """A certificate is not taken on trust of a clock that cannot be right; nothing is lost by the attempt."""
    token = collector.token()
    with pytest.raises(IssuedWrongError, match=r"valid from .*, now is 1970-01-01") as told:
        box.enroll(collector, token, clock=InJanuary1970())
    assert "set the clock" in told.value.advice
    assert not box.identity.certificate_path.exists()
    ((issued,),) = collector.control("SELECT certificate FROM sensors")
    done = box.enroll(collector, token)
    assert not done.already
    assert collector.control("SELECT certificate FROM sensors") == [(issued,)]
    # With the clock back in 1970 it is the clock that is wrong: nothing is asked, and no other is taken for it.
    assert box.enroll(collector, token, clock=InJanuary1970()).already
    assert collector.control("SELECT certificate FROM sensors") == [(issued,)]


def test_box_in_1970_goes_by_the_collectors_time(collector: Collector, box: Box) -> None:
    """What the box does today about such a clock; the next attack is on exactly that."""
    told: list[str] = []
    assert not box.enroll_in_time(collector, collector.token(), InJanuary1970(), told).already
    assert any("working by the collector's signed time" in step for step in told)


def test_interceptor_of_a_box_in_1970(collector: Collector, thief: Authority, box: Box, tmp_path: Path) -> None:
    """It passes the true time on, and hopes that a box which judges dates itself has left the rest unjudged."""
    token, told = collector.token(), list[str]()
    books = Ledger(collector)
    with between(thief, collector, tmp_path) as middle, pytest.raises(WrongCaError):
        box.enroll_in_time(collector, token, InJanuary1970(), told, url=middle.url)
    time_asked, _, rest = middle.heard.partition(b"\r\n\r\n")
    assert time_asked.startswith(f"GET {TIME_PATH} ".encode())
    assert nothing_but_the_question(rest, token), middle.heard
    assert any("working by the collector's signed time" in step for step in told)
    assert not box.identity.certificate_path.exists()
    books.unchanged()


def test_clock_behind_the_certificate_of_the_server(collector: Collector, box: Box, tmp_path: Path) -> None:
    """As TLS sees it from 1970: a certificate of the pinned CA that is not good yet. The token stays unsaid."""
    token, provider = collector.token(), Authority("Provider")
    books = Ledger(collector)
    tomorrow = between(provider, collector, tmp_path, [provider.root, provider.issuing], DAYS_AHEAD)
    with tomorrow as server, pytest.raises(ServerExpiredError, match="not yet valid") as told:
        box.enroll(collector, token, url=server.url, pin=provider.pin)
    assert "clock" in told.value.advice
    assert nothing_but_the_question(server.heard, token), server.heard
    books.unchanged()


@pytest.mark.tpm_tls
@pytest.mark.timeout(300)
@pytest.mark.parametrize("off_ns", [-1, 40 * 86_400 * 10**9], ids=["in 1970", "when it has ended"])
def test_certificate_outside_of_its_life_by_the_collectors_clock(off_ns: int, collector: Collector, box: Box) -> None:
    """TLS goes by the machine's clock; each request is held against the collector's own besides."""
    box.enroll(collector, collector.token())
    ((name,),) = collector.control("SELECT sensor_id FROM sensors")
    books = Ledger(collector)
    collector.clock.ahead_ns = 5 * 10**9 - collector.clock.wall_ns() if off_ns < 0 else off_ns
    done = box.renew(collector)
    assert done.returncode != 0
    assert "CERTIFICATE_EXPIRED" in done.stderr
    books.refused("CERTIFICATE_EXPIRED", str(name), "renew refused")
