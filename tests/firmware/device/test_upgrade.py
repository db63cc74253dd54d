"""A new firmware: taken in blocks, checked whole, tried, kept or given up."""

import hashlib
import struct

from bench_board import Bench, MemoryFolder

from appliance.wire import mcu_words
from loader import trial
from loader.records import Record
from loader.trial import Trial
from supervisor import upgrade

STAGE = {name: number for number, name in enumerate(mcu_words.STAGES)}
FILES = ((b"supervisor/policy.mpy", b"M\x06" + bytes(700)), (b"release.py", b"NUMBERS = (0, 2, 0)\n"))


def image(files=FILES, magic=b"VFW1", mpy=6, board=0, count=None) -> bytes:  # type: ignore[no-untyped-def]
    out = magic + bytes((mpy, board)) + struct.pack(">H", len(files) if count is None else count)
    for name, data in files:
        out += bytes((len(name),)) + name + struct.pack(">I", len(data)) + data
    return out


def send(one: Bench, data: bytes, digest=None, size=None, block=128):  # type: ignore[no-untyped-def]
    """The whole of an upgrade; the last UPGRADE_STATE."""
    digest = hashlib.sha256(data).digest() if digest is None else digest
    state = one.say(mcu_words.UPGRADE_BEGIN, len(data) if size is None else size, 0, 2, 0, digest)[0][1]
    for at in range(0, len(data), block):
        if state.stage != STAGE["receiving"]:
            return state
        state = one.say(mcu_words.UPGRADE_BLOCK, at, data[at : at + block])[0][1]
    return one.say(mcu_words.UPGRADE_END)[0][1]


def running() -> Bench:
    one = Bench()
    one.hello()
    one.beat()
    return one


def test_an_image_is_written_tried_and_good_after_a_steady_run() -> None:
    one = running()
    assert send(one, image()).stage == STAGE["written"]
    assert one.board.folder.files["a/release.py"] == FILES[1][1]
    one.pass_time(3000)
    assert one.board.restarts == 1
    # The chip restarts through its watchdog and cannot tell the two apart.
    one.reset(was_watchdog=True)
    assert not one.hello().flags & mcu_words.OWN_WATCHDOG
    assert one.slot == trial.A
    one.hello()
    assert one.say(mcu_words.UPGRADE_END)[0][1].stage == STAGE["written"]
    assert one.hello().flags & mcu_words.UPGRADE_ON_TRIAL
    one.beat_for(65_000)
    assert not one.beat().flags & mcu_words.UPGRADE_ON_TRIAL
    one.reset()
    assert one.slot == trial.A
    assert one.board.power_changes == [True]


def test_a_firmware_that_never_becomes_good_is_given_up_and_that_is_told() -> None:
    one = running()
    send(one, image())
    slots = []
    for _ in range(4):
        one.reset()
        slots.append(one.slot)
    assert slots == [trial.A, trial.A, trial.FROZEN, trial.FROZEN]
    what = [event[1] for event in one.supervisor.journal.events]
    assert what.count(mcu_words.EVENTS.index("upgrade-reverted")) == 1


def test_the_next_upgrade_goes_into_the_other_slot_and_the_good_one_stays() -> None:
    one = running()
    send(one, image())
    one.reset()
    one.hello()
    one.beat_for(65_000)
    send(one, image())
    one.reset()
    assert one.slot == trial.B
    one.reset()
    one.reset()
    assert one.slot == trial.A


def test_blocks_that_come_again_or_too_early_change_nothing() -> None:
    one = running()
    data = image()
    one.say(mcu_words.UPGRADE_BEGIN, len(data), 0, 2, 0, hashlib.sha256(data).digest())
    for at in range(0, len(data), 128):
        for offset in (at, at, at + 256, 0):
            block = data[offset : offset + 128]
            if block:
                state = one.say(mcu_words.UPGRADE_BLOCK, offset, block)[0][1]
        assert state.wanted == min(at + 128, len(data))
    assert one.say(mcu_words.UPGRADE_END)[0][1].stage == STAGE["written"]


