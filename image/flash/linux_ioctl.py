"""Two things that Linux does with a block device only by ioctl(2).

Rules of this file: numbers and calls; nothing here is called on another system, where fcntl need not exist.
Source: include/uapi/linux/fs.h.
"""

from __future__ import annotations

import importlib

BLKRRPART = 0x125F
BLKFLSBUF = 0x1261


def forget_cached(fd: int) -> None:
    """Write out and drop what the kernel keeps of the device.

    Raises:
        OSError: it could not.
    """
    importlib.import_module("fcntl").ioctl(fd, BLKFLSBUF, 0)


def read_table_anew(fd: int) -> None:
    """Look at the partitions again.

    Raises:
        OSError: one of them is in use, or the device has none.
    """
    importlib.import_module("fcntl").ioctl(fd, BLKRRPART)
