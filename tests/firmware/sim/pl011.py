"""What the emulator's UART lacks for MicroPython's driver: an interrupt for sending that ends.

The emulator holds UARTTXINTR for ever, so `machine.UART` never returns from its interrupt handler. A PL011 raises it
when a write drains the FIFO past its mark, and a write to UARTICR takes it away (Arm DDI 0183, 2.8 and 3.3.13).

Rules of this file: the least that is a PL011 in this; nothing else of the emulator is changed.
"""

from __future__ import annotations

from typing import Any

from rp2040py.peripherals import uart


def apply() -> None:
    """Change the emulator's UARTs of this process; to be called once."""
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
