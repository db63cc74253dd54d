"""The supervisor's policy: when the host's power is cut, as one table of states.

    OFF      power is cut, and the supply is too low to give it back; also before the supervisor has begun
    BOOT     the host has power and has BOOT_MS to say that it is well
    UP       the host says so every second; BEAT_MS without it is too long
    WARN     it has not; a beat within WARN_MS saves it
    HOLD     the host asked not to be judged for a time (an update); capped, and one for each steady run
    DRAIN    the host asked for a power cycle and has DRAIN_MS to end in order
    CYCLE    power is cut for OFF_MS
    LOCKOUT  the host has power and is left alone until it is well or a hand presses the button: after MOST_BOOTS
             failures in a row, and where no host is paired

Rules of this file: no I/O and no clock; time comes as what has passed since the last call. Everything that may happen
is a row of TABLE; what has no row in a state is nothing there. Only a beat that says all is alive counts as one. A
failure is counted at every start that was not the mains', and only STEADY_MS of beats forgets them.
"""

OFF, BOOT, UP, WARN, HOLD, DRAIN, CYCLE, LOCKOUT = range(8)

BOOT_MS = 120_000
BEAT_MS = 10_000
WARN_MS = 5_000
DRAIN_MS = 60_000
OFF_MS = 4_000
"""Long enough for a host's supply to be empty."""
SUPPLY_MS = 60_000
"""The longest wait for a good supply: a sensor of voltage may be broken, so power comes back anyway."""
HOLD_MS = 3_600_000
STEADY_MS = 60_000
ROLLBACK_BOOTS = 3
MOST_BOOTS = 6

DEADLINES = {OFF: SUPPLY_MS, BOOT: BOOT_MS, UP: BEAT_MS, WARN: WARN_MS, DRAIN: DRAIN_MS, CYCLE: OFF_MS}
"""What a state lasts at most. A HOLD brings its own; LOCKOUT has none, and the host has power in it."""

# What may happen. The LAST ones are what became of a plain one when MOST_BOOTS is reached.
EVENTS = (
    "begin", "begin-unpaired", "timeout", "timeout-last", "timeout-low", "supply-good", "beat", "steady", "draining",
    "hold", "hold-over", "ask-cycle", "ask-drain", "button", "paired", "unpaired",
)  # fmt: skip
(
    BEGIN, BEGIN_UNPAIRED, TIMEOUT, TIMEOUT_LAST, TIMEOUT_LOW, SUPPLY_GOOD, BEAT, STEADY, DRAINING, ASK_HOLD, HOLD_OVER,
    ASK_CYCLE, ASK_DRAIN, BUTTON, PAIRED, UNPAIRED,
) = range(16)  # fmt: skip

# What is to be done, in the order of a row.
ACTIONS = (
    "cut", "give", "count", "forget", "good", "tell-warned", "tell-cycled", "tell-hold-ended", "tell-lockout",
    "because-boot-timeout", "because-beats-stopped", "because-asked", "because-button", "because-under-voltage",
)  # fmt: skip
(
    CUT, GIVE, COUNT, FORGET, GOOD, TELL_WARNED, TELL_CYCLED, TELL_HOLD_ENDED, TELL_LOCKOUT,
    BECAUSE_BOOT_TIMEOUT, BECAUSE_BEATS_STOPPED, BECAUSE_ASKED, BECAUSE_BUTTON, BECAUSE_UNDER_VOLTAGE,
) = range(14)  # fmt: skip

ASKED_CYCLE = (CYCLE, (CUT, BECAUSE_ASKED, TELL_CYCLED))
ASKED_DRAIN = (DRAIN, ())

# (state, event): (state afterwards, what is to be done)
TABLE = {
    (OFF, BEGIN): (BOOT, (GIVE,)),
    (OFF, BEGIN_UNPAIRED): (LOCKOUT, (GIVE,)),
    (OFF, SUPPLY_GOOD): (BOOT, (GIVE, COUNT)),
    (OFF, TIMEOUT): (BOOT, (GIVE, COUNT)),
    (BOOT, BEAT): (UP, ()),
    (BOOT, TIMEOUT): (CYCLE, (CUT, BECAUSE_BOOT_TIMEOUT, TELL_CYCLED)),
    (BOOT, TIMEOUT_LAST): (LOCKOUT, (TELL_LOCKOUT,)),
    (BOOT, ASK_HOLD): (HOLD, ()),
    (BOOT, ASK_CYCLE): ASKED_CYCLE,
    (BOOT, ASK_DRAIN): ASKED_DRAIN,
    (UP, BEAT): (UP, ()),
    (UP, STEADY): (UP, (FORGET, GOOD)),
    (UP, TIMEOUT): (WARN, (TELL_WARNED,)),
    (UP, DRAINING): (BOOT, (COUNT, BECAUSE_ASKED)),
    (UP, ASK_HOLD): (HOLD, ()),
    (UP, ASK_CYCLE): ASKED_CYCLE,
    (UP, ASK_DRAIN): ASKED_DRAIN,
    (WARN, BEAT): (UP, ()),
    (WARN, TIMEOUT): (CYCLE, (CUT, BECAUSE_BEATS_STOPPED, TELL_CYCLED)),
    (WARN, TIMEOUT_LAST): (LOCKOUT, (TELL_LOCKOUT,)),
    (WARN, DRAINING): (BOOT, (COUNT, BECAUSE_ASKED)),
    (WARN, ASK_HOLD): (HOLD, ()),
    (WARN, ASK_CYCLE): ASKED_CYCLE,
    (WARN, ASK_DRAIN): ASKED_DRAIN,
    (HOLD, ASK_HOLD): (HOLD, ()),
    (HOLD, HOLD_OVER): (UP, (TELL_HOLD_ENDED,)),
    (HOLD, TIMEOUT): (BOOT, (TELL_HOLD_ENDED,)),
    (HOLD, ASK_CYCLE): ASKED_CYCLE,
    (HOLD, ASK_DRAIN): ASKED_DRAIN,
    (DRAIN, TIMEOUT): ASKED_CYCLE,
    (DRAIN, ASK_CYCLE): ASKED_CYCLE,
    (CYCLE, TIMEOUT): (BOOT, (GIVE, COUNT)),
    (CYCLE, TIMEOUT_LOW): (OFF, (BECAUSE_UNDER_VOLTAGE,)),
    (LOCKOUT, BEAT): (UP, ()),
    (LOCKOUT, BUTTON): (CYCLE, (CUT, FORGET, BECAUSE_BUTTON, TELL_CYCLED)),
    (LOCKOUT, PAIRED): (BOOT, (FORGET,)),
}
# Without a paired host there is nobody to judge; a cut that has begun still ends with power.
for _state in (BOOT, UP, WARN, HOLD, DRAIN, LOCKOUT):
    TABLE[_state, UNPAIRED] = (LOCKOUT, ())


