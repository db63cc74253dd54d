"""The boards that a flash image is made for.

Rules of this file: data only. A board of ours is a folder in `firmware/board`; what MicroPython calls it is here.
"""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Board:
    """One board: its folder in `firmware/board`, MicroPython's name for it, and UF2's number for its chip."""

    name: str
    micropython: str
    family: int
    code_bytes: int
    """Where the file system begins in flash: an image must end before it (MICROPY_HW_FLASH_STORAGE_BYTES)."""

    @property
    def file(self) -> str:
        """The flash image that a release has for this board."""
        return f"vedette-supervisor-{self.name}.uf2"

    @property
    def upgrade(self) -> str:
        """The upgrade over the link that a release has for this board."""
        return f"vedette-supervisor-{self.name}.vfw"


# UF2 family ids: RP2350 in Arm secure state, and RP2040 (pico-sdk, boot/uf2.h).
BOARDS = (
    Board("rp2350", "RPI_PICO2", 0xE48BFF59, MIB),
    Board("rp2040", "RPI_PICO", 0xE48BFF56, 2 * MIB - 1408 * 1024),
)
