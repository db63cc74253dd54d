"""What the emulator lacks for MicroPython's drivers: two interrupts.

UART: the emulator holds UARTTXINTR for ever, so `machine.UART` never returns from its interrupt handler. A PL011 raises
it when a write drains the FIFO past its mark, and a write to UARTICR takes it away (Arm DDI 0183, 2.8 and 3.3.13).

I2C: after an address that nobody acknowledges, the emulator leaves TX_EMPTY as it was, so the SDK waits until its
timeout and the next transfer sees the abort. An abort flushes the FIFO, and an empty FIFO raises TX_EMPTY (RP2040 data
sheet, 4.3, IC_RAW_INTR_STAT and IC_TX_ABRT_SOURCE).

Rules of this file: the least that is the chip's in this; nothing else of the emulator is changed.
"""

from __future__ import annotations

from typing import Any

from rp2040py.peripherals import i2c, uart


def apply() -> None:
    """Change the emulator's peripherals of this process; to be called once."""
    _uart()
    _i2c()


def _uart() -> None:
    write = uart.RPUART.write_uint32

    def check_interrupts(self: Any) -> None:
        self.rp2040.set_interrupt(self.irq, bool(self._interrupt_status & self._interrupt_mask))

    def write_uint32(self: Any, offset: int, value: int) -> None:
        write(self, offset, value)
        if offset == uart.UARTDR:
            self._interrupt_status |= uart.UARTTXINTR
            self.check_interrupts()

    uart.RPUART.check_interrupts = check_interrupts
    uart.RPUART.write_uint32 = write_uint32


def _i2c() -> None:
    abort = i2c.RPI2C._abort

    def abort_and_drain(self: Any, reason: int) -> None:
        abort(self, reason)
        self._set_interrupts(i2c.R_TX_EMPTY)

    i2c.RPI2C._abort = abort_and_drain
