"""The other ends that no Debian package offers: a mail sink, a mining pool's greeting, the master of a reverse shell.

Each says just enough for the real client to go on, one connection at a time, until it is ended. Run by services.py.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from typing import BinaryIO


def smtp(stream: BinaryIO) -> None:
    """RFC 5321's least: accepts every sender, recipient and message."""

    def say(line: bytes) -> None:
        stream.write(line + b"\r\n")
        stream.flush()

    say(b"220 mail.example.org ESMTP")
    in_data = False
    for line in stream:
        verb = line[:4].upper()
        if in_data:
            if line == b".\r\n":
                in_data = False
                say(b"250 2.0.0 accepted")
        elif verb == b"EHLO":
            say(b"250-mail.example.org")
            say(b"250 8BITMIME")
        elif verb == b"DATA":
            in_data = True
            say(b"354 go on, end with a dot")
        elif verb == b"QUIT":
            say(b"221 2.0.0 bye")
            return
        else:
            say(b"250 2.0.0 ok")


def pool(stream: BinaryIO) -> None:
    """Answers each line of a Stratum client with success."""
    for number, _ in enumerate(stream, 1):
        stream.write(b'{"id":%d,"jsonrpc":"2.0","error":null,"result":{"status":"OK"}}\n' % number)
        stream.flush()


def shell_master(stream: BinaryIO) -> None:
    """Asks the shell that called who it runs as, then lets it go."""
    stream.write(b"id\n")
    stream.flush()
    stream.readline()
    stream.write(b"exit\n")
    stream.flush()


KINDS: dict[str, Callable[[BinaryIO], None]] = {"smtp": smtp, "pool": pool, "shell-master": shell_master}


def main() -> None:
    """sink.py KIND PORT"""
    kind, port = KINDS[sys.argv[1]], int(sys.argv[2])
    with socket.create_server(("0.0.0.0", port)) as server:  # noqa: S104 - inside a namespace of its own
        while True:
            connection, _ = server.accept()
            with connection, connection.makefile("rwb") as stream:
                kind(stream)


if __name__ == "__main__":
    main()