def test_an_image_that_is_not_whole_or_not_ours_never_runs() -> None:
    good = image()
    cases = (
        (good, {"digest": bytes(32)}, "damaged"),
        (good[:-1], {"size": len(good)}, "damaged"),
        (good, {"size": len(good) - 1}, "damaged"),
        (good, {"size": upgrade.MOST_BYTES + 1}, "full"),
        (good, {"size": 3}, "full"),
        (image(magic=b"VFW2"), {}, "not-ours"),
        (image(mpy=5), {}, "not-ours"),
        (image(board=2), {}, "not-ours"),
        (image(count=0), {}, "damaged"),
        (image(count=3), {}, "damaged"),
        (image(count=1), {}, "damaged"),
        (image(count=65), {}, "damaged"),
        (good + b"\0", {}, "damaged"),
        (good[:-1], {}, "damaged"),
    )
    for data, changes, stage in cases:
        one = running()
        assert mcu_words.STAGES[send(one, data, **changes).stage] == stage, (stage, changes)
        assert [name for name in one.board.folder.files if "/" in name] == []
        one.reset()
        assert one.slot == trial.FROZEN


def test_a_name_never_leaves_its_slot() -> None:
    for name in (
        b"../x.py",
        b"/x.py",
        b"a/../../x.py",
        b"x",
        b"X.py",
        b"a//x.py",
        b".py/../x.py",
        b"./x.py",
        b"a b.py",
    ):
        one = running()
        assert mcu_words.STAGES[send(one, image(((name, b"x"),))).stage] == "damaged", name
        assert "x.py" not in one.board.folder.files


def test_a_full_file_system_ends_the_upgrade_and_nothing_else() -> None:
    for room in range(0, 2600, 150):
        one = running()
        one.board.folder.room = room
        stage = mcu_words.STAGES[send(one, image()).stage]
        assert stage in ("full", "written")
        one.board.folder.room = None
        one.reset()
        assert one.slot == (trial.A if stage == "written" else trial.FROZEN)


def test_a_start_that_cannot_be_counted_is_not_tried() -> None:
    one = running()
    send(one, image())
    one.board.folder.room = 5
    for _ in range(3):
        one.reset()
        assert one.slot == trial.FROZEN
    assert one.hello() is not None


def test_a_firmware_that_cannot_be_kept_stays_on_trial_and_the_loop_goes_on() -> None:
    one = running()
    send(one, image())
    one.reset()
    one.hello()
    one.board.folder.room = 0
    one.beat_for(65_000)
    assert one.beat().flags & mcu_words.UPGRADE_ON_TRIAL


def test_a_good_firmware_that_crashes_is_given_up_only_without_a_steady_run_between() -> None:
    folder = MemoryFolder()
    record = Record(folder, "trial")
    one = Trial(record)
    for _ in range(20):
        one.crashed()
    assert one.choose() == trial.FROZEN
    one.begin(trial.A)
    one.choose()
    assert one.good()
    for _ in range(3):
        for _ in range(trial.CRASHES - 1):
            one = Trial(Record(folder, "trial"))
            one.crashed()
        assert one.choose() == trial.A
        assert not one.good()
    for _ in range(trial.CRASHES):
        one = Trial(Record(folder, "trial"))
        one.crashed()
    assert (one.choose(), one.reverted) == (trial.FROZEN, True)


def test_a_block_without_a_beginning_is_answered_with_idle() -> None:
    one = running()
    assert one.say(mcu_words.UPGRADE_BLOCK, 0, b"x")[0][1].stage == STAGE["idle"]
    assert one.say(mcu_words.UPGRADE_END)[0][1].stage == STAGE["idle"]


def test_a_new_beginning_takes_back_a_trial_that_has_not_started() -> None:
    one = running()
    send(one, image())
    one.say(mcu_words.UPGRADE_BEGIN, 100, 0, 3, 0, bytes(32))
    one.reset()
    assert one.slot == trial.FROZEN


def test_a_choice_that_is_no_choice_is_the_frozen_firmware() -> None:
    for kept in (b"", b"\3\0\0\0", b"\0\3\0\0", b"\1\2\3"):
        folder = MemoryFolder()
        record = Record(folder, "trial")
        record.load()
        record.save(kept)
        assert Trial(Record(folder, "trial")).choose() == trial.FROZEN
