"""What is proved in the emulator, a claim each, in order: one boot, then everything on the same chip.

Rules of this file: claims and their limits. Each says what it saw; one that does not hold raises `ClaimError` or
`StuckError`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from appliance.wire import mcu_words
from appliance.wire.mcu_link import UNPAIRED_KEY, fingerprint
from firmware.board.rp2040 import pins
from firmware.uf2.uf2 import Image
from tests.firmware.sim.emulator import Emulator, StuckError
from tests.firmware.sim.host import Host
from tests.firmware.sim.secure_element import REVISION, SecureElement

FIRST_ADC_PIN = 26
SUPPLY_MV = 5_000
# 27 degrees (RP2040 data sheet, 4.9.5).
CORE_CHANNEL, CORE_MV = 4, 706
PAIRING_KEY = bytes(range(32))

BOOT_MS = 2_000
BEATS_STOPPED_MS = 15_000
OFF_MS = 4_000
LATE_MS = 500
"""A turn of the supervisor's loop, and a frame on the line."""
LEAST_WATCHDOG_MS = 7_500
WATCHDOG_MS = 8_388
FLASH_MS = 3_000
"""To erase and write a record."""
INFO = 0x30
USB_MS = 20
"""The workaround of the erratum is over by then."""
TRIAL_STARTS = 2
RESTART_MS = 4_000


class ClaimError(Exception):
    """What was seen is not what was claimed."""


def holds(condition: object, what: str) -> None:
    """Raise when it does not."""
    if not condition:
        raise ClaimError(what)


@dataclass
class Bench:
    """The chip and all that is wired to it."""

    image: Image
    upgrade: bytes = b""
    relay: list[tuple[str, float]] = field(default_factory=list)
    """Each state that the relay's pin took, and when."""

    def __post_init__(self) -> None:
        """Wire it and give it power."""
        self.emulator = Emulator(self.image)
        self.element = SecureElement()
        self.emulator.attach(pins.BUS, self.element)
        self.emulator.watch(pins.POWER, lambda state, at_ms: self.relay.append((state, at_ms)))
        self.emulator.set_voltage(pins.SUPPLY - FIRST_ADC_PIN, SUPPLY_MV / pins.SUPPLY_RATIO)
        self.emulator.set_voltage(CORE_CHANNEL, CORE_MV)
        self.host = Host(self.emulator, UNPAIRED_KEY)
        self.block_bytes = 0
        self.beside_ms = 0.0

    @property
    def now_ms(self) -> float:
        """Simulated milliseconds, also of chips that were looked at beside this one."""
        return self.emulator.now_ms + self.beside_ms

    def beat(self) -> Any:
        """A beat of a host that is well; the STATUS that answers it."""
        kind, status = self.host.ask(mcu_words.BEAT, mcu_words.RUNNING, mcu_words.ALL_ALIVE, 1)
        holds(kind == mcu_words.STATUS, f"a beat was answered with {kind:#x}")
        return status

    def cut(self) -> float | None:
        """When the relay last cut the host's power."""
        cuts = [at_ms for state, at_ms in self.relay if state == "LOW"]
        return cuts[-1] if cuts else None

    def given_after(self, cut_ms: float) -> Callable[[], float | None]:
        """When the relay gave it back after that."""
        return lambda: next((at_ms for state, at_ms in self.relay if state == "HIGH" and at_ms > cut_ms), None)


def plugged_in(bench: Bench) -> str:
    """A USB host that plugs in while it starts does not touch the host's power (RP2040-E5 lends GP15 to USB)."""
    other = Bench(bench.image)
    other.emulator.plug_in()
    other.emulator.run_until(lambda: other.emulator.console_is_open, BOOT_MS, "the USB console")
    enumerated_ms = other.emulator.now_ms
    other.emulator.run_for(USB_MS)
    bench.beside_ms += other.now_ms
    holds([state for state, _ in other.relay] == ["HIGH"], f"the relay's pin was {other.relay}")
    return f"enumerated after {enumerated_ms:.1f} ms; the relay's pin was HIGH and nothing else"


