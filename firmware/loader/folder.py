"""A folder of the board's file system.

Rules of this file: names below one folder, octets in and out. A file that is not there, or cannot be read, is None;
what cannot be written raises `OSError`, because whoever writes has to know.
"""

import os


class Folder:
    """Files by their names below `path`."""

    def __init__(self, path: str) -> None:
        self.path = path.rstrip("/")

    def read(self, name: str, most: int) -> "bytes | None":
        """At most `most` octets of a file."""
        try:
            with open(self.path + "/" + name, "rb") as file:
                return bytes(file.read(most))
        except OSError:
            return None

    def write(self, name: str, data: bytes) -> None:
        """A file anew, with what leads to it.

        Raises:
            OSError: the file system is full or broken.
        """
        self._make_way(name)
        with open(self.path + "/" + name, "wb") as file:
            file.write(data)

    def append(self, name: str, data: bytes) -> None:
        """More of a file.

        Raises:
            OSError: the file system is full or broken.
        """
        with open(self.path + "/" + name, "ab") as file:
            file.write(data)

    def open(self, name: str):  # type: ignore[no-untyped-def]
        """A file to read from, octet by octet.

        Raises:
            OSError: it is not there.
        """
        return open(self.path + "/" + name, "rb")

    def names(self, name: str = "") -> "list[str]":
        """What is in a folder; nothing when there is none."""
        try:
            return sorted(os.listdir(self.path + "/" + name))
        except OSError:
            return []

    def remove(self, name: str) -> None:
        """A file, or a folder with all that is in it; nothing when it is not there."""
        for inner in self.names(name):
            self.remove(name + "/" + inner)
        for remove in (os.remove, os.rmdir):
            try:
                remove(self.path + "/" + name)
                return
            except OSError:
                continue

    def _make_way(self, name: str) -> None:
        way = self.path
        for part in name.split("/")[:-1]:
            way = way + "/" + part
            try:
                os.mkdir(way)
            except OSError:
                continue
