"""What the host may say, and what is done about it: one function for each kind of word.

Rules of this file: a word that cannot be done is answered by REFUSED with the reason, never by silence and never by
half. Without a pairing key only PAIR, ACK, BEAT, MEASURE and LEDS are heard, and a BEAT only asks for the STATUS.
"""

from appliance.wire import mcu_link, mcu_words
from appliance.wire.mcu_words import DONE, REFUSED
from supervisor import atecc, measure, policy

NOT_NOW, NOT_KNOWN, TOO_LONG, BAD_VALUE, NO_PART, BUSY = range(len(mcu_words.REFUSALS))
FREE = (mcu_words.PAIR, mcu_words.ACK, mcu_words.BEAT, mcu_words.MEASURE, mcu_words.LEDS)
NEEDS = {
    mcu_words.SECURE: mcu_words.HAS_SECURE,
    mcu_words.MEASURE: mcu_words.HAS_SENSORS,
    mcu_words.UPGRADE_BEGIN: mcu_words.HAS_UPGRADE,
    mcu_words.UPGRADE_BLOCK: mcu_words.HAS_UPGRADE,
    mcu_words.UPGRADE_END: mcu_words.HAS_UPGRADE,
}
"""What both sides have to have named."""
MOST_LEDS_S = 600
SECURE_CALLS = (
    (atecc.INFO, 0), (atecc.RANDOM, 0), (atecc.READ, 0),
    (atecc.GENKEY, atecc.SHOW_KEY), (atecc.GENKEY, atecc.MAKE_KEY), (atecc.SIGN, 0x80),
)  # fmt: skip
"""Opcode and first parameter. Nothing that locks, writes, counts or sets an element up: that is for its maker."""


def answer(supervisor, kind: int, word: object) -> None:  # type: ignore[no-untyped-def]
    """Do what one word asks for, and say what became of it."""
    if word is None or kind not in TABLE:
        known = kind in TABLE
        supervisor.link.send(REFUSED, kind, BAD_VALUE if known else NOT_KNOWN, 0)
    elif not supervisor.pairing.is_paired and kind not in FREE:
        supervisor.link.send(REFUSED, kind, NOT_NOW, 0)
    elif NEEDS.get(kind, 0) & ~(supervisor.board.features & supervisor.link.features):
        supervisor.link.send(REFUSED, kind, NO_PART, 0)
    else:
        TABLE[kind](supervisor, word)


def on_beat(supervisor, word) -> None:  # type: ignore[no-untyped-def]
    if word.generation != supervisor.generation:
        supervisor.generation = word.generation
        supervisor.policy.began_anew()
    if word.phase == mcu_words.DRAINING:
        supervisor.happen(policy.DRAINING)
    elif word.phase == mcu_words.RUNNING and word.health == mcu_words.ALL_ALIVE:
        supervisor.beat_age_ms = 0
        supervisor.happen(policy.BEAT)
    supervisor.send_status()


def on_power(supervisor, word) -> None:  # type: ignore[no-untyped-def]
    if not supervisor.policy.may_cycle():
        supervisor.link.send(REFUSED, mcu_words.POWER, NOT_NOW, 0)
        return
    # The answer goes first: a moment later the host has no power to hear it.
    supervisor.link.send(DONE, mcu_words.POWER, word.action)
    supervisor.happen(policy.ASK_CYCLE if word.action == mcu_words.CYCLE_NOW else policy.ASK_DRAIN)


