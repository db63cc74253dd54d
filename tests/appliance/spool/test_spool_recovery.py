"""Whatever happens to the files: what the damage did not hit is kept, the damage is named, no number comes twice."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.spool import Loss, Spool, SpoolError, verify
from tests.appliance.spool.events import EPOCH, OpenSpool, event, everything, expected
from tests.fakes.clock import FakeClock

ACCEPTED = 7


@pytest.fixture(scope="module", params=[1])
def stored(request: pytest.FixtureRequest) -> int:
    """How many events the collector has stored: one within the first segment, or all of it."""
    return int(request.param)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, stored: int) -> Path:
    """A spool of seven events in three segments, one source marked."""
    folder = tmp_path_factory.mktemp("small") / "spool"
    with reopened(folder) as spool:
        spool.source_mark("capture-a")
        for count, size in ((2, 0), (2, 4000), (3, 0)):
            spool.append([event(size) for _ in range(count)])
        spool.acknowledge(EPOCH, stored)
    return folder


def reopened(folder: Path, epoch: int = EPOCH) -> Spool:
    return Spool.open(
        folder,
        max_bytes=1 << 20,
        segment_bytes=4096,
        clock=FakeClock(),
        random_epoch=iter(range(epoch, epoch + 9)).__next__,
        fsync=False,
    )


def size_of(seq: int) -> int:
    return 4000 if seq in (3, 4) else 0


def spoiled(path: Path) -> Iterator[tuple[str, bytes]]:
    """(what, bytes): the file cut at every length, and with every byte flipped."""
    data = path.read_bytes()
    # The long fragments and the padding of the slots are sampled, everything with a meaning is tried byte by byte.
    for place in (n for n in range(len(data)) if data[n : n + 1] not in (b" ", b"\0") or n % 397 == 0):
        yield f"cut to {place}", data[:place]
        yield f"flipped at {place}", data[:place] + bytes([data[place] ^ 0x20]) + data[place + 1 :]


def check_recovered(folder: Path, stored: int, what: str, spoiled_name: str) -> None:
    """The invariants that hold whichever byte of whichever file is wrong."""
    if not what.endswith(("1", "3", "5", "7", "9")):
        verify(folder)
    with reopened(folder, EPOCH + 100) as spool:
        first = (spool.append([event()]), spool.epoch)
        found: list[tuple[int, int, bytes]] = []
        losses: set[Loss] = set()
        while (batch := spool.read(spool.cursor, 100, 1 << 20)).fragments:
            losses |= set(batch.losses)
            for fragment in batch.fragments:
                epoch, seq = (int(part) for part in fragment.decode().split("'")[1::2])
                found.append((epoch, seq, fragment))
            spool.acknowledge(batch.epoch, batch.last_seq)
        assert spool.depth().events == 0
    numbers = [(epoch, seq) for epoch, seq, _ in found]
    assert len(set(numbers)) == len(numbers), f"{what}: a number came twice"
    old = [seq for epoch, seq in numbers if epoch == EPOCH]
    assert old == sorted(old), f"{what}: out of order"
    new_seq, new_epoch = first[0][0], first[1]
    if spoiled_name == "accepted":
        assert (new_epoch, new_seq) == (EPOCH, ACCEPTED + 1) or (new_epoch > EPOCH and new_seq == 1), what
    else:
        assert (new_epoch, new_seq) == (EPOCH, ACCEPTED + 1), f"{what}: {new_epoch - EPOCH}, {new_seq}"
    for epoch, seq, fragment in found:
        assert fragment == expected(epoch, seq, size_of(seq) if seq <= ACCEPTED else 0), what
    lost = {seq for loss in losses for seq in range(loss.first_seq, loss.last_seq + 1)}
    want = set(range(stored + 1, ACCEPTED + 1))
    assert want <= set(old) | lost, f"{what}: {want - set(old) - lost} neither there nor named"
    if not spoiled_name.endswith(".seg"):
        assert not lost, f"{what}: nothing is lost when no segment is damaged"
    elif "flipped" in what:
        assert len(lost) <= 1, f"{what}: one byte costs one record, not {lost}"


FILES = ["accepted", "cursor", "state", *(f"{n:016}.seg" for n in (1, 2, 3))]
# With two events stored the first segment is drained and gone.
CASES = [(1, name) for name in FILES] + [(2, name) for name in FILES if name != "0000000000000001.seg"]


@pytest.mark.parametrize(("stored", "name"), CASES, indirect=["stored"], scope="module")
def test_any_cut_and_any_flipped_byte_leaves_what_it_did_not_hit(
    small: Path, stored: int, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "spool"
    cases = 0
    for what, bad in spoiled(small / name):
        shutil.copytree(small, folder)
        (folder / name).write_bytes(bad)
        check_recovered(folder, stored, f"{name} {what}", name)
        shutil.rmtree(folder)
        cases += 1
    assert cases > 100


@pytest.mark.parametrize(("stored", "name"), CASES, indirect=["stored"], scope="module")
def test_a_file_that_is_gone_leaves_what_the_others_hold(small: Path, stored: int, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "spool"
    shutil.copytree(small, folder)
    (folder / name).unlink()
    check_recovered(folder, stored, f"{name} cut to nothing", name)


def test_a_lost_tail_is_a_named_loss_and_its_numbers_are_not_used_again(open_spool: OpenSpool, tmp_path: Path) -> None:
    spool = open_spool()
    spool.append([event() for _ in range(5)])
    spool.close()
    segment = tmp_path / "spool" / "0000000000000001.seg"
    segment.write_bytes(segment.read_bytes()[:-120])
    spool = open_spool()
    assert spool.notes
    assert "cut short" in spool.notes[0]
    assert spool.append([event()]) == [6]
    batch = spool.read(spool.cursor, 10, 1 << 20)
    assert batch.losses == [Loss(4, 5, "spool-damage")]
    assert batch.last_seq == 6
    assert spool.lost_events == 2
    spool.close()
    assert open_spool().lost_events == 2, "the same damage is counted once"


def test_events_of_an_unfinished_append_are_kept_when_they_are_whole(open_spool: OpenSpool, tmp_path: Path) -> None:
    """A crash between the records' fsync and the note that they were accepted."""
    spool = open_spool()
    spool.append([event()])
    note = (tmp_path / "spool" / "accepted").read_bytes()
    spool.append([event(), event()])
    spool.close()
    (tmp_path / "spool" / "accepted").write_bytes(note)
    spool = open_spool()
    assert spool.append([event()]) == [4]
    assert [seq for seq, _ in everything(spool)] == [1, 2, 3, 4]


