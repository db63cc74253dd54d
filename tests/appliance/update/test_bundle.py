"""A bundle is installed as it was signed or not at all; whatever else comes is one error and touches nothing."""

from __future__ import annotations

import hashlib
import json
import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.errors import EnvironmentFault
from appliance.update import Bundle, BundleRefusedError, Order, State, UpdateBusyError, UpdateKeys
from appliance.update.bundle import PIECE_BYTES
from appliance.update.errors import DiskFault
from appliance.wire.bundle import BundleError, Manifest, Part, read_head, version_key, write_head
from tests.fakes.box_disk import BoxDisk, Maker, content, root_hash

MAKER = Maker()


def state_of(box: BoxDisk) -> tuple[bytes, list[str]]:
    return box.path.read_bytes(), sorted(p.name for p in (box.folder / "esp/EFI/Linux").iterdir())


def refused(box: BoxDisk, path: Path, order: Order | None = None) -> str:
    before = state_of(box)
    with pytest.raises(BundleRefusedError) as error:
        box.install(path, order or Order())
    assert state_of(box) == before, "something was written"
    return str(error.value)


def flip(at: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_another_makers_key_is_refused(tmp_path: Path) -> None:
    box = BoxDisk(tmp_path / "box", MAKER)
    assert "none of this box's keys" in refused(box, Maker().bundle(tmp_path / "b", "2"))


def test_a_second_key_of_the_image_is_believed_too(tmp_path: Path) -> None:
    other = Maker()
    keys = UpdateKeys.parse([("old", MAKER.public()), ("new", other.public())])
    with Bundle.open(other.bundle(tmp_path / "b", "2"), keys) as bundle:
        assert bundle.key_name == "new"


def test_a_version_below_the_floor_is_refused_even_when_it_is_wanted(tmp_path: Path) -> None:
    box = BoxDisk(tmp_path / "box", MAKER, version="3")
    box.memory.write(type(box.memory.read())(floor="3"))
    assert "security floor" in refused(box, MAKER.bundle(tmp_path / "b", "2"), Order(older=True))


def test_an_older_version_is_refused_unless_it_is_wanted(tmp_path: Path) -> None:
    box = BoxDisk(tmp_path / "box", MAKER, version="3")
    assert "one after 3" in refused(box, MAKER.bundle(tmp_path / "b", "2"))
    box.install(tmp_path / "b", Order(older=True))
    assert box.start() == "2"


def test_the_running_version_is_refused(tmp_path: Path) -> None:
    box = BoxDisk(tmp_path / "box", MAKER)
    assert "runs already" in refused(box, MAKER.bundle(tmp_path / "b", "1"))


def test_a_bundle_for_another_machine_is_refused(tmp_path: Path) -> None:
    box = BoxDisk(tmp_path / "box", MAKER)
    assert "arm64" in refused(box, MAKER.bundle(tmp_path / "b", "2", architecture="arm64"))


def test_a_live_sensors_stick_is_not_updated_even_when_it_is_wanted(tmp_path: Path) -> None:
    box = BoxDisk(tmp_path / "box", MAKER)
    box.live = True
    assert "live from its stick" in refused(box, MAKER.bundle(tmp_path / "b", "2"), Order(older=True, again=True))


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    box = BoxDisk(tmp_path / "box", MAKER)
    whole = MAKER.bundle(tmp_path / "b", "2").read_bytes()
    for size in (*range(40), 400, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut").write_bytes(whole[:size])
        refused(box, tmp_path / "cut")
    (tmp_path / "cut").write_bytes(whole + b"x")
    refused(box, tmp_path / "cut")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 2**31))
def test_a_changed_byte_is_refused_or_changes_nothing_of_what_is_installed(tmp_path: Path, place: int) -> None:
    if not (tmp_path / "b").exists():
        MAKER.bundle(tmp_path / "b", "2")
    whole = (tmp_path / "b").read_bytes()
    (tmp_path / "changed").write_bytes(flip(place % len(whole))(whole))
    try:
        with Bundle.open(tmp_path / "changed", MAKER.keys()) as bundle:
            # A bit of a zstd frame that nothing depends on.
            unpacked = {part.name: b"".join(bundle.pieces(part)) for part in bundle.manifest.parts}
    except BundleRefusedError:
        return
    assert unpacked == {name: content("2", name) for name in unpacked}


def test_a_few_bytes_that_stand_for_gigabytes_cost_no_memory(tmp_path: Path) -> None:
    zeros = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(600 * 1024 * 1024))
    parts = tuple(
        Part(name, 1000, len(zeros), hashlib.sha256(bytes(1000)).hexdigest()) for name in ("verity", "root", "uki")
    )
    manifest = Manifest("amd64", "2", "1", root_hash("2"), 10**18, parts).to_json()
    signature = MAKER.key.sign(manifest, ec.ECDSA(hashes.SHA256()))
    (tmp_path / "bomb").write_bytes(write_head(manifest, signature) + zeros * 3)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with Bundle.open(tmp_path / "bomb", MAKER.keys()) as bundle, pytest.raises(BundleRefusedError, match="verity"):
        bundle.check()
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 64 * PIECE_BYTES


def test_a_window_that_asks_for_more_memory_than_a_box_gives_is_refused(tmp_path: Path) -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=False)
    packed = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    data = packed.compress(bytes(1000)) + packed.flush()
    parts = tuple(
        Part(name, 1000, len(data), hashlib.sha256(bytes(1000)).hexdigest()) for name in ("verity", "root", "uki")
    )
    manifest = Manifest("amd64", "2", "1", root_hash("2"), 10**18, parts).to_json()
    signature = MAKER.key.sign(manifest, ec.ECDSA(hashes.SHA256()))
    (tmp_path / "wide").write_bytes(write_head(manifest, signature) + data * 3)
    with Bundle.open(tmp_path / "wide", MAKER.keys()) as bundle, pytest.raises(BundleRefusedError, match="unpack"):
        bundle.check()


