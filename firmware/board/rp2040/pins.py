"""The RP2040's pins, as a Pico module has them.

Rules of this file: numbers only.
"""

NUMBER = 1
"""In `mcu_words.BOARDS`."""
FEATURES = 31
"""Secure element, upgrade, sensors, tamper contact, button (`mcu_words.HAS_*`)."""

POWER = 14
"""High gives the host its power; pulled up outside, so that a chip in reset gives it too. Never GP15: the first RP2040s
lend that pin to USB for a moment when a host plugs in (erratum RP2040-E5)."""
UART, TX, RX = 0, 0, 1
BUS, SDA, SCL = 0, 4, 5
GREEN, RED = 16, 17
BUTTON = 18
COVER = 19
SUPPLY = 26
SUPPLY_RATIO = 2
"""5 V through a divider of two equal resistors."""
