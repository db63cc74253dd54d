"""Pairs of key and certificate: one is in force at every moment, and it is whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.errors import OperatorError
from appliance.identity import IdentityFolder, KeyFileError, NotEnrolledError, SoftKey
from tests.fakes.pki import Authority, pem


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def folder(tmp_path: Path, authority: Authority) -> IdentityFolder:
    made = IdentityFolder(tmp_path / "identity")
    fill(made, authority)
    return made


def fill(folder: IdentityFolder, authority: Authority) -> SoftKey:
    key = SoftKey.load_or_create(folder.key_path)
    folder.write(
        ca_pem=pem(authority.root), certificate_pem=pem(authority.sensor(key.public_key), authority.issuing)
    )  # fmt: skip
    return key


def test_the_next_pair_is_in_force_after_the_switch_and_not_before(
    folder: IdentityFolder, authority: Authority
) -> None:
    first = folder.load()
    following = folder.at(folder.pairs.following())
    key = fill(following, authority)
    assert folder.load().certificate == first.certificate
    folder.pairs.switch(following.certificate_path.parent)
    assert folder.load().signer.spki_der() == key.spki_der()
    assert folder.pairs.earlier() == folder.key_path.parent.parent
    assert first.context() is not None, "who looked before still has whole files"
    folder.pairs.drop_earlier()
    assert folder.pairs.earlier() is None
    assert folder.load().signer.spki_der() == key.spki_der()


def test_a_switch_can_be_taken_back(folder: IdentityFolder, authority: Authority) -> None:
    first = folder.load().signer.spki_der()
    following = folder.pairs.following()
    fill(folder.at(following), authority)
    folder.pairs.switch(following)
    folder.pairs.switch(folder.pairs.earlier() or Path())
    folder.pairs.drop(following)
    assert folder.load().signer.spki_der() == first
    assert not following.exists()


def test_many_renewals_leave_one_pair(folder: IdentityFolder, authority: Authority) -> None:
    for _ in range(12):
        following = folder.pairs.following()
        fill(folder.at(following), authority)
        folder.pairs.switch(following)
        folder.pairs.drop_earlier()
    root = folder.ca_path.parent
    assert sorted(path.name for path in root.iterdir()) == ["ca.pem", "current", "pair-12"]


@pytest.mark.parametrize("target", ["../other", "pair-0", "pair-x", "/etc", "pair-1/../.."])
def test_a_link_out_of_the_folder_is_refused(folder: IdentityFolder, target: str) -> None:
    (folder.ca_path.parent / "current").symlink_to(target)
    with pytest.raises(KeyFileError, match="pair-<number>"):
        folder.load()


def test_a_link_to_a_pair_that_is_gone_is_named(folder: IdentityFolder) -> None:
    (folder.ca_path.parent / "current").symlink_to("pair-7")
    with pytest.raises(NotEnrolledError, match="pair-7"):
        folder.load()


def test_one_process_changes_pairs_at_a_time(folder: IdentityFolder) -> None:
    with folder.pairs.changing(), pytest.raises(OperatorError, match="going on already"), folder.pairs.changing():
        raise AssertionError("both hold the lock")
    with folder.pairs.changing():
        pass
