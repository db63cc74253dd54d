"""What MicroPython starts on this board.

Rules of this file: no logic; pins and a start.
"""

import pins
import start

start.run(pins)
