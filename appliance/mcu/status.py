"""What is known of the supervisor, in words: for `vedette status`, the heartbeat and the health check.

Rules of this file: pure. What the supervisor last said stays known when the link is lost, but for what changes by the
second; a number that it has not is None, never zero.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.mcu.link import MEANING, Link, State
from appliance.wire import mcu_words as words
from appliance.wire.heartbeat import SupervisorHealth

FEATURES = {
    words.HAS_SECURE: "secure element",
    words.HAS_UPGRADE: "upgrade over the link",
    words.HAS_SENSORS: "voltage and temperature",
    words.HAS_TAMPER: "tamper switch",
    words.HAS_BUTTON: "button",
}
FLAGS = {
    words.ROLLBACK_ASKED: "rollback asked",
    words.TAMPERED: "tampered",
    words.UPGRADE_ON_TRIAL: "upgrade on trial",
    words.UNPAIRED: "unpaired",
    words.OWN_WATCHDOG: "its own watchdog bit",
}
POLICY = {
    "OFF": "the supply is too low to give the host power",
    "BOOT": "waits for the first healthy beat",
    "UP": "hears healthy beats",
    "WARN": "no healthy beat lately; power is cut soon",
    "HOLD": "was asked not to judge for a time",
    "DRAIN": "was asked for a power cycle and waits for the host to end in order",
    "CYCLE": "has cut the host's power",
    "LOCKOUT": "gave up after too many starts in a row; leaves the host its power and waits for a healthy beat",
}


@dataclass(frozen=True, slots=True)
class SupervisorStatus:
    """A snapshot; empty words and None: not known."""

    state: str
    says: str
    is_up: bool = False
    in_state_s: float = 0.0
    port: str = ""
    board: str = ""
    firmware: str = ""
    serial: str = ""
    last_reset: str = ""
    boots: int | None = None
    left_s: float | None = None
    """Until the supervisor leaves its state by itself."""
    temperature_c: float | None = None
    voltage_mv: int | None = None
    features: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    beat_limit_s: int | None = None
    boot_limit_s: int | None = None
    hold_limit_s: int | None = None
    block_bytes: int | None = None
    frames_not_understood: int = 0
    last_event: str = ""

    def to_wire(self) -> SupervisorHealth:
        """As the heartbeat carries it."""
        return SupervisorHealth(
            self.state, self.last_reset, self.boots, self.firmware, self.temperature_c, self.voltage_mv
        )


ABSENT = SupervisorStatus(State.ABSENT.value, MEANING[State.ABSENT])
"""Of a box that is not to have one."""


def describe(link: Link, now_s: float, *, port: str, last_event: str = "") -> SupervisorStatus:
    """The link's state as people read it."""
    welcome, status = link.welcome, link.status
    state, says = link.state.value, MEANING[link.state]
    is_up = link.state is State.UP
    if is_up and status is not None:
        word = words.STATES[status.state]
        state, says = word.lower(), POLICY[word]
    if link.reason:
        says = f"{says}: {link.reason}"
    if welcome is None:
        return SupervisorStatus(
            state, says, is_up, now_s - link.since_s, port, frames_not_understood=link.not_understood
        )
    said = status if status is not None else welcome
    measured = status if is_up else None
    return SupervisorStatus(
        state,
        says,
        is_up,
        now_s - link.since_s,
        port,
        board=words.BOARDS[welcome.board],
        firmware=f"{said.firmware_major}.{said.firmware_minor}.{said.firmware_patch}",
        serial=welcome.serial.hex(),
        last_reset=words.RESETS[said.reset],
        boots=said.boots,
        left_s=None if measured is None or measured.left_ms == words.NO_AGE else measured.left_ms / 1000,
        temperature_c=_temperature_c(measured),
        voltage_mv=None if measured is None or measured.supply_mv == words.NO_SUPPLY else measured.supply_mv,
        features=tuple(name for bit, name in FEATURES.items() if welcome.features & bit),
        flags=tuple(name for bit, name in FLAGS.items() if said.flags & bit),
        beat_limit_s=welcome.beat_limit_s,
        boot_limit_s=welcome.boot_limit_s,
        hold_limit_s=welcome.hold_limit_s,
        block_bytes=welcome.block_bytes,
        frames_not_understood=link.not_understood,
        last_event=last_event,
    )


def _temperature_c(status: object) -> float | None:
    tenths = getattr(status, "temperature_dc", words.NO_TEMPERATURE)
    # The wire to the collector takes nothing below absolute zero.
    return None if tenths == words.NO_TEMPERATURE or tenths < -2732 else tenths / 10
