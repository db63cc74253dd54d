"""The operator's files of trusted TPMs: absent, changed while running, and carried along by a backup."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

from collector_client.attest import Trust
from collector_client.care import backup, restore
from collector_client.create import create_collector
from collector_client.errors import OperatorError
from collector_client.pki import TpmTrust
from collector_client.store.clock import SystemClock
from tests.fakes.tpm_device import Maker

MAKER, OTHER = Maker(), Maker("Other")


def test_without_files_no_tpm_is_known(tmp_path: Path) -> None:
    assert TpmTrust(tmp_path).current() == Trust()


def test_a_file_that_appears_changes_or_goes_is_seen_at_the_next_question(tmp_path: Path) -> None:
    trust = TpmTrust(tmp_path)
    assert trust.current().makers == ()
    (tmp_path / "tpm-roots").mkdir()
    first = tmp_path / "tpm-roots" / "a maker.pem"
    first.write_bytes(MAKER.pem)
    assert trust.current().makers == (MAKER.root, MAKER.issuing)
    assert trust.current() is trust.current(), "read once while nothing changes"
    (tmp_path / "tpm-roots" / "b.pem").write_bytes(OTHER.pem)
    (tmp_path / "tpm-roots" / "notes.txt").write_text("not a certificate")
    assert len(trust.current().makers) == 4
    first.unlink()
    assert trust.current().makers == (OTHER.root, OTHER.issuing)
    (tmp_path / "tpm-allowed").write_text(f"{'AB' * 32}\n")
    assert trust.current().allowed == {b"\xab" * 32}


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("tpm-roots/bad.pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "bad.pem"),
        ("tpm-roots-development/bad.pem", b"", "bad.pem"),
        ("tpm-allowed", b"# fine\nnot a digest\n", "tpm-allowed:2: 'not a digest'"),
    ],
)
def test_a_file_with_an_error_is_named_and_nothing_else_is_believed(
    tmp_path: Path, name: str, data: bytes, said: str
) -> None:
    trust = TpmTrust(tmp_path)
    (tmp_path / "tpm-roots").mkdir()
    (tmp_path / "tpm-roots" / "good.pem").write_bytes(MAKER.pem)
    trust.current()
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    for _ in range(2):
        with pytest.raises(OperatorError, match=said):
            trust.current()
    path.unlink()
    assert trust.current().makers == (MAKER.root, MAKER.issuing)


def test_a_backup_takes_them_along(tmp_path: Path) -> None:
    collector = tmp_path / "collector"
    create_collector(collector, ["localhost"], "127.0.0.1:0", SystemClock())
    for folder, maker in (("tpm-roots", MAKER), ("tpm-roots-development", OTHER)):
        (collector / "pki" / folder).mkdir()
        (collector / "pki" / folder / "Maker (1).pem").write_bytes(maker.pem)
    (collector / "pki" / "tpm-allowed").write_text(f"{'ab' * 32}\n")
    backup(collector, tmp_path / "copy")
    restore(tmp_path / "copy", tmp_path / "again")
    assert TpmTrust(tmp_path / "again" / "pki").current() == Trust(
        makers=(MAKER.root, MAKER.issuing), development=(OTHER.root, OTHER.issuing), allowed=frozenset({b"\xab" * 32})
    )
    assert x509.load_pem_x509_certificates((tmp_path / "again" / "pki" / "root.pem").read_bytes())
