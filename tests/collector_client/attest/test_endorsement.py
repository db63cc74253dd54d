"""An EK certificate is believed for its chain, its key and its purpose; every way to bend it is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from collector_client.attest import AttestError, Trust, parse_public
from collector_client.attest.endorsement import Endorsement, judge
from tests.fakes.tpm_device import Maker, Object, ecc_ek, rsa_ek

MAKER = Maker()
TRUST = Trust(makers=(MAKER.root, MAKER.issuing))
NOW = datetime.now(UTC)


def judged(ek: Object, certificate: bytes | None, trust: Trust = TRUST, now: datetime = NOW) -> Endorsement:
    return judge(parse_public("EK", ek.public), certificate, trust, now)


def refusal_of(act: Callable[[], object]) -> AttestError:
    with pytest.raises(AttestError) as caught:
        act()
    return caught.value


@pytest.mark.parametrize("ek", [rsa_ek(), ecc_ek()], ids=["RSA", "ECC"])
def test_a_chain_to_a_makers_root_is_worth_tpm_despite_the_critical_name_of_the_tpm(ek: Object) -> None:
    found = judged(ek, MAKER.ek_certificate(ek.key.public_key()))
    assert found.assurance == "tpm"
    assert found.voucher == "TPM maker id:53544D20, model ST33, version id:00010101, root CN=Example TPM maker root"


@pytest.mark.parametrize("makers", [(), (MAKER.root,), (MAKER.issuing,)], ids=["nothing", "root only", "no root"])
def test_without_every_link_up_to_a_root_nobody_vouches(makers: tuple[x509.Certificate, ...]) -> None:
    ek = ecc_ek()
    certificate = MAKER.ek_certificate(ek.key.public_key())
    assert judged(ek, certificate, Trust(makers=makers)).assurance == "tpm-unlisted"
    assert judged(ek, None).assurance == "tpm-unlisted"


@pytest.mark.parametrize(
    "changed",
    [
        {"purpose": "1.3.6.1.5.5.7.3.1"},
        {"words": {}},
        {"words": {"2": "ST33"}},
        {"days": (-10, -1)},
        {"days": (1, 10)},
        {"extra": x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")},
        {"ca": True},
    ],
    ids=["for servers", "no TPM named", "no maker", "expired", "not yet", "unknown critical extension", "a CA"],
)
def test_a_certificate_that_is_none_of_an_ek_is_refused(changed: dict[str, Any]) -> None:
    ek = ecc_ek()
    if changed.pop("ca", False):
        certificate = MAKER._certificate("", MAKER.issuing, ek.key.public_key(), ca=True)
        assert refusal_of(lambda: judged(ek, _der(certificate))).code.name == "EK_CERTIFICATE_INVALID"
        return
    certificate_der = MAKER.ek_certificate(ek.key.public_key(), **changed)
    assert refusal_of(lambda: judged(ek, certificate_der)).code.name == "EK_CERTIFICATE_INVALID"


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def test_a_root_out_of_date_vouches_for_nobody() -> None:
    ek = ecc_ek()
    certificate = MAKER.ek_certificate(ek.key.public_key(), days=(-1, 36_500))
    error = refusal_of(lambda: judged(ek, certificate, now=NOW + timedelta(days=4000)))
    assert error.code.name == "EK_CERTIFICATE_INVALID"


def test_a_leaf_cannot_vouch_for_a_leaf() -> None:
    ek, other = ecc_ek(), ecc_ek()
    leaf = x509.load_der_x509_certificate(MAKER.ek_certificate(other.key.public_key()))
    forger = Maker()
    forger.issuing, forger.issuing_key = leaf, other.key
    certificate = forger.ek_certificate(ek.key.public_key())
    trust = Trust(makers=(MAKER.root, MAKER.issuing, leaf))
    assert refusal_of(lambda: judged(ek, certificate, trust)).code.name == "EK_CERTIFICATE_INVALID"


def test_a_certificate_of_another_ek_is_refused_even_where_unlisted_tpms_are_taken() -> None:
    certificate = MAKER.ek_certificate(ecc_ek().key.public_key())
    assert refusal_of(lambda: judged(rsa_ek(), certificate)).code.name == "EK_CERTIFICATE_DIFFERS"
    assert refusal_of(lambda: judged(ecc_ek(), certificate, Trust())).code.name == "EK_CERTIFICATE_DIFFERS"


MUTATED = ecc_ek()
MUTATED_DER = MAKER.ek_certificate(MUTATED.key.public_key())


@settings(max_examples=600)
@given(st.lists(st.tuples(st.integers(0, len(MUTATED_DER) - 1), st.integers(0, 255)), min_size=1, max_size=3))
def test_a_bent_certificate_never_gives_more_than_unlisted(edits: list[tuple[int, int]]) -> None:
    bent = bytearray(MUTATED_DER)
    for at, value in edits:
        bent[at] = value
    try:
        found = judged(MUTATED, bytes(bent))
    except AttestError:
        return
    # ECDSA over the whole body: only the signature's own encoding may differ and still be the same certificate.
    assert found.assurance == "tpm-unlisted" or bytes(bent) == MUTATED_DER
