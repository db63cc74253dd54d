"""Starts the firmware on MicroPython's unix port as a board does; `board`, `pins` and `release` are those beside it."""

import pins
import start

start.run(pins)
