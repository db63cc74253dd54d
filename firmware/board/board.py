"""A board with an RP2040 or RP2350: the only file of the firmware that knows `machine`.

Rules of this file: the pin that gives the host its power is the first thing that is set, the watchdog the second. Pins
come from the board's `pins.py`. Nothing is judged here.
"""

import gc
import os
import time

import machine
import micropython

from loader.folder import Folder

WATCHDOG_MS = 8_000
"""The chip's longest is 8388 on RP2040, and in MicroPython 1.25 also on RP2350."""
TURN_MS = 10
TIDY_TURNS = 100
BAUD = 115_200
BUS_HZ = 100_000
"""A secure element wakes by an address of zeros only at 100 kHz or less."""
BUS_TIMEOUT_US = 50_000
FULL_SCALE_MV = 3_300
FULL_SCALE = 65_535
MPY = 6


class Board:
    """All hardware, as `supervisor.loop` asks for it."""

    def __init__(self, pins) -> None:  # type: ignore[no-untyped-def]
        self._power = machine.Pin(pins.POWER, machine.Pin.OUT, value=1)
        self._watchdog = machine.WDT(timeout=WATCHDOG_MS)
        micropython.kbd_intr(-1)
        cause = machine.reset_cause()
        self.was_watchdog = cause == machine.WDT_RESET
        self.was_cold = cause == machine.PWRON_RESET
        self._turns = 0
        self.number = pins.NUMBER
        self.mpy = MPY
        self.features = pins.FEATURES
        self.serial = bytes(machine.unique_id())[:8]
        self.folder = Folder("")
        self._uart = machine.UART(
            pins.UART, BAUD, tx=machine.Pin(pins.TX), rx=machine.Pin(pins.RX), rxbuf=1024, txbuf=1024, timeout=100
        )
        self._green = machine.Pin(pins.GREEN, machine.Pin.OUT, value=0)
        self._red = machine.Pin(pins.RED, machine.Pin.OUT, value=0)
        self._button = machine.Pin(pins.BUTTON, machine.Pin.IN, machine.Pin.PULL_UP)
        self._cover = machine.Pin(pins.COVER, machine.Pin.IN, machine.Pin.PULL_UP)
        self._supply = machine.ADC(machine.Pin(pins.SUPPLY))
        self._supply_ratio = pins.SUPPLY_RATIO
        self._core = machine.ADC(machine.ADC.CORE_TEMP)
        self.bus = machine.I2C(
            pins.BUS, sda=machine.Pin(pins.SDA), scl=machine.Pin(pins.SCL), freq=BUS_HZ, timeout=BUS_TIMEOUT_US
        )
        self.ticks_ms = time.ticks_ms
        self.ticks_diff = time.ticks_diff
        self.pause_ms = time.sleep_ms
        self.random = os.urandom
        self.free_bytes = gc.mem_free
        self.feed = self._watchdog.feed
        self.restart = machine.reset

    def end_turn(self) -> None:
        """Until the next turn of the loop; now and then it tidies, so that memory never has to be found in a hurry."""
        self._turns += 1
        if self._turns % TIDY_TURNS == 0:
            gc.collect()
        time.sleep_ms(TURN_MS)

    def read(self, count: int) -> "bytes | None":
        """What has come; None when nothing has."""
        waiting = self._uart.any()
        return self._uart.read(min(waiting, count)) if waiting else None

    def write(self, data: bytes) -> None:
        """Send it; what the port does not take in time is lost, and the host asks again."""
        self._uart.write(data)

    def set_power(self, is_given: bool) -> None:
        """The host's power: high gives it, and the pull-up does so while the pin is nobody's."""
        self._power(is_given)

    def set_lamps(self, green: bool, red: bool) -> None:
        """Both lamps."""
        self._green(green)
        self._red(red)

    def button_down(self) -> bool:
        """Whether the button is pressed: it pulls down."""
        return not self._button()

    def tamper_open(self) -> bool:
        """Whether the cover is open: closed, its contact pulls down."""
        return bool(self._cover())

    def supply_mv(self) -> int:
        """The supply in front of the host, through a divider."""
        return int(self._supply.read_u16() * FULL_SCALE_MV * self._supply_ratio // FULL_SCALE)

    def temperature_dc(self) -> int:
        """The chip's, in tenths of a degree (RP2040 data sheet, section 4.9.5: 27 C at 706 mV, -1.721 mV/K)."""
        microvolts = self._core.read_u16() * FULL_SCALE_MV * 1000 // FULL_SCALE
        return 270 - (microvolts - 706_000) * 10 // 1721
