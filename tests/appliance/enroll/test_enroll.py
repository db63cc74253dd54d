"""Enrollment against a real TLS server: nothing unpinned is trusted, every refusal has a name, breaking off is safe."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from appliance.clock import SystemClock
from appliance.enroll import (
    Enrolled,
    EnrollmentPlan,
    EnrollmentRefusedError,
    IssuedWrongError,
    TokenExpiredError,
    TokenUnknownError,
    TokenUsedError,
    WrongPinError,
    enroll,
)
from appliance.errors import ApplianceError, OperatorError
from appliance.identity import (
    CollectorUrl,
    IdentityFolder,
    KeyExposedError,
    NotReachableError,
    Proxy,
    SoftKey,
    WrongCaError,
    WrongNameError,
)
from appliance.wire.codes import SessionCode
from appliance.wire.enrollment import EnrollmentToken
from tests.fakes.collector import FakeCollector
from tests.fakes.pki import Authority, pem
from tests.fakes.proxy import FakeProxy

TOKEN = EnrollmentToken("t-abcdefghijkl", "S" * 40)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def collector(authority: Authority, tmp_path: Path) -> Iterator[FakeCollector]:
    with FakeCollector(authority, authority.server(tmp_path)) as fake:
        fake.tokens[TOKEN.token_id] = TOKEN
        yield fake


@pytest.fixture
def folder(tmp_path: Path) -> IdentityFolder:
    return IdentityFolder(tmp_path / "identity")


def plan(collector: FakeCollector, *, pin: str = "", token: EnrollmentToken = TOKEN) -> EnrollmentPlan:
    return EnrollmentPlan([CollectorUrl.parse(collector.url)], pin or collector.authority.pin, token, timeout_s=10)


def run(what: EnrollmentPlan, folder: IdentityFolder) -> Enrolled:
    return enroll(what, folder, SystemClock())


def nothing_written(folder: IdentityFolder) -> bool:
    return not folder.certificate_path.exists() and not folder.ca_path.exists()


def test_a_token_and_a_pin_make_a_sensor(collector: FakeCollector, folder: IdentityFolder) -> None:
    steps: list[str] = []
    done = enroll(plan(collector), folder, SystemClock(), on_step=steps.append)
    assert not done.already
    identity = folder.load()
    assert identity.certificate == done.certificate
    assert identity.certificate.assurance == "software"
    assert stat.S_IMODE(folder.key_path.stat().st_mode) == 0o600
    assert steps[-1].endswith("the certificate came")
    assert len(pem_blocks(folder.certificate_path)) == 2, "the issuing CA goes with it"


def pem_blocks(path: Path) -> list[str]:
    return path.read_text().split("-----BEGIN CERTIFICATE-----")[1:]


def test_enrolling_again_asks_nothing(collector: FakeCollector, folder: IdentityFolder) -> None:
    run(plan(collector), folder)
    before = collector.connections
    assert run(plan(collector), folder).already
    assert collector.connections == before


@pytest.mark.parametrize("gone", [("certificate_path",), ("certificate_path", "ca_path")])
def test_what_broke_off_goes_on_with_the_same_key_and_the_same_token(
    collector: FakeCollector, folder: IdentityFolder, gone: tuple[str, ...]
) -> None:
    """The power went after the collector had issued the certificate and before it was on the disk."""
    first = run(plan(collector), folder)
    for name in gone:
        getattr(folder, name).unlink()
    second = run(plan(collector), folder)
    assert second.certificate.sensor_id == first.certificate.sensor_id
    assert not second.already


def test_an_expired_certificate_leads_to_a_new_enrollment(
    collector: FakeCollector, folder: IdentityFolder, authority: Authority
) -> None:
    run(plan(collector), folder)
    key = SoftKey.load(folder.key_path)
    folder.certificate_path.write_bytes(pem(authority.sensor(key.public_key, days=(-30, -1)), authority.issuing))
    assert not run(plan(collector), folder).already


def test_another_pin_is_refused_before_the_token_is_sent(collector: FakeCollector, folder: IdentityFolder) -> None:
    with pytest.raises(WrongPinError, match="none of the 2 CAs it offers has the pinned key 00000000") as refused:
        run(plan(collector, pin="0" * 64), folder)
    assert "ca_pin" in refused.value.advice
    assert not collector.used
    assert nothing_written(folder)


def test_a_middleman_who_shows_the_right_ca_but_has_no_certificate_of_it_gets_no_token(
    authority: Authority, tmp_path: Path, folder: IdentityFolder
) -> None:
    """The attack: replay the public CA, terminate TLS with a certificate of one's own."""
    with FakeCollector(authority, Authority("Middleman").server(tmp_path)) as middleman:
        middleman.tokens[TOKEN.token_id] = TOKEN
        with pytest.raises(WrongCaError):
            run(plan(middleman), folder)
        assert not middleman.used
    assert nothing_written(folder)


def test_a_pinned_key_in_a_certificate_that_is_no_ca_is_refused(
    collector: FakeCollector, folder: IdentityFolder, authority: Authority
) -> None:
    collector.cacerts = [authority.sensor(authority.root_key.public_key()), authority.issuing]
    with pytest.raises(WrongPinError):
        run(plan(collector), folder)