def hello(bench: Bench) -> str:
    """It boots, gives the host power and answers HELLO."""
    welcome = bench.host.greet(BOOT_MS)
    holds(bench.relay and bench.relay[-1][0] == "HIGH", f"the relay's pin was {bench.relay}")
    holds(mcu_words.BOARDS[welcome.board] == "rp2040", f"board {welcome.board} came")
    holds(welcome.flags & mcu_words.UNPAIRED, f"flags {welcome.flags:#x}: it is new and says that it is paired")
    bench.block_bytes = welcome.block_bytes
    powered_ms = bench.relay[-1][1]
    return f"firmware {firmware_of(welcome)}, words {welcome.version}; the host had power after {powered_ms:.1f} ms"


def pairing(bench: Bench) -> str:
    """It is paired, and from then on its key is the host's."""
    kind, answer = bench.host.ask(mcu_words.PAIR, PAIRING_KEY, within_ms=FLASH_MS)
    holds(kind == mcu_words.PAIRED, f"it was answered with {kind:#x}: {answer}")
    holds(answer.fingerprint == fingerprint(PAIRING_KEY), f"fingerprint {answer.fingerprint.hex()} came")
    bench.host = Host(bench.emulator, PAIRING_KEY)
    welcome = bench.host.greet(BOOT_MS)
    holds(not welcome.flags & mcu_words.UNPAIRED, f"flags {welcome.flags:#x} say that it is not paired")
    return f"fingerprint {answer.fingerprint.hex()}"


def beats(bench: Bench) -> str:
    """Three beats are answered, and the host is up."""
    took_ms = []
    for _ in range(3):
        began_ms = bench.emulator.now_ms
        status = bench.beat()
        took_ms.append(bench.emulator.now_ms - began_ms)
    state = mcu_words.STATES[status.state]
    holds(state == "UP", f"after three beats it was {state}")
    holds(abs(status.supply_mv - SUPPLY_MV) < 50, f"a supply of {status.supply_mv} mV came")
    holds(abs(status.temperature_dc - 270) < 20, f"a temperature of {status.temperature_dc} came")
    return f"state {state}, answers within {max(took_ms):.1f} ms, {status.free_bytes} octets of memory free"


def forged(bench: Bench) -> str:
    """A frame of another key is neither answered nor believed."""
    stranger = Host(bench.emulator, bytes(31) + b"\1")
    try:
        stranger.greet(LATE_MS)
    except StuckError:
        bench.beat()
        return "silence, and the session goes on"
    raise ClaimError("a HELLO of another key was answered")


def secure_element(bench: Bench) -> str:
    """The secure element answers through the link."""
    kind, answer = bench.host.ask(mcu_words.SECURE, INFO, 0, 0, b"")
    holds(kind == mcu_words.SECURE_ANSWER, f"it was answered with {kind:#x}: {answer}")
    holds(answer.status == 0 and REVISION in answer.data, f"status {answer.status}, {answer.data.hex()} came")
    holds(INFO in bench.element.commands, "the bus saw no command")
    return f"revision {answer.data.hex()}"


def measurements(bench: Bench) -> str:
    """Its measurements come as SenML."""
    kind, answer = bench.host.ask(mcu_words.MEASURE)
    holds(kind == mcu_words.MEASUREMENTS, f"it was answered with {kind:#x}: {answer}")
    names = [name for name in (b"supply", b"temperature", b"uptime", b"boots") if name in answer.data]
    holds(len(names) == 4, f"only {names} are in {answer.data.hex()}")
    return f"{len(answer.data)} octets of CBOR with {b', '.join(names).decode()}"


def own_watchdog(bench: Bench) -> str:
    """When the firmware hangs, its own watchdog starts it again, and the host keeps its power."""
    bench.beat()
    bench.emulator.hang()
    hung_ms = bench.emulator.now_ms
    fired = bench.emulator.run_until(lambda: bench.emulator.resets_ms, WATCHDOG_MS + LATE_MS, "the watchdog")
    bench.emulator.heard.clear()
    welcome = bench.host.greet(BOOT_MS)
    holds(welcome.flags & mcu_words.OWN_WATCHDOG, f"flags {welcome.flags:#x} say nothing of a watchdog")
    holds(fired[0] - hung_ms > LEAST_WATCHDOG_MS, f"it fired after {fired[0] - hung_ms:.0f} ms already")
    holds(bench.cut() is None, f"the host lost its power: {bench.relay}")
    return f"fired after {fired[0] - hung_ms:.0f} ms; the relay's pin was {bench.relay[-1][0]} and never LOW"


