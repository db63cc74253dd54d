"""The RP2040's pins, as a Pico module has them.

Rules of this file: numbers only.
"""

NUMBER = 1
"""In `mcu_words.BOARDS`."""
FEATURES = 31
"""Secure element, upgrade, sensors, tamper contact, button (`mcu_words.HAS_*`)."""

POWER = 15
"""High gives the host its power; pulled up outside, so that a chip in reset gives it too."""
UART, TX, RX = 0, 0, 1
BUS, SDA, SCL = 0, 4, 5
GREEN, RED = 16, 17
BUTTON = 18
COVER = 19
SUPPLY = 26
SUPPLY_RATIO = 2
"""5 V through a divider of two equal resistors."""