class Policy:
    """The state, what is left of its time, and the failures in a row."""

    def __init__(self, boots: int, is_paired: bool) -> None:
        self.state = OFF
        self.left_ms = SUPPLY_MS
        self.boots = boots
        self.is_paired = is_paired
        self.is_supply_low = False
        self.may_hold = True
        self.steady_ms = 0
        self.held_ms = 0

    def begin(self) -> "tuple[int, ...]":
        """The supervisor has started, by the mains or a reset: the host has power and is given the time of a boot."""
        return self.happen(BEGIN if self.is_paired else BEGIN_UNPAIRED)

    def happen(self, event: int) -> "tuple[int, ...]":
        """What is to be done about it; `()` when it is nothing in this state."""
        if event in (PAIRED, UNPAIRED):
            self.is_paired = event == PAIRED
        # `hold` alone knows how long, and whether.
        if event == ASK_HOLD or (not self.is_paired and BEAT <= event <= BUTTON):
            return ()
        if event in (ASK_CYCLE, ASK_DRAIN) and not self.may_cycle():
            return ()
        if event == TIMEOUT and self.boots >= MOST_BOOTS and (self.state, TIMEOUT_LAST) in TABLE:
            event = TIMEOUT_LAST
        elif event == TIMEOUT and self.is_supply_low and (self.state, TIMEOUT_LOW) in TABLE:
            event = TIMEOUT_LOW
        return self._take(event)

    def _take(self, event: int) -> "tuple[int, ...]":
        row = TABLE.get((self.state, event))
        if row is None:
            return ()
        before, self.state = self.state, row[0]
        # An unpaired host is left alone wherever a cut would have ended.
        if self.state == BOOT and not self.is_paired:
            self.state = LOCKOUT
        self._enter(before, event)
        for action in row[1]:
            if action == COUNT and self.boots < MOST_BOOTS:
                self.boots += 1
            elif action == FORGET:
                self.boots = 0
        return row[1]

    def _enter(self, before: int, event: int) -> None:
        if self.state == UP and before == UP:
            if event == STEADY:
                self.may_hold = True
                return
        else:
            self.steady_ms = 0
        if self.state != HOLD:
            self.held_ms = 0
            self.left_ms = DEADLINES.get(self.state, 0) + (DRAIN_MS if event == DRAINING else 0)

    def hold(self, wanted_ms: int) -> int:
        """Grants a hold, or more of one: the milliseconds granted from now; 0 when it is refused.

        In a HOLD the whole of it is capped; a new one needs a steady run since the last.
        """
        if not self.is_paired or (self.state, ASK_HOLD) not in TABLE or (self.state != HOLD and not self.may_hold):
            return 0
        self._take(ASK_HOLD)
        self.may_hold = False
        self.left_ms = max(min(wanted_ms, HOLD_MS - self.held_ms), 0)
        return self.left_ms

    def may_cycle(self) -> bool:
        """Whether the host may ask for a power cycle: one that is never steady would ask for ever."""
        return self.is_paired and self.boots < MOST_BOOTS and (self.state, ASK_CYCLE) in TABLE

    def began_anew(self) -> None:
        """The host's daemon is another one than before: its steadiness has to be shown anew."""
        self.steady_ms = 0

    def is_rollback_asked(self) -> bool:
        """Whether the host has failed often enough for its other slot."""
        return self.boots >= ROLLBACK_BOOTS

    def tick(self, elapsed_ms: int) -> "tuple[int, ...]":
        """What is to be done because of the time that has passed; one step at most."""
        if self.state == LOCKOUT:
            return ()
        if self.state == HOLD:
            self.held_ms += elapsed_ms
        elif self.state == UP and not self.steady_ms >= STEADY_MS:
            self.steady_ms += elapsed_ms
            if self.steady_ms >= STEADY_MS and self.left_ms > elapsed_ms:
                self.left_ms -= elapsed_ms
                return self.happen(STEADY)
        self.left_ms -= elapsed_ms
        if self.state == OFF and not self.is_supply_low:
            return self.happen(SUPPLY_GOOD)
        return self.happen(TIMEOUT) if self.left_ms <= 0 else ()