def on_hold(supervisor, word) -> None:  # type: ignore[no-untyped-def]
    if word.seconds == 0:
        supervisor.happen(policy.HOLD_OVER)
        supervisor.link.send(DONE, mcu_words.HOLD, 0)
        return
    granted_ms = supervisor.policy.hold(word.seconds * 1000)
    if granted_ms:
        supervisor.link.send(DONE, mcu_words.HOLD, granted_ms // 1000)
    else:
        supervisor.link.send(REFUSED, mcu_words.HOLD, NOT_NOW, 0)


def on_leds(supervisor, word) -> None:  # type: ignore[no-untyped-def]
    if word.seconds > MOST_LEDS_S:
        supervisor.link.send(REFUSED, mcu_words.LEDS, TOO_LONG, MOST_LEDS_S)
        return
    supervisor.leds.show(word.pattern, word.seconds)
    supervisor.link.send(DONE, mcu_words.LEDS, word.seconds)


def on_ack(supervisor, word) -> None:  # type: ignore[no-untyped-def]
    if supervisor.journal.heard(word.number):
        supervisor.tell_next()


def on_pair(supervisor, word) -> None:  # type: ignore[no-untyped-def]
    if not supervisor.pairing.pair(word.key):
        supervisor.link.send(REFUSED, mcu_words.PAIR, NOT_NOW, 0)
        return
    supervisor.link.send(mcu_words.PAIRED, mcu_link.fingerprint(word.key))
    supervisor.link.change_key(word.key)
    supervisor.happen(policy.PAIRED)


def on_measure(supervisor, word) -> None:  # type: ignore[no-untyped-def]  # noqa: ARG001
    monitor = supervisor.monitor
    serial = "".join("{:02x}".format(octet) for octet in supervisor.board.serial)  # noqa: UP032
    data = measure.pack(
        serial, monitor.supply_mv, monitor.temperature_dc, supervisor.uptime_ms, supervisor.policy.boots
    )
    if data and len(data) <= mcu_link.MAX_BODY:
        supervisor.link.send(mcu_words.MEASUREMENTS, data)
    else:
        supervisor.link.send(REFUSED, mcu_words.MEASURE, NO_PART, 0)


def on_secure(supervisor, word) -> None:  # type: ignore[no-untyped-def]
    element = supervisor.element
    if (word.opcode, word.p1) not in SECURE_CALLS:
        supervisor.link.send(REFUSED, mcu_words.SECURE, NOT_KNOWN, 0)
    elif word.opcode == atecc.GENKEY and word.p1 == atecc.MAKE_KEY and not may_make_key(supervisor, word.p2):
        supervisor.link.send(REFUSED, mcu_words.SECURE, NOT_NOW, 0)
    else:
        status, data = 0, b""
        try:
            if word.opcode == atecc.SIGN:
                data = element.sign(word.p2, word.data)
            else:
                data = element.command(word.opcode, word.p1, word.p2, word.data)
        except atecc.AteccError as error:
            status = min(error.status, 0xFF)
        supervisor.link.send(mcu_words.SECURE_ANSWER, status, data)


def may_make_key(supervisor, slot: int) -> bool:  # type: ignore[no-untyped-def]
    """Whether a slot is empty, or a hand at the button has just given the box up: once for each such press.

    The host has no right to it: with a new key the box is no sensor any more.
    """
    if supervisor.gives_up_key:
        supervisor.gives_up_key = False
        return True
    try:
        supervisor.element.public_key(slot)
    except atecc.AteccError as error:
        return error.status == atecc.NO_KEY
    return False


def on_upgrade_begin(supervisor, word) -> None:  # type: ignore[no-untyped-def]
    supervisor.upgrade.begin(word.size, word.sha256)
    send_upgrade_state(supervisor)


def on_upgrade_block(supervisor, word) -> None:  # type: ignore[no-untyped-def]
    supervisor.upgrade.block(word.offset, word.data)
    send_upgrade_state(supervisor)


def on_upgrade_end(supervisor, word) -> None:  # type: ignore[no-untyped-def]  # noqa: ARG001
    written = supervisor.upgrade.end()
    send_upgrade_state(supervisor)
    if written:
        supervisor.restart_soon()


def send_upgrade_state(supervisor) -> None:  # type: ignore[no-untyped-def]
    supervisor.link.send(mcu_words.UPGRADE_STATE, supervisor.upgrade.stage, supervisor.upgrade.wanted)


TABLE = {
    mcu_words.BEAT: on_beat,
    mcu_words.POWER: on_power,
    mcu_words.HOLD: on_hold,
    mcu_words.LEDS: on_leds,
    mcu_words.ACK: on_ack,
    mcu_words.PAIR: on_pair,
    mcu_words.MEASURE: on_measure,
    mcu_words.SECURE: on_secure,
    mcu_words.UPGRADE_BEGIN: on_upgrade_begin,
    mcu_words.UPGRADE_BLOCK: on_upgrade_block,
    mcu_words.UPGRADE_END: on_upgrade_end,
}