def test_a_torn_record_at_the_end_of_an_unfinished_append_is_no_loss(open_spool: OpenSpool, tmp_path: Path) -> None:
    spool = open_spool()
    spool.append([event()])
    spool.close()
    with (tmp_path / "spool" / "0000000000000001.seg").open("ab") as file:
        file.write(b"\xf5VR\xff\1\1")
    spool = open_spool()
    assert spool.losses == []
    assert spool.append([event()]) == [2]
    assert [seq for seq, _ in everything(spool)] == [1, 2]


def test_without_the_note_of_what_was_accepted_a_new_epoch_begins_after_the_old_events(
    open_spool: OpenSpool, tmp_path: Path
) -> None:
    spool = open_spool()
    spool.append([event() for _ in range(3)])
    spool.close()
    (tmp_path / "spool" / "accepted").write_bytes(b"\0" * 8192)
    spool = open_spool()
    assert spool.epoch != EPOCH
    assert "a new epoch begins" in " ".join(spool.notes)
    assert spool.append([event()]) == [1]
    old = spool.read(spool.cursor, 100, 1 << 20)
    assert (old.epoch, len(old.fragments)) == (EPOCH, 3), "two epochs never share a batch"
    spool.acknowledge(old.epoch, old.last_seq)
    new = spool.read(spool.cursor, 100, 1 << 20)
    assert (new.epoch, new.first_seq, len(new.fragments)) == (spool.epoch, 1, 1)


def test_a_segment_given_up_for_room_stays_given_up_when_the_crash_came_before_its_removal(
    open_spool: OpenSpool, tmp_path: Path
) -> None:
    spool = open_spool(max_bytes=8192)
    spool.append([event(size=3000)])
    first = (tmp_path / "spool" / "0000000000000001.seg").read_bytes()
    spool.append([event(size=3000)])
    spool.append([event(size=3000)])
    assert spool.losses == [Loss(1, 1, "spool-full")]
    spool.close()
    (tmp_path / "spool" / "0000000000000001.seg").write_bytes(first)
    spool = open_spool(max_bytes=8192)
    assert spool.losses == [Loss(1, 1, "spool-full")]
    assert [seq for seq, _ in everything(spool)] == [2, 3]


def test_many_separate_losses_are_told_a_few_at_a_time_and_nothing_gets_stuck(
    open_spool: OpenSpool, tmp_path: Path
) -> None:
    spool = open_spool(segment_bytes=1 << 20, max_bytes=1 << 22)
    spool.append([event() for _ in range(200)])
    spool.close()
    path = tmp_path / "spool" / "0000000000000001.seg"
    data = bytearray(path.read_bytes())
    for seq in range(2, 200, 2):
        data[data.index(expected(EPOCH, seq))] ^= 1
    path.write_bytes(bytes(data))
    spool = open_spool(segment_bytes=1 << 20, max_bytes=1 << 22)
    told: list[Loss] = []
    seen: list[int] = []
    while (batch := spool.read(spool.cursor, 500, 1 << 20)).fragments:
        assert len(batch.losses) <= 32
        told += batch.losses
        seen += range(batch.first_seq, batch.last_seq + 1)
        spool.acknowledge(batch.epoch, batch.last_seq)
    assert [loss.first_seq for loss in told] == list(range(2, 200, 2))


def test_damage_that_comes_while_the_spool_is_open_is_named_when_it_is_read(
    open_spool: OpenSpool, tmp_path: Path
) -> None:
    spool = open_spool()
    spool.append([event() for _ in range(3)])
    path = tmp_path / "spool" / "0000000000000001.seg"
    data = bytearray(path.read_bytes())
    data[data.index(expected(EPOCH, 2))] ^= 1
    path.write_bytes(bytes(data))
    batch = spool.read(spool.cursor, 10, 1 << 20)
    assert (len(batch.fragments), batch.losses) == (2, [Loss(2, 2, "spool-damage")])


@pytest.mark.parametrize("name", ["0000000000000001.seg", "00000000000000ff.seg", "state", "cursor", "accepted"])
def test_a_named_pipe_in_a_files_place_does_not_hold_the_daemon(small: Path, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(small, tmp_path / "spool"))
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    with pytest.raises(SpoolError, match="not a regular file"):
        reopened(folder)


def test_verify_names_the_damage_and_changes_nothing(small: Path, tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    shutil.copytree(small, folder)
    path = folder / "0000000000000002.seg"
    path.write_bytes(path.read_bytes()[:-3])
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    report = verify(folder)
    assert not report.sound
    assert any("cut short" in note for note in report.notes)
    assert before == {p.name: p.read_bytes() for p in folder.iterdir()}