def beats_stop(bench: Bench) -> str:
    """When the beats stop, the relay cuts the host's power, and gives it back."""
    bench.beat()
    last_ms = bench.emulator.now_ms
    cut_ms = bench.emulator.run_until(bench.cut, BEATS_STOPPED_MS + LATE_MS, "the cut")
    holds(cut_ms - last_ms >= BEATS_STOPPED_MS - LATE_MS, f"cut after {cut_ms - last_ms:.0f} ms already")
    given_ms = bench.emulator.run_until(bench.given_after(cut_ms), OFF_MS + LATE_MS, "the power")
    holds(given_ms - cut_ms >= OFF_MS - LATE_MS, f"given back after {given_ms - cut_ms:.0f} ms already")
    return f"cut {cut_ms - last_ms:.0f} ms after the last beat, given back {given_ms - cut_ms:.0f} ms later"


def reason(bench: Bench) -> str:
    """The host that comes back learns why it was started."""
    welcome = bench.host.greet(BOOT_MS)
    holds(mcu_words.RESETS[welcome.reset] == "beats-stopped", f"it says {mcu_words.RESETS[welcome.reset]}")
    holds(welcome.boots == 1, f"it counts {welcome.boots} failures")
    return f"{mcu_words.RESETS[welcome.reset]}, failures in a row: {welcome.boots}"


def upgraded(bench: Bench) -> str:
    """A firmware comes over the link, and runs on trial after a restart in which the host keeps its power."""
    cuts, resets = bench.cut(), len(bench.emulator.resets_ms)
    sha256 = hashlib.sha256(bench.upgrade).digest()
    _, answer = bench.host.ask(mcu_words.UPGRADE_BEGIN, len(bench.upgrade), 0, 0, 1, sha256, within_ms=FLASH_MS)
    for at in range(0, len(bench.upgrade), bench.block_bytes):
        holds(answer.wanted == at, f"block {at}: {answer} came")
        block = bench.upgrade[at : at + bench.block_bytes]
        _, answer = bench.host.ask(mcu_words.UPGRADE_BLOCK, at, block, within_ms=FLASH_MS)
    _, answer = bench.host.ask(mcu_words.UPGRADE_END, within_ms=10 * FLASH_MS)
    holds(mcu_words.STAGES[answer.stage] == "written", f"it ended with {answer}")
    bench.emulator.run_until(lambda: len(bench.emulator.resets_ms) > resets, RESTART_MS, "the restart")
    welcome = bench.host.greet(BOOT_MS)
    holds(welcome.flags & mcu_words.UPGRADE_ON_TRIAL, f"flags {welcome.flags:#x} say nothing of a trial")
    holds(bench.cut() == cuts, f"the host lost its power: {bench.relay}")
    return f"{len(bench.upgrade)} octets; firmware {firmware_of(welcome)} is on trial"


def reverted(bench: Bench) -> str:
    """A firmware on trial that hangs at every start is given up, and the host keeps its power."""
    cuts = bench.cut()
    for start in range(1, TRIAL_STARTS + 1):
        resets = len(bench.emulator.resets_ms)
        bench.emulator.hang()
        bench.emulator.run_until(
            lambda seen=resets: len(bench.emulator.resets_ms) > seen, WATCHDOG_MS + LATE_MS, "the watchdog"
        )
        welcome = bench.host.greet(BOOT_MS)
        on_trial = bool(welcome.flags & mcu_words.UPGRADE_ON_TRIAL)
        holds(on_trial is (start < TRIAL_STARTS), f"after {start} hangs its flags are {welcome.flags:#x}")
    holds(bench.cut() == cuts, f"the host lost its power: {bench.relay}")
    return f"after {TRIAL_STARTS} starts the firmware of before runs again"


def firmware_of(welcome: Any) -> str:
    """The release that a board says it runs."""
    return f"{welcome.firmware_major}.{welcome.firmware_minor}.{welcome.firmware_patch}"


UPGRADE_CLAIMS = (upgraded, reverted)
CLAIMS: tuple[Callable[[Bench], str], ...] = (
    plugged_in,
    hello,
    pairing,
    beats,
    forged,
    secure_element,
    measurements,
    own_watchdog,
    beats_stop,
    reason,
)