def test_a_link_in_the_place_of_a_bundle_is_not_followed(tmp_path: Path) -> None:
    MAKER.bundle(tmp_path / "b", "2")
    (tmp_path / "link").symlink_to(tmp_path / "b")
    with pytest.raises(EnvironmentFault):
        Bundle.open(tmp_path / "link", MAKER.keys())


def test_a_pipe_or_a_folder_in_the_place_of_a_bundle_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BundleRefusedError):
        Bundle.open(tmp_path / "pipe", MAKER.keys())
    with pytest.raises(BundleRefusedError):
        Bundle.open(tmp_path, MAKER.keys())


def test_a_part_that_fits_no_slot_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = BoxDisk(tmp_path / "box", MAKER)
    large = {"verity": bytes(100), "root": bytes(700 * 512), "uki": bytes(100)}
    monkeypatch.setattr("tests.fakes.box_disk.content", lambda _version, name: large[name])
    assert "were allowed" in refused(box, MAKER.bundle(tmp_path / "b", "2"))


def test_a_second_update_waits_for_the_first_ones_restart(tmp_path: Path) -> None:
    box = BoxDisk(tmp_path / "box", MAKER)
    box.install(MAKER.bundle(tmp_path / "b", "2"))
    with pytest.raises(UpdateBusyError):
        box.install(MAKER.bundle(tmp_path / "c", "3"))


def test_a_bundle_that_the_box_fell_back_from_is_not_taken_again_by_itself(tmp_path: Path) -> None:
    box = BoxDisk(tmp_path / "box", MAKER)
    path = MAKER.bundle(tmp_path / "b", "2")
    with Bundle.open(path, MAKER.keys()) as bundle:
        digest = bundle.digest
    box.memory.write(type(box.memory.read())(state=State.FELL_BACK, version="2", digest=digest, update_id=4))
    assert "fell back" in refused(box, path, Order(update_id=4))
    assert box.install(path, Order(update_id=5)).state is State.STAGED


def test_a_disk_that_cannot_take_an_offer_is_told_once(tmp_path: Path) -> None:
    box, path = BoxDisk(tmp_path / "box", MAKER), MAKER.bundle(tmp_path / "b", "2")
    box.path.write_bytes(bytes(len(box.path.read_bytes())))
    for _ in range(2):
        with pytest.raises(DiskFault):
            box.install(path, Order(update_id=7))
    assert [(o.kind, o.update_id) for o in box.memory.read().outcomes] == [("refused", 7)]


def test_a_stick_that_is_pulled_out_while_it_is_written_leaves_what_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box, path = BoxDisk(tmp_path / "box", MAKER), MAKER.bundle(tmp_path / "b", "2")
    whole = Bundle.check

    def check_and_pull_out(bundle: Bundle) -> None:
        whole(bundle)
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size - 1)

    monkeypatch.setattr(Bundle, "check", check_and_pull_out)
    with pytest.raises(BundleRefusedError):
        box.install(path, Order(update_id=7))
    assert box.start() == "1"
    assert [(o.kind, o.update_id) for o in box.memory.read().outcomes] == [("refused", 7)]


def test_an_offer_that_went_well_is_not_refused_after_all(tmp_path: Path) -> None:
    box = BoxDisk(tmp_path / "box", MAKER)
    went_well = box.memory.read().with_outcome("good", "1", "", 4, 9)
    box.memory.write(went_well)
    assert "runs already" in refused(box, MAKER.bundle(tmp_path / "b", "1"), Order(update_id=9))
    assert box.memory.read() == went_well


@given(st.binary(max_size=400))
def test_any_bytes_are_a_head_or_one_error(data: bytes) -> None:
    try:
        read_head(data)
    except BundleError:
        return
    assert data.startswith(b"VEDUPD01")


@given(st.binary(max_size=2000) | st.text(max_size=500).map(str.encode))
def test_any_bytes_are_a_manifest_or_one_error(data: bytes) -> None:
    with pytest.raises(BundleError):
        Manifest.from_json(data)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
_FIELDS = ("schema", "image", "architecture", "version", "security_floor", "root_hash", "made", "parts")


@given(name=st.sampled_from(_FIELDS), value=_json)
def test_a_manifest_with_any_other_field_is_read_or_one_error(name: str, value: object) -> None:
    part = [{"name": n, "size_bytes": 1, "stored_bytes": 1, "sha256": "0" * 64} for n in ("verity", "root", "uki")]
    fields: dict[str, object] = {
        "schema": 1, "image": "vedette", "architecture": "amd64", "version": "2", "security_floor": "1",
        "root_hash": "0" * 64, "made": "2026-11-24T00:00:00Z", "parts": part,
    }  # fmt: skip
    fields[name] = value
    try:
        manifest = Manifest.from_json(json.dumps(fields).encode())
    except BundleError:
        return
    assert Manifest.from_json(manifest.to_json()) == manifest


def test_versions_are_ordered_as_the_boot_loader_orders_them() -> None:
    ordered = ["0.1", "0.1-1", "0.1-2", "0.1.0", "0.1.0-10", "0.1.2", "0.1.10", "0.2", "1", "1.0", "10"]
    assert sorted(set(ordered), key=version_key) == ordered
    for wrong in ("", "1.", "01", "1-", "a", "1.2.3.4.5", "1" * 21, "1\n", "1-a", "..", "1/2"):
        with pytest.raises(BundleError):
            version_key(wrong)
