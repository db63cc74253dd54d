"""A bundle on its way to the box: a file that grows by pieces and is whole when its hash says so.

Rules of this file: the file is named by the hash of the whole, so that what an earlier start has fetched is gone on
with, and never with the pieces of another bundle. Nothing here believes what is in it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from appliance.errors import EnvironmentFault
from appliance.update.fetched import Fetched, write_fetched
from appliance.wire.update import Offer

_SYNC_BYTES = 8 * 1024 * 1024
_READ_BYTES = 1024 * 1024
SPARE_BYTES = 64 * 1024 * 1024
"""What the box keeps free beside a bundle: its spool goes on."""


class Download:
    """The unfinished file of one offer."""

    def __init__(self, folder: Path, offer: Offer) -> None:
        """Begin, or go on; what is left of other offers goes.

        Raises:
            EnvironmentFault: the folder cannot be written, or has no room for it.
        """
        self._folder, self.offer = folder, offer
        self._path = folder / f"{offer.sha256}.part"
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            for path in folder.glob("*.part"):
                if path != self._path:
                    path.unlink()
            self.have_bytes = self._path.stat().st_size if self._path.exists() else 0
            if self.have_bytes > offer.size_bytes:
                self._path.unlink()
                self.have_bytes = 0
            free = shutil.disk_usage(folder).free
        except OSError as error:
            raise EnvironmentFault(f"{folder}: {error.strerror}") from error
        needed = offer.size_bytes - self.have_bytes + SPARE_BYTES
        if free < needed:
            raise EnvironmentFault(f"{folder}: {free >> 20} MiB are free, {needed >> 20} are needed for the update")
        self._synced = self.have_bytes

    @property
    def whole(self) -> bool:
        """Whether all bytes are there."""
        return self.have_bytes == self.offer.size_bytes

    def add(self, piece: bytes) -> None:
        """The next piece.

        Raises:
            EnvironmentFault: it cannot be written.
        """
        try:
            with self._path.open("ab") as file:
                file.write(piece)
                if self.have_bytes + len(piece) - self._synced >= _SYNC_BYTES or self.whole:
                    file.flush()
                    os.fsync(file.fileno())
                    self._synced = self.have_bytes + len(piece)
        except OSError as error:
            raise EnvironmentFault(f"{self._path}: {error.strerror}") from error
        self.have_bytes += len(piece)

    def hand_over(self) -> bool:
        """When the hash is the one that was offered, hand the bundle to who installs; else begin anew: False.

        Raises:
            EnvironmentFault: the folder cannot be written.
        """
        try:
            digest = hashlib.sha256()
            with self._path.open("rb") as file:
                os.fsync(file.fileno())
                while piece := file.read(_READ_BYTES):
                    digest.update(piece)
            if digest.hexdigest() != self.offer.sha256:
                self._path.unlink()
                self.have_bytes = 0
                return False
            fetched = Fetched(self.offer.update_id, self.offer.older)
            os.replace(self._path, fetched.bundle(self._folder))
        except OSError as error:
            raise EnvironmentFault(f"{self._path}: {error.strerror}") from error
        write_fetched(self._folder, fetched)
        return True


def forget_downloads(folder: Path) -> None:
    """Nothing is offered any more: what was fetched of it goes.

    Raises:
        EnvironmentFault: it cannot be removed.
    """
    try:
        for path in folder.glob("*.part"):
            path.unlink()
    except OSError as error:
        raise EnvironmentFault(f"{folder}: {error.strerror}") from error
