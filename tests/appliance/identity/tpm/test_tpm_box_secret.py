"""A box's secret is always the same in its own TPM, another one in every other, and heard by nobody on the way."""

from __future__ import annotations

import pytest

pytest.importorskip("tpm2_pytss", reason="needs tpm2-pytss (make setup-test)")

from tpm2_pytss import TPM2_CAP, TPM2_HC

from appliance.identity import TpmMissingError
from appliance.identity.tpm import TpmKeyStore
from appliance.identity.tpm.session import open_tpm
from tests.fakes.swtpm import Swtpm, Tap

pytestmark = pytest.mark.tpm


def test_a_label_gives_the_same_secret_over_power_cuts_and_owners(tpm: Swtpm) -> None:
    keys = TpmKeyStore(tpm.tcti)
    secret = keys.box_secret(b"one")
    assert len(secret) == 32
    assert keys.box_secret(b"one") == secret
    tpm.power_cycle()
    assert keys.box_secret(b"one") == secret
    keys.clear_device()
    assert keys.box_secret(b"one") == secret


def test_another_label_and_another_tpm_give_another_secret(tpm: Swtpm, other_tpm: Swtpm) -> None:
    keys, other = TpmKeyStore(tpm.tcti), TpmKeyStore(other_tpm.tcti)
    assert len({keys.box_secret(b"one"), keys.box_secret(b"two"), other.box_secret(b"one")}) == 3


def test_nothing_stays_loaded_in_the_tpm(tpm: Swtpm) -> None:
    keys = TpmKeyStore(tpm.tcti)
    for _ in range(5):
        keys.box_secret(b"one")
    with open_tpm(tpm.tcti) as session:
        for first in (TPM2_HC.TRANSIENT_FIRST, TPM2_HC.LOADED_SESSION_FIRST):
            _, data = session.esapi.get_capability(TPM2_CAP.HANDLES, first, 254)
            assert list(data.data.handles) == []


def test_who_listens_between_tpm_and_processor_does_not_hear_it(tpm: Swtpm, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = bytearray()
    passing = Tap._pass

    def listen(self: Tap, source: object, sink: object, counted: bool) -> None:
        passing(self, Ear(source, heard), sink, counted)  # type: ignore[arg-type]

    monkeypatch.setattr(Tap, "_pass", listen)
    with Tap(tpm) as tap:
        secret = TpmKeyStore(tap.tcti).box_secret(b"one")
    assert b"one" in heard, "it listens at the right place"
    assert secret not in heard


def test_a_tpm_that_is_not_there_is_named() -> None:
    with pytest.raises(TpmMissingError):
        TpmKeyStore("device:/dev/no-such-tpm").box_secret(b"one")


class Ear:
    """A socket that keeps what it has received."""

    def __init__(self, source: object, heard: bytearray) -> None:
        self._source = source
        self._heard = heard

    def recv(self, size: int) -> bytes:
        data: bytes = self._source.recv(size)  # type: ignore[attr-defined]
        self._heard += data
        return data

    def __getattr__(self, name: str) -> object:
        return getattr(self._source, name)