def test_a_foreign_ca_beside_the_pinned_one_is_not_trusted(
    collector: FakeCollector, folder: IdentityFolder, authority: Authority
) -> None:
    other = Authority("Stowaway")
    collector.cacerts = [other.root, other.issuing, authority.root, authority.issuing]
    run(plan(collector), folder)
    assert folder.ca_path.read_bytes() == pem(authority.root, authority.issuing)


def test_a_server_of_another_name_is_refused(authority: Authority, tmp_path: Path, folder: IdentityFolder) -> None:
    with FakeCollector(authority, authority.server(tmp_path, host="collector.example")) as elsewhere:
        with pytest.raises(WrongNameError) as refused:
            run(plan(elsewhere), folder)
        assert "--name" in refused.value.advice


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (SessionCode.TOKEN_EXPIRED, TokenExpiredError),
        (SessionCode.TOKEN_USED, TokenUsedError),
        (SessionCode.TOKEN_UNKNOWN, TokenUnknownError),
        (SessionCode.KEY_IN_SOFTWARE, EnrollmentRefusedError),
    ],
)
def test_each_refusal_of_a_token_has_its_name_and_says_what_to_do(
    collector: FakeCollector, folder: IdentityFolder, code: SessionCode, error: type[ApplianceError]
) -> None:
    collector.tokens[TOKEN.token_id] = code
    with pytest.raises(error, match=str(code)) as refused:
        run(plan(collector), folder)
    assert refused.value.advice == code.do
    assert nothing_written(folder)


def test_a_token_that_another_box_has_used_is_refused(
    collector: FakeCollector, folder: IdentityFolder, tmp_path: Path
) -> None:
    run(plan(collector), IdentityFolder(tmp_path / "first box"))
    with pytest.raises(TokenUsedError):
        run(plan(collector), folder)


def test_a_certificate_of_another_key_is_refused(
    collector: FakeCollector, folder: IdentityFolder, authority: Authority
) -> None:
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    collector.issue = lambda _: [authority.sensor(other)]
    with pytest.raises(IssuedWrongError, match="for another key"):
        run(plan(collector), folder)
    assert nothing_written(folder)


def test_a_certificate_of_another_ca_is_refused(collector: FakeCollector, folder: IdentityFolder) -> None:
    other = Authority("Other")
    collector.issue = lambda key: [other.sensor(key), other.issuing]
    with pytest.raises(IssuedWrongError, match="does not lead to a trusted CA"):
        run(plan(collector), folder)
    assert nothing_written(folder)


@pytest.mark.parametrize("days", [(-30, -1), (1, 30)])
def test_a_certificate_out_of_date_is_refused_at_once(
    collector: FakeCollector, folder: IdentityFolder, authority: Authority, days: tuple[float, float]
) -> None:
    collector.issue = lambda key: [authority.sensor(key, days=days)]
    with pytest.raises(IssuedWrongError, match="our certificate"):
        run(plan(collector), folder)
    assert nothing_written(folder)


def test_an_address_that_does_not_answer_is_passed_over(collector: FakeCollector, folder: IdentityFolder) -> None:
    what = plan(collector)
    done = run(
        EnrollmentPlan([CollectorUrl("127.0.0.1", 1), *what.urls], what.pin, what.token, timeout_s=10), folder
    )  # fmt: skip
    assert done.url == collector.url


def test_nobody_there_is_named_and_leaves_only_the_key(folder: IdentityFolder) -> None:
    with pytest.raises(NotReachableError, match="Connection refused") as refused:
        run(EnrollmentPlan([CollectorUrl("127.0.0.1", 1)], "0" * 64, TOKEN), folder)
    assert "firewall" in refused.value.advice
    assert folder.key_path.exists()
    assert nothing_written(folder)


def test_enrollment_goes_through_a_proxy(collector: FakeCollector, folder: IdentityFolder) -> None:
    what = plan(collector)
    with FakeProxy() as proxy:
        run(EnrollmentPlan(what.urls, what.pin, what.token, Proxy("127.0.0.1", proxy.port), 10), folder)
        assert len(proxy.asked) == 2


def test_an_exposed_key_is_not_replaced_silently(collector: FakeCollector, folder: IdentityFolder) -> None:
    SoftKey.load_or_create(folder.key_path)
    folder.key_path.chmod(0o644)
    with pytest.raises(KeyExposedError):
        run(plan(collector), folder)


@pytest.mark.parametrize(
    ("urls", "pin", "token"),
    [
        ([], "0" * 64, str(TOKEN)),
        (["http://c"], "0" * 64, str(TOKEN)),
        (["https://c"], "0" * 63, str(TOKEN)),
        (["https://c"], "0" * 64, "t-abcdefghijkl"),
        (["https://c"], "", ""),
    ],
)
def test_a_plan_of_another_form_is_refused(urls: list[str], pin: str, token: str) -> None:
    with pytest.raises(OperatorError):
        EnrollmentPlan.parse(urls=urls, ca_pin=pin, token=token)


def test_a_plan_forgives_how_a_pin_was_typed() -> None:
    pin = ":".join(["AB"] * 32)
    made = EnrollmentPlan.parse(urls=["https://c"], ca_pin=pin, token=f" {TOKEN}\n", proxy="http://p:8080")
    assert (made.pin, made.token, made.proxy) == ("ab" * 32, TOKEN, Proxy("p", 8080))
