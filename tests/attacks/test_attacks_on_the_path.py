"""Somebody between box and collector, or a clock that says 1970: the box refuses by name and its token stays unsaid.

The interceptor has a whole and valid chain for the very address, from a CA that other programs of the box believe. It
passes everything on, so it has all that the collector would answer; what it heard is looked at byte by byte. The
collector sees nothing of such an attack but a question for its CA, so there is no row to write: that its books stay as
they were is what is claimed of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509

pytest.importorskip("tpm2_pytss", reason="needs tpm2-pytss (make setup-test)")

from appliance.enroll import IssuedWrongError, WrongPinError
from appliance.identity import ServerExpiredError, WrongCaError
from appliance.wire.enrollment import CACERTS_PATH, EnrollmentToken
from tests.attacks.box import Box
from tests.attacks.ledger import Ledger
from tests.collector_client.harness import Collector
from tests.fakes.interceptor import Interceptor
from tests.fakes.pki import Authority, pem
from tests.fakes.swtpm import Swtpm

pytestmark = pytest.mark.tpm

DAYS_AHEAD = (1.0, 30.0)


@pytest.fixture
def thief(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """A CA that the box's system trusts for everything."""
    made = Authority("Well-known")
    path = tmp_path / "system-trust.pem"
    path.write_bytes(pem(made.root, made.issuing))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return made


@pytest.fixture
def box(one_tpm: Swtpm, tmp_path: Path) -> Box:
    return Box(tmp_path / "box", one_tpm)


@contextmanager
def between(
    thief: Authority,
    collector: Collector,
    folder: Path,
    cacerts: list[x509.Certificate] | None = None,
    days: tuple[float, float] = (-1, 30),
) -> Iterator[Interceptor]:
    """An interceptor in front of the collector."""
    with Interceptor(thief.server(folder, days=days), collector.address, cacerts) as made:
        yield made


def nothing_but_the_question(heard: bytes, token: str) -> bool:
    """The box asked for the CA and said no more: no token in any form, no request, no word of its TPM."""
    secrets = (EnrollmentToken.parse(token).secret, EnrollmentToken.parse(token).authorization())
    lines = heard.decode("latin-1").split("\r\n")
    names = {line.partition(":")[0].lower() for line in lines[1:-2]}
    asked = (
        lines[0] == f"GET {CACERTS_PATH} HTTP/1.1" and lines[-2:] == ["", ""] and names <= {"host", "accept-encoding"}
    )
    return asked and not any(secret.encode() in heard for secret in secrets)


def test_the_interceptor_of_these_attacks_gets_the_token_of_a_box_that_believes_it(
    collector: Collector, thief: Authority, box: Box, tmp_path: Path
) -> None:
    """The control: with the thief's pin on the stick, everything passes through its hands."""
    token = collector.token()
    with between(thief, collector, tmp_path, [thief.root, thief.issuing]) as middle, pytest.raises(IssuedWrongError):
        box.enroll(collector, token, url=middle.url, pin=thief.pin)
    assert EnrollmentToken.parse(token).authorization().encode() in middle.heard
    assert not nothing_but_the_question(middle.heard, token)


def own_cas(_: Collector, thief: Authority) -> list[x509.Certificate] | None:
    """It offers its own CA as the collector's."""
    return [thief.root, thief.issuing]


def the_collectors(_: Collector, __: Authority) -> list[x509.Certificate] | None:
    """It passes the collector's CA on, so that the pin is met."""
    return None


def both(collector: Collector, thief: Authority) -> list[x509.Certificate] | None:
    """It slips its own CA in beside the collector's."""
    return [*x509.load_pem_x509_certificates(collector.authority.ca_pem()), thief.root, thief.issuing]


@pytest.mark.parametrize(
    ("offers", "named"), [(own_cas, WrongPinError), (the_collectors, WrongCaError), (both, WrongCaError)]
)
def test_interceptor_with_a_valid_but_unpinned_ca(
    offers: Callable[[Collector, Authority], list[x509.Certificate] | None],
    named: type[Exception],
    collector: Collector,
    thief: Authority,
    box: Box,
    tmp_path: Path,
) -> None:
    token = collector.token()
    books = Ledger(collector)
    with between(thief, collector, tmp_path, offers(collector, thief)) as middle, pytest.raises(named):
        box.enroll(collector, token, url=middle.url)
    assert nothing_but_the_question(middle.heard, token), middle.heard
    assert middle.refused == (0 if named is WrongPinError else 1)
    assert not box.identity.certificate_path.exists()
    assert not box.identity.ca_path.exists()
    books.unchanged()
    assert box.enroll(collector, token).certificate.assurance == "tpm"


@pytest.mark.tpm_tls
@pytest.mark.timeout(300)
def test_interceptor_of_a_renewal(collector: Collector, thief: Authority, box: Box, tmp_path: Path) -> None:
    """An enrolled box says nothing at all to a stranger, and keeps what it has."""
    box.enroll(collector, collector.token())
    before, books = box.identity.certificate_path.read_bytes(), Ledger(collector)
    with between(thief, collector, tmp_path) as middle:
        done = box.renew(collector, url=middle.url)
    assert done.returncode != 0
    assert "not from the pinned CA" in done.stderr
    assert (middle.heard, middle.refused >= 1) == (b"", True)
    books.unchanged()
    assert box.identity.certificate_path.read_bytes() == before
    assert box.renew(collector).returncode == 0


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
    # With the clock back in 1970 the good certificate does not stand, and no other is taken for it.
    with pytest.raises(IssuedWrongError, match="now is 1970-01-01"):
        box.enroll(collector, token, clock=InJanuary1970())


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
