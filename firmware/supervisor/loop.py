"""The supervisor as a whole: all parts, and the one loop that they turn in.

Rules of this file: the only place that sees every part. One turn asks each part once and feeds the supervisor's own
watchdog at its end, in this one place: a part that does not come back starves it, and so does an exception. What has to
outlast a cut is written before the cut. `board` is all hardware (README.md lists what it has to have).
"""

from appliance.wire import mcu_words
from supervisor import button, commands, policy
from supervisor.atecc import Atecc
from supervisor.button import Button
from supervisor.journal import Journal
from supervisor.leds import Leds
from supervisor.link import Link
from supervisor.monitor import Monitor
from supervisor.pairing import Pairing
from supervisor.policy import Policy
from supervisor.power import Power
from supervisor.tamper import Tamper
from supervisor.upgrade import Upgrade

EVENT_AGAIN_MS = 5_000
RESTART_MS = 2_000
"""Long enough for the last answer to leave the port."""
BLOCK_BYTES = 160
MOST_MS = 0xFFFFFFFF

_EVENT = {name: number for number, name in enumerate(mcu_words.EVENTS)}
_RESET = {name: number for number, name in enumerate(mcu_words.RESETS)}
TELLS = {
    policy.TELL_WARNED: _EVENT["warned"],
    policy.TELL_CYCLED: _EVENT["cycled"],
    policy.TELL_HOLD_ENDED: _EVENT["hold-ended"],
    policy.TELL_LOCKOUT: _EVENT["lockout"],
}
TELL_NEEDS = {
    _EVENT["tamper"]: mcu_words.HAS_TAMPER,
    _EVENT["button-enroll"]: mcu_words.HAS_BUTTON,
    _EVENT["button-factory-reset"]: mcu_words.HAS_BUTTON,
    _EVENT["supply-low"]: mcu_words.HAS_SENSORS,
    _EVENT["too-hot"]: mcu_words.HAS_SENSORS,
}
"""A host that has not named it would never say that it has heard, and all else would wait behind it."""
REASONS = {
    policy.BECAUSE_BOOT_TIMEOUT: _RESET["boot-timeout"],
    policy.BECAUSE_BEATS_STOPPED: _RESET["beats-stopped"],
    policy.BECAUSE_ASKED: _RESET["asked"],
    policy.BECAUSE_BUTTON: _RESET["button"],
    policy.BECAUSE_UNDER_VOLTAGE: _RESET["under-voltage"],
}


