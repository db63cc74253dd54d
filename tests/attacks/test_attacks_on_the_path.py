"""Somebody between box and collector: the box refuses by name, and its token stays unsaid.

The interceptor has a whole and valid chain for the very address, from a CA that other programs of the box believe. It
passes everything on, so it has all that the collector would answer; what it heard is looked at byte by byte. The
collector sees nothing of such an attack but a question for its CA, so there is no row to write: that its books stay as
they were is what is claimed of it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509

pytest.importorskip("tpm2_pytss", reason="needs tpm2-pytss (make setup-test)")

from appliance.enroll import IssuedWrongError, WrongPinError
from appliance.identity import WrongCaError
from appliance.wire.enrollment import EnrollmentToken
from tests.attacks.box import Box
from tests.attacks.ledger import Ledger
from tests.attacks.middle import between, nothing_but_the_question
from tests.collector_client.harness import Collector
from tests.fakes.pki import Authority
from tests.fakes.swtpm import Swtpm

pytestmark = pytest.mark.tpm


@pytest.fixture
def box(one_tpm: Swtpm, tmp_path: Path) -> Box:
    return Box(tmp_path / "box", one_tpm)


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
