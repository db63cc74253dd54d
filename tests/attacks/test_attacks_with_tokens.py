"""A token on somebody else's stick: each is refused by name and in the audit, and nothing is issued for it."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("tpm2_pytss", reason="needs tpm2-pytss (make setup-test)")

from appliance.enroll import (
    EnrollmentRefusedError,
    TokenExpiredError,
    TokenOtherTpmError,
    TokenRevokedError,
    TokenUnknownError,
    TokenUsedError,
)
from appliance.wire.enrollment import EnrollmentToken
from collector_client.store import Control
from collector_client.tokens import revoke_token
from tests.attacks.box import Box, token_id
from tests.attacks.ledger import Ledger
from tests.collector_client.harness import Collector
from tests.fakes.swtpm import Swtpm

pytestmark = pytest.mark.tpm

HOUR_NS = 3600 * 10**9


def test_token_replayed_by_another_box(collector: Collector, one_tpm: Swtpm, two_tpm: Swtpm, tmp_path: Path) -> None:
    token = collector.token()
    honest = Box(tmp_path / "one", one_tpm).enroll(collector, token)
    books, thief = Ledger(collector), Box(tmp_path / "two", two_tpm)
    with pytest.raises(TokenUsedError, match="TOKEN_USED"):
        thief.enroll(collector, token)
    books.refused("TOKEN_USED", token_id(token))
    assert not thief.identity.certificate_path.exists()
    assert collector.control("SELECT used_by FROM tokens") == [(honest.certificate.sensor_id,)]


def test_token_replayed_for_another_key_of_the_same_tpm(collector: Collector, one_tpm: Swtpm, tmp_path: Path) -> None:
    token = collector.token()
    Box(tmp_path / "one", one_tpm).enroll(collector, token)
    books = Ledger(collector)
    with pytest.raises(TokenUsedError, match="TOKEN_USED"):
        Box(tmp_path / "again", one_tpm).enroll(collector, token)
    books.refused("TOKEN_USED", token_id(token))


def test_token_expired(collector: Collector, one_tpm: Swtpm, tmp_path: Path) -> None:
    token, later = collector.token(life_s=60), collector.token(life_s=2 * 3600)
    collector.clock.ahead_ns = HOUR_NS
    books, box = Ledger(collector), Box(tmp_path / "one", one_tpm)
    with pytest.raises(TokenExpiredError, match="TOKEN_EXPIRED"):
        box.enroll(collector, token)
    books.refused("TOKEN_EXPIRED", token_id(token))
    assert not box.identity.certificate_path.exists()
    collector.clock.ahead_ns = 0
    assert box.enroll(collector, later).certificate.assurance == "tpm"


def test_token_that_the_operator_took_back(collector: Collector, one_tpm: Swtpm, tmp_path: Path) -> None:
    token, box = collector.token(), Box(tmp_path / "one", one_tpm)
    control = Control.open(collector.directory)
    revoke_token(control, token_id(token), "the stick was lost", collector.clock.wall_ns())
    control.close()
    books = Ledger(collector)
    with pytest.raises(TokenRevokedError, match="TOKEN_REVOKED"):
        box.enroll(collector, token)
    books.refused("TOKEN_REVOKED", token_id(token))


def test_token_for_the_box_with_another_tpm(
    collector: Collector, one_tpm: Swtpm, two_tpm: Swtpm, tmp_path: Path
) -> None:
    rightful, thief = Box(tmp_path / "one", one_tpm), Box(tmp_path / "two", two_tpm)
    token = collector.token(ek_sha256=rightful.identity.keys.ek_sha256())
    books = Ledger(collector)
    with pytest.raises(TokenOtherTpmError, match="TOKEN_OTHER_TPM"):
        thief.enroll(collector, token)
    books.refused("TOKEN_OTHER_TPM", token_id(token))
    assert rightful.enroll(collector, token).certificate.assurance == "tpm"


def test_token_guessed(collector: Collector, one_tpm: Swtpm, tmp_path: Path) -> None:
    """The id was seen, the secret was not; the true holder loses nothing by the guess."""
    token, box = collector.token(), Box(tmp_path / "one", one_tpm)
    books = Ledger(collector)
    with pytest.raises(TokenUnknownError, match="TOKEN_UNKNOWN"):
        box.enroll(collector, str(EnrollmentToken(token_id(token), "x" * 43)))
    books.refused("TOKEN_UNKNOWN", token_id(token))
    assert box.enroll(collector, token).certificate.assurance == "tpm"


def test_token_for_another_tenant_with_an_enrolled_key(collector: Collector, one_tpm: Swtpm, tmp_path: Path) -> None:
    """A box that is acme's is enrolled again with a token of umbrella: its alerts would change hands."""
    box = Box(tmp_path / "one", one_tpm)
    box.enroll(collector, collector.token("acme"))
    token = collector.token("umbrella")
    box.identity.certificate_path.unlink()
    books = Ledger(collector)
    with pytest.raises(EnrollmentRefusedError, match="SENSOR_ELSEWHERE"):
        box.enroll(collector, token)
    books.refused("SENSOR_ELSEWHERE", token_id(token))


def test_token_for_another_tenant_with_a_fresh_key_of_an_enrolled_tpm(
    collector: Collector, one_tpm: Swtpm, two_tpm: Swtpm, tmp_path: Path
) -> None:
    """A new key is a new sensor, but the TPM is the one that acme's box has."""
    Box(tmp_path / "one", one_tpm).enroll(collector, collector.token("acme"))
    token = collector.token("umbrella")
    books = Ledger(collector)
    with pytest.raises(EnrollmentRefusedError, match="TPM_ELSEWHERE"):
        Box(tmp_path / "fresh", one_tpm).enroll(collector, token)
    books.refused("TPM_ELSEWHERE", token_id(token))
    # The token is still good for the box that it was made for.
    assert Box(tmp_path / "two", two_tpm).enroll(collector, token).certificate.assurance == "tpm"
