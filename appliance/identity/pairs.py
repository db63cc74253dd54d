"""Where a sensor's pairs of key and certificate lie, one after another, and which of them is in force.

    identity/key.pem, cert.pem           the first pair, number 0
    identity/pair-1/key.pem, cert.pem    the next one, being made, or whole
    identity/current -> pair-1           a link that names the pair in force; without it, it is number 0

Rules of this file: a pair's files never move, and the link is replaced in one step (rename(2)), so that whoever looks
at any moment, and whatever dies at any moment, finds a whole pair in force. The pair before is kept until the new one
has been used. One process changes anything at a time (a kernel lock); looking needs none.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from appliance.errors import OperatorError
from appliance.files import fsync_folder
from appliance.identity.errors import KeyFileError

_PAIR = re.compile(r"pair-([1-9][0-9]{0,8})", re.ASCII)
_FILES = ("key.pem", "cert.pem")


class Pairs:
    """All pairs of one identity folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._link = root / "current"

    def current(self) -> Path:
        """The folder of the pair in force.

        Raises:
            KeyFileError: the link names something else than a pair.
        """
        return self._folder(self._number())

    def following(self) -> Path:
        """The folder of the pair that would be next; it need not exist."""
        return self._folder(self._number() + 1)

    def earlier(self) -> Path | None:
        """The folder of the newest pair before the one in force, while it is kept."""
        before = [number for number in self._kept() if number < self._number()]
        return self._folder(max(before)) if before else None

    def switch(self, pair: Path) -> None:
        """Put another pair into force, durably.

        Raises:
            KeyFileError: the folder cannot be written.
        """
        fresh = self._root / "current.new"
        with self._told():
            fresh.unlink(missing_ok=True)
            if pair == self._root:
                self._link.unlink(missing_ok=True)
            else:
                fresh.symlink_to(pair.name)
                fresh.rename(self._link)
            self._sync()

    def drop_earlier(self) -> None:
        """Remove every pair before the one in force, keys first.

        Raises:
            KeyFileError: the folder cannot be written.
        """
        now = self._number()
        for number in self._kept():
            if number < now:
                self.drop(self._folder(number))

    def drop(self, pair: Path) -> None:
        """Remove a pair that is not in force, whole or not.

        Raises:
            KeyFileError: the folder cannot be written.
        """
        with self._told():
            for name in _FILES:
                (pair / name).unlink(missing_ok=True)
            if pair != self._root and pair.exists():
                shutil.rmtree(pair)
            self._sync()

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the lock of those who change something.

        Raises:
            OperatorError: another process holds it.
            KeyFileError: the folder cannot be written.
        """
        with self._told():
            fd = os.open(self._root / "renew.lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as exc:
                raise OperatorError(
                    f"{self._root}: a renewal is going on already", advice="wait for it: vedette status"
                ) from exc
            yield
        finally:
            os.close(fd)

    def _number(self) -> int:
        try:
            target = os.readlink(self._link)
        except FileNotFoundError:
            return 0
        except OSError as exc:
            raise KeyFileError(f"{self._link}: cannot read: {exc.strerror}", advice="enroll again") from exc
        match = _PAIR.fullmatch(target)
        if match is None:
            came = f"{self._link}: a link to {target!r} came"
            raise KeyFileError(f"{came}, to pair-<number> was allowed", advice="remove it")
        return int(match[1])

    def _folder(self, number: int) -> Path:
        return self._root / f"pair-{number}" if number else self._root

    def _kept(self) -> list[int]:
        """The numbers of the pairs of which a file is there."""
        numbers = [0] if any((self._root / name).exists() for name in _FILES) else []
        matches = (_PAIR.fullmatch(path.name) for path in self._root.glob("pair-*"))
        return sorted([*numbers, *(int(match[1]) for match in matches if match)])

    def _sync(self) -> None:
        fsync_folder(self._root)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise KeyFileError(
                f"{self._root}: cannot write: {exc.strerror}", advice="check sensor.state_dir"
            ) from exc  # fmt: skip
