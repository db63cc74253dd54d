"""The power goes before each single write of an update: the box starts, and a second attempt gets there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.update import Order, State
from appliance.update.boot import begin_boot, boot_is_good
from appliance.update.disk import Disk
from appliance.update.gpt import Naming
from appliance.update.judge import Seen
from tests.fakes.box_disk import BoxDisk, Maker, PowerCut, content, root_hash


@pytest.fixture(scope="module")
def maker() -> Maker:
    return Maker()


def seen(box: BoxDisk, boot_id: str) -> Seen:
    return Seen(now_ns=7, boot_id=boot_id, version=box.running, entries=box.box().esp.entries())


def come_up(box: BoxDisk, boot_id: str) -> State:
    """A whole good start."""
    begin_boot(box.box(), seen(box, boot_id))
    return boot_is_good(box.box(), seen(box, boot_id)).state


def test_an_update_without_a_cut_is_started_and_good(tmp_path: Path, maker: Maker) -> None:
    box = BoxDisk(tmp_path / "box", maker)
    come_up(box, "a")
    assert box.install(maker.bundle(tmp_path / "b", "2")).state is State.STAGED
    assert box.start() == "2"
    box.floor = "2"
    assert come_up(box, "b") is State.GOOD
    record = box.memory.read()
    assert (record.good_version, record.floor) == ("2", "2")
    assert [(o.kind, o.version) for o in record.outcomes][-1] == ("good", "2")


def test_the_next_update_goes_to_the_other_slot(tmp_path: Path, maker: Maker) -> None:
    box = BoxDisk(tmp_path / "box", maker)
    for version in ("2", "3", "4"):
        box.install(maker.bundle(tmp_path / "b", version))
        assert box.start() == version
        assert come_up(box, version) is State.GOOD
    assert {e.version for e in box.box().esp.entries()} == {"3", "4"}


@pytest.mark.parametrize(
    ("before", "version"),
    [((), "3"), (("2",), "3"), (("4",), "3")],
    ids=["the spare slot is empty", "it has the version before", "a downgrade"],
)
def test_a_power_cut_before_any_write_leaves_a_box_that_starts_and_can_be_updated(
    tmp_path: Path, maker: Maker, before: tuple[str, ...], version: str
) -> None:
    bundle, order = maker.bundle(tmp_path / "b", version), Order(older=True)

    def at_home(name: str) -> BoxDisk:
        box = BoxDisk(tmp_path / name, maker)
        come_up(box, "a")
        for version in before:
            box.install(maker.bundle(tmp_path / "before", version))
            assert box.start() == version
            assert come_up(box, version) is State.GOOD
        box.writes = 0
        return box

    whole = at_home("whole")
    old = whole.running
    whole.install(bundle, order)
    assert whole.writes > 10
    for cut in range(whole.writes):
        box = at_home(f"box{cut}")
        box.writes_left = cut
        with pytest.raises(PowerCut):
            box.install(bundle, order)
        assert box.start() == old, f"cut before write {cut}"
        assert come_up(box, "b") is State.IDLE
        assert box.tries(old) == 3
        box.install(bundle, order)
        assert box.start() == version
        assert come_up(box, "c") is State.GOOD


def test_a_power_cut_after_the_last_write_and_before_the_note_is_a_trial(tmp_path: Path, maker: Maker) -> None:
    box = BoxDisk(tmp_path / "box", maker)
    come_up(box, "a")
    box.install(maker.bundle(tmp_path / "b", "2"))
    record = box.memory.read()
    # As it was before the last note.
    box.memory.write(type(record)(**{**_fields(record), "state": State.WRITING}))
    assert box.start() == "2"
    assert come_up(box, "b") is State.GOOD


def _fields(record: object) -> dict[str, object]:
    return {name: getattr(record, name) for name in record.__slots__}  # type: ignore[attr-defined]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_torn_write_of_the_partition_table_leaves_a_whole_copy(
    tmp_path: Path, maker: Maker, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    for nth in range(4):
        box = BoxDisk(tmp_path / f"box{nth}", maker)
        count = 0
        real = os.pwrite

        def torn(descriptor: int, data: bytes, at: int, *, real: object = real, nth: int = nth) -> int:
            nonlocal count
            count += 1
            if count == nth + 1:
                os.lseek(descriptor, at, os.SEEK_SET)
                os.write(descriptor, bytes(data)[: int(len(data) * share)])
                raise PowerCut
            os.lseek(descriptor, at, os.SEEK_SET)
            return os.write(descriptor, data)

        with Disk(box.path) as disk:
            table = disk.table()
            spare = table.partitions()[4]
            renamed = table.renamed({5: Naming(spare.uuid, "vedette_2", spare.attributes)})
            with monkeypatch.context() as patched:
                patched.setattr("appliance.update.disk.os.pwrite", torn)
                with pytest.raises(PowerCut):
                    disk.write_table(renamed)
        with Disk(box.path) as disk:
            found = disk.table()
            assert found.partitions()[4].label in ("_empty", "vedette_2")
            # Going on from whichever copy is whole.
            disk.write_table(found.renamed({5: Naming(spare.uuid, "vedette_3", spare.attributes)}))
            assert disk.table().partitions()[4].label == "vedette_3"


def test_the_running_slot_keeps_every_byte(tmp_path: Path, maker: Maker) -> None:
    box = BoxDisk(tmp_path / "box", maker)
    box.install(maker.bundle(tmp_path / "b", "2"))
    with Disk(box.path) as disk:
        running = [p for p in disk.table().partitions() if p.uuid.hex == root_hash("1")[:32]]
    at = running[0].first_lba * 512
    assert box.path.read_bytes()[at : at + len(content("1", "root"))] == content("1", "root")
