"""Who can bring a box a new root, and who cannot."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from hypothesis import given
from hypothesis import strategies as st

from appliance.identity import CertificateInvalidError
from appliance.identity.certificates import parse_certs_only, spki_der
from appliance.identity.trust import anchors_of, follow, leads_to
from collector_client.pki import Authority, KeyPlaces, profile, rollover
from collector_client.pki.chains import load_chains
from collector_client.pki.files import load_certificate, load_key, new_key

NOW_NS = time.time_ns()
NOW = profile.datetime_of(NOW_NS)
DAY_NS = 86_400 * 10**9


class Provider:
    """A collector's authorities before and after roll-overs of its root."""

    def __init__(self, folder: Path) -> None:
        self.pki, self.root_dir, self._folder = folder / "pki", folder / "pki", folder
        Authority.create(self.pki, ["localhost"], NOW_NS)
        self.before = load_chains(self.pki).told()

    @property
    def told(self) -> list[x509.Certificate]:
        return load_chains(self.pki).told()

    @property
    def roots(self) -> list[x509.Certificate]:
        return load_chains(self.pki).trusted("root")

    def roll(self) -> None:
        """A new root, an issuing CA under it, and the end of what was before."""
        old = [entry.name for entry in load_chains(self.pki).register.entries if entry.state in ("trusted", "issuing")]
        new_dir = self._folder / f"{self.root_dir.name}+"
        made = rollover.new_root(self.root_dir, new_dir, NOW_NS)
        rollover.install(self.pki, made, NOW_NS)
        self.root_dir = new_dir
        _, request = rollover.request(self.pki, "file", "", KeyPlaces())
        rollover.install(self.pki, [rollover.sign(new_dir, request, NOW_NS)], NOW_NS)
        for name in sorted(old, key=lambda name: name.startswith("root")):
            rollover.retire(self.pki, name)


@pytest.fixture
def provider(tmp_path: Path) -> Provider:
    return Provider(tmp_path)


def test_nothing_new_changes_nothing(provider: Provider) -> None:
    assert follow(provider.before, provider.before, NOW_NS) == provider.before


@pytest.mark.parametrize("rolls", [1, 2, 3])
def test_a_root_that_the_old_one_vouches_for_takes_its_place_however_many_were_missed(
    provider: Provider, rolls: int
) -> None:
    for _ in range(rolls):
        provider.roll()
    trusted = follow(provider.before, provider.told, NOW_NS)
    assert anchors_of(trusted) == provider.roots
    key = new_key()
    made = Authority.open(provider.pki).issue_sensor(key.public_key(), NOW_NS, 30)
    leaf = x509.load_der_x509_certificate(made.der)
    assert leads_to(trusted, leaf, trusted) is not None
    assert leads_to(provider.before, leaf, provider.before) is None


def test_a_root_of_somebody_elses_is_forgotten(provider: Provider, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Provider(tmp_path / "other")
    told = [*provider.before, *other.told]
    assert follow(provider.before, told, NOW_NS) == provider.before
    assert follow(provider.before, other.told, NOW_NS) == []


def forged_by(signer: x509.Certificate, key_path: Path) -> list[x509.Certificate]:
    """A root of the thief's with a link signed by a key that he stole."""
    key = new_key()
    root = profile.make_root(key, NOW)
    link = (
        x509.CertificateBuilder()
        .subject_name(root.subject)
        .issuer_name(root.subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - profile.BACKDATED)
        .not_valid_after(signer.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        .sign(load_key(key_path), hashes.SHA256())
    )
    return [root, link]


def test_who_stole_an_issuing_ca_brings_no_root_of_his_own(provider: Provider) -> None:
    issuing = load_certificate(provider.pki / "issuing.pem")
    forged = forged_by(issuing, provider.pki / "issuing.key")
    assert follow(provider.before, [*provider.before, *forged], NOW_NS) == provider.before
    assert follow(provider.before, forged, NOW_NS) == []


def test_a_link_for_another_key_than_the_root_that_came_is_worth_nothing(provider: Provider) -> None:
    provider.roll()
    rogue = profile.make_root(new_key(), NOW)
    links = [one for one in provider.told if one.subject == one.issuer and one not in provider.roots]
    assert spki_der(rogue) not in [spki_der(link) for link in links]
    assert follow(provider.before, [rogue, *links], NOW_NS) == []


def test_a_link_that_is_out_of_date_is_worth_nothing(provider: Provider) -> None:
    provider.roll()
    assert follow(provider.before, provider.told, NOW_NS + 21 * 365 * DAY_NS) == []
    assert follow(provider.before, provider.told, NOW_NS - 2 * DAY_NS) == []


def test_the_old_root_is_not_believed_by_who_began_with_the_new_one(provider: Provider) -> None:
    provider.roll()
    old = provider.before
    assert follow(provider.told, [*provider.told, *old], NOW_NS) == follow(provider.told, provider.told, NOW_NS)


@pytest.mark.filterwarnings("ignore:PKCS#7 certificates could not be parsed as DER")  # the library then tries BER
@given(at=st.integers(0, 10_000), bit=st.integers(0, 7), which=st.integers(0, 5))
def test_a_bent_answer_is_refused_by_name_or_brings_no_new_root(
    bent: tuple[Provider, bytes], at: int, bit: int, which: int
) -> None:
    provider, der = bent
    changed = bytearray(der)
    changed[(at * 6 + which) % len(der)] ^= 1 << bit
    try:
        told = parse_certs_only("x", bytes(changed))
        trusted = follow(provider.before, told, NOW_NS)
    except CertificateInvalidError:
        return
    assert {spki_der(root) for root in anchors_of(trusted)} <= {spki_der(root) for root in provider.roots}


@pytest.fixture(scope="module")
def bent(tmp_path_factory: pytest.TempPathFactory) -> tuple[Provider, bytes]:
    """A provider after a roll-over, and what its /cacerts says."""
    provider = Provider(tmp_path_factory.mktemp("bent"))
    provider.roll()
    return provider, Authority.open(provider.pki).ca_certs_only()
