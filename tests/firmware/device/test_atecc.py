"""The secure element's driver against one that behaves, one that is slow, one that is damaged and none at all."""

from bench_board import Bench, Board
from fake_element import REVISION, SERIAL, Element

from appliance.wire import mcu_words
from supervisor import atecc
from supervisor.atecc import Atecc, AteccError


def driver() -> "tuple[Atecc, Element]":
    element = Element()
    return Atecc(element, lambda _ms: None), element


def status(function, *arguments) -> int:  # type: ignore[no-untyped-def]
    try:
        function(*arguments)
    except AteccError as error:
        return int(error.status)
    return -1


def test_the_crc_is_that_of_the_wake_answer_in_the_data_sheet() -> None:
    assert atecc.crc16(atecc.WAKE_ANSWER[:2]) == atecc.WAKE_ANSWER[2:]


def test_info_serial_random_keys_and_counters() -> None:
    one, element = driver()
    assert one.info() == REVISION
    assert one.serial() == SERIAL
    assert len(one.random()) == 32
    first = one.make_key(2)
    assert one.public_key(2) == first
    assert one.make_key(2) != first
    assert (one.counter(1), one.count(1), one.counter(1)) == (0, 1, 1)
    assert set(element.endings) == {atecc.IDLE}


def test_a_signature_is_made_in_one_waking() -> None:
    one, element = driver()
    one.make_key(0)
    element.endings.clear()
    assert one.sign(0, b"\x11" * 32)[:32] == b"\x11" * 32
    assert len(element.endings) == 1


def test_a_status_is_an_error_with_its_number_and_the_element_is_idle() -> None:
    one, element = driver()
    assert status(one.public_key, 1) == 0x0F
    assert status(one.sign, 1, bytes(32)) == 0x03
    assert status(one.sign, 0, bytes(31)) == 0x03
    assert not element.is_awake


def test_an_element_that_is_slow_is_waited_for_and_one_that_is_too_slow_is_not() -> None:
    one, element = driver()
    element.busy = atecc.READ_TRIES - 1
    assert one.info() == REVISION
    element.busy = 1000
    assert status(one.info) == 0x100
    assert 1000 - element.busy == atecc.READ_TRIES


def test_damage_is_found_and_silence_ends() -> None:
    one, element = driver()
    element.damage = True
    assert status(one.random) == 0xFF
    element.damage, element.absent = False, True
    assert status(one.random) == 0x100


def test_an_element_that_does_not_wake_is_silence() -> None:
    one, element = driver()
    element.readfrom = lambda _address, count: bytes(count)
    assert status(one.info) == 0x100


def test_a_command_that_is_too_long_is_never_sent() -> None:
    one, element = driver()
    assert status(one.command, atecc.NONCE, 0, 0, bytes(149)) == 0x03
    assert element.commands == []


def test_the_host_reaches_the_element_through_the_link() -> None:
    element = Element()
    one = Bench(Board(bus=element))
    one.hello()
    assert one.welcome.features & mcu_words.HAS_SECURE
    ok = mcu_words.SECURE_ANSWER
    assert one.say(mcu_words.SECURE, atecc.INFO, 0, 0, b"") == [(ok, (0, REVISION))]
    assert one.say(mcu_words.SECURE, atecc.GENKEY, 4, 1, b"")[0][1].status == 0
    assert one.say(mcu_words.SECURE, atecc.SIGN, 0x80, 1, b"\x22" * 32)[0][1].data[:32] == b"\x22" * 32
    assert one.say(mcu_words.SECURE, atecc.GENKEY, 0, 3, b"") == [(ok, (0x0F, b""))]
    element.absent = True
    assert one.say(mcu_words.SECURE, atecc.INFO, 0, 0, b"") == [(ok, (0xFF, b""))]


def test_a_key_is_not_replaced_by_another_unless_a_hand_at_the_button_gave_the_box_up() -> None:
    element = Element()
    one = Bench(Board(bus=element))
    one.hello()
    make = (mcu_words.SECURE, atecc.GENKEY, atecc.MAKE_KEY, 0, b"")
    first = one.say(*make)[0][1].data
    for _ in range(2):
        kind, word = one.say(*make)[0]
        assert (kind, mcu_words.REFUSALS[word.why]) == (mcu_words.REFUSED, "not-now")
    show = (mcu_words.SECURE, atecc.GENKEY, atecc.SHOW_KEY, 0, b"")
    assert one.say(*show)[0][1].data == first
    element.absent = True
    assert one.say(*make)[0][0] == mcu_words.REFUSED  # it cannot be told whether there is one
    element.absent = False
    one.supervisor.gives_up_key = True
    second = one.say(*make)[0][1].data
    assert len(second) == 64
    assert second != first
    assert one.say(*make)[0][0] == mcu_words.REFUSED


def test_a_long_press_gives_the_key_up() -> None:
    one = Bench(Board(bus=Element()))
    one.hello()
    one.board.is_down = True
    one.pass_time(11_000, 100)
    one.board.is_down = False
    one.pass_time(1_000, 100)
    assert one.supervisor.gives_up_key


def test_what_locks_or_writes_the_element_cannot_be_asked_over_the_link() -> None:
    element = Element()
    one = Bench(Board(bus=element))
    one.hello()
    for opcode, p1 in (
        (0x12, 0),
        (0x17, 0),
        (0x16, 3),
        (0x15, 0),
        (0x02, 2),
        (0x47, 0),
        (0x24, 0),
        (0x24, 1),
        (0x40, 0x14),
        (0x41, 0),
    ):
        kind, word = one.say(mcu_words.SECURE, opcode, p1, 0, b"")[0]
        assert (kind, mcu_words.REFUSALS[word.why]) == (mcu_words.REFUSED, "not-known")
    assert element.commands == []


def test_a_board_without_an_element_says_so() -> None:
    one = Bench()
    one.hello()
    assert not one.welcome.features & mcu_words.HAS_SECURE
    kind, word = one.say(mcu_words.SECURE, atecc.INFO, 0, 0, b"")[0]
    assert (kind, mcu_words.REFUSALS[word.why]) == (mcu_words.REFUSED, "no-part")
