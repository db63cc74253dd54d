"""The serial port to the supervisor: opened raw and for us alone, read and written with time limits.

Rules of this file: octets only; what they mean is `link.py`'s. A port may vanish at any moment (a board on USB does
when it restarts) and is `PortGoneError` then, whatever the kernel calls it. Nothing here waits longer than it is told.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import termios
from typing import Any, Protocol

from appliance.mcu.errors import PortBusyError, PortError, PortGoneError

READ_BYTES = 4096
"""In one read; with the pause between two reads it bounds what a port that never falls silent may cost."""
WRITE_LIMIT_MS = 1000
_GONE = frozenset({errno.ENOENT, errno.ENXIO, errno.ENODEV, errno.EIO})
_BUSY = frozenset({errno.EBUSY, errno.EWOULDBLOCK})


class Port(Protocol):
    """A way to the supervisor."""

    def read(self, timeout_s: float) -> bytes:
        """What has come, after waiting for it for so long at most; empty when nothing has.

        Raises:
            PortGoneError: the port went away.
        """

    def write(self, data: bytes) -> None:
        """Send all of it.

        Raises:
            PortGoneError: the port went away, or takes nothing.
        """

    def close(self) -> None:
        """Give it back."""


class SerialPort:
    """A terminal device: 8 data bits, no parity, 1 stop bit, no flow control."""

    def __init__(self, path: str, baud: int = 115_200) -> None:
        """Open it, and throw away what has come before.

        Raises:
            PortGoneError: it is not there.
            PortBusyError: another program has it.
            PortError: it is no serial port, not ours to open, or does not know this speed.
        """
        self._path = path
        speed = getattr(termios, f"B{baud}", None)
        if speed is None:
            raise PortError(f"{path}: {baud} baud came, a speed that this system knows was allowed")
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise _named(path, error) from error
        try:
            if not os.isatty(self._fd):
                raise PortError(f"{path}: not a serial port", advice="check [supervisor] port")
            # Two readers of one port would each hear half: against ourselves by the lock, against others by TIOCEXCL.
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.ioctl(self._fd, termios.TIOCEXCL)
            self._make_raw(speed)
            self._poll = select.poll()
            self._poll.register(self._fd, select.POLLIN)
        except (OSError, termios.error) as error:
            os.close(self._fd)
            raise _named(path, error) from error
        except PortError:
            os.close(self._fd)
            raise

    def _make_raw(self, speed: int) -> None:
        characters: Any = list(termios.tcgetattr(self._fd)[6])
        # A read then says EAGAIN when nothing has come, and the end of the file only when the line is gone.
        characters[termios.VMIN], characters[termios.VTIME] = 1, 0
        # Without HUPCL: closing must not let DTR fall, which restarts many boards.
        control = termios.CS8 | termios.CREAD | termios.CLOCAL
        termios.tcsetattr(self._fd, termios.TCSANOW, [0, 0, control, 0, speed, speed, characters])
        termios.tcflush(self._fd, termios.TCIOFLUSH)

    def read(self, timeout_s: float) -> bytes:
        """See `Port.read`."""
        try:
            if not self._poll.poll(max(0, int(timeout_s * 1000))):
                return b""
            data = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise _named(self._path, error) from error
        if not data:
            raise PortGoneError(f"{self._path}: the line ended")
        return data

    def write(self, data: bytes) -> None:
        """See `Port.write`."""
        # Never polled for input here: a peer that talks without end must not keep us from seeing that it takes nothing.
        ready = select.poll()
        ready.register(self._fd, select.POLLOUT)
        rest = memoryview(data)
        while rest:
            try:
                if not ready.poll(WRITE_LIMIT_MS):
                    raise PortGoneError(f"{self._path}: takes nothing for {WRITE_LIMIT_MS} ms")
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise _named(self._path, error) from error

    def close(self) -> None:
        """See `Port.close`."""
        with contextlib.suppress(OSError):
            os.close(self._fd)


def _named(path: str, error: OSError | termios.error) -> PortError:
    number = error.args[0] if error.args else None
    said = os.strerror(number) if isinstance(number, int) else str(error)
    if number in _GONE:
        return PortGoneError(f"{path}: {said}", advice="is the supervisor's board connected? see [supervisor] port")
    if number in _BUSY:
        return PortBusyError(
            f"{path}: another program has it", advice="is `vedette run` at work, or a terminal program?"
        )
    return PortError(f"{path}: {said}", advice="may this user open it (group dialout)? see [supervisor] port")