class Supervisor:
    """Made by `board/*/main.py` once its watchdog runs; `firmware` is three numbers."""

    def __init__(self, board, records, trial, firmware: "tuple[int, int, int]") -> None:  # type: ignore[no-untyped-def]
        self.board = board
        self.firmware = firmware
        self.trial = trial
        self.power = Power(board.set_power)
        self.journal = Journal(records("journal"))
        self.pairing = Pairing(records("pairing"))
        self.policy = Policy(self.journal.boots, self.pairing.is_paired)
        self.monitor = Monitor(board.supply_mv, board.temperature_dc)
        self.leds = Leds(board.set_lamps)
        self.button = Button()
        self.tamper = Tamper(self.journal.is_tampered)
        self.element = Atecc(board.bus, board.pause_ms) if board.bus is not None else None
        self.upgrade = Upgrade(board.folder, trial, board.number, board.mpy)
        self.link = Link(board, board.random, self.introduction, self.pairing.key)
        self.generation, self.gives_up_key = 0, False
        self.uptime_ms = 0
        self.beat_age_ms = MOST_MS
        self._event_ms = 0
        self._restart_ms = 0
        self._last_ticks = board.ticks_ms()
        self.reset = _RESET["power-on"] if board.was_cold else self.journal.reset
        self.was_watchdog = board.was_watchdog and not self.journal.was_restarting
        if not board.was_cold and self.pairing.is_paired:
            self.journal.note(_EVENT["supervisor-reset"], int(self.was_watchdog))
        if trial.reverted:
            self.journal.note(_EVENT["upgrade-reverted"])
            trial.told()
        self._do(self.policy.begin())

    def turn(self) -> None:
        """Every part once, and then the watchdog."""
        now = self.board.ticks_ms()
        elapsed_ms = max(self.board.ticks_diff(now, self._last_ticks), 0)
        self._last_ticks = now
        self.uptime_ms = min(self.uptime_ms + elapsed_ms, MOST_MS)
        if self.beat_age_ms != MOST_MS:
            self.beat_age_ms = min(self.beat_age_ms + elapsed_ms, MOST_MS - 1)
        self.power.tick(elapsed_ms)
        self._sense(elapsed_ms)
        for kind, word in self.link.poll():
            commands.answer(self, kind, word)
        self._do(self.policy.tick(elapsed_ms))
        self.leds.tick(elapsed_ms, self.policy.state, self.pairing.is_paired, self.button.stage)
        self._tell(elapsed_ms)
        self.journal.set(self.policy.boots, self.reset, self.tamper.has_opened)
        self.journal.tick(elapsed_ms)
        self._restart(elapsed_ms)
        self.board.feed()

    def _sense(self, elapsed_ms: int) -> None:
        is_low, is_hot = self.monitor.tick(elapsed_ms)
        self.policy.is_supply_low = self.monitor.supply.is_bad
        if is_low:
            self.journal.note(_EVENT["supply-low"], self.monitor.supply_mv or 0)
        if is_hot:
            self.journal.note(_EVENT["too-hot"], self.monitor.temperature_dc or 0)
        if self.tamper.tick(self.board.tamper_open()):
            self.journal.note(_EVENT["tamper"])
        meant = self.button.tick(elapsed_ms, self.board.button_down())
        if meant == button.PRESSED:
            self.happen(policy.BUTTON)
        elif meant == button.ENROLL:
            self.journal.note(_EVENT["button-enroll"])
        elif meant == button.FACTORY_RESET:
            self.journal.note(_EVENT["button-factory-reset"])
            self.tamper.clear()
            self.gives_up_key = True
            self.pairing.forget()
            self.link.change_key(self.pairing.key)
            self.happen(policy.UNPAIRED)

    def happen(self, event: int) -> None:
        """Tell the policy, and do what it says."""
        self._do(self.policy.happen(event))

    def _do(self, actions: "tuple[int, ...]") -> None:
        for action in actions:
            if action in TELLS:
                self.journal.note(TELLS[action], self.policy.boots)
            elif action in REASONS:
                self.reset = REASONS[action]
            elif action == policy.GOOD and self.trial.good():
                self.journal.note(_EVENT["upgrade-good"])
        if policy.CUT in actions or policy.GIVE in actions:
            self.journal.set(self.policy.boots, self.reset, self.tamper.has_opened)
            self.journal.save()
        if policy.CUT in actions:
            self.power.cut()
            self.link.end()
        elif policy.GIVE in actions:
            self.power.give()

    def _tell(self, elapsed_ms: int) -> None:
        self._event_ms -= elapsed_ms
        event = self.journal.unheard()
        if event is None or not self.link.has_session or self._event_ms > 0:
            return
        if TELL_NEEDS.get(event[1], 0) & ~self.link.features:
            self.journal.heard(event[0])
            return
        self._event_ms = EVENT_AGAIN_MS
        self.link.send(mcu_words.EVENT, event[0], event[1], event[2], event[4] // 1000)

    def tell_next(self) -> None:
        """The host has heard an event: the next one need not wait."""
        self._event_ms = 0

    def restart_soon(self) -> None:
        """The supervisor starts anew in a moment; the host keeps its power."""
        self._restart_ms = RESTART_MS

    def _restart(self, elapsed_ms: int) -> None:
        if self._restart_ms > 0 and self.power.is_given:
            self._restart_ms -= elapsed_ms
            if self._restart_ms <= 0:
                self.journal.save(is_restarting=True)
                self.board.restart()

    def flags(self) -> int:
        """The flags of WELCOME and STATUS."""
        out = mcu_words.ROLLBACK_ASKED if self.policy.is_rollback_asked() else 0
        out |= mcu_words.TAMPERED if self.tamper.has_opened else 0
        out |= mcu_words.UPGRADE_ON_TRIAL if self.trial.on_trial else 0
        out |= mcu_words.OWN_WATCHDOG if self.was_watchdog else 0
        return out | (0 if self.pairing.is_paired else mcu_words.UNPAIRED)

    def introduction(self, nonce: bytes, version: int) -> "tuple[int | bytes, ...]":
        """The fields of WELCOME."""
        return (
            nonce, version, mcu_words.OLDEST, mcu_words.NEWEST, self.board.features, self.board.number, self.reset,
            self.policy.boots, self.flags(), self.firmware[0], self.firmware[1], self.firmware[2],
            policy.BEAT_MS // 1000, policy.BOOT_MS // 1000, policy.HOLD_MS // 1000, BLOCK_BYTES, self.board.serial,
        )  # fmt: skip

    def send_status(self) -> None:
        """Say how things are."""
        supply_mv, temperature_dc = self.monitor.supply_mv, self.monitor.temperature_dc
        self.link.send(
            mcu_words.STATUS, self.policy.state, self.flags(), self.reset, self.policy.boots, self.firmware[0],
            self.firmware[1], self.firmware[2], max(self.policy.left_ms, 0), self.uptime_ms, self.beat_age_ms,
            mcu_words.NO_SUPPLY if supply_mv is None else supply_mv,
            mcu_words.NO_TEMPERATURE if temperature_dc is None else temperature_dc,
            self.board.free_bytes(), self.link.dropped,
        )  # fmt: skip
