"""The setup file for one box, put on a stick: which addresses it names, and how it gets there.

Rules of this file: an existing file that no box has used is never overwritten, it may hold somebody's open token. What
is written is read by the box's own parser first, so that no file leaves here that a box would refuse. Line ends are
those of Windows, whose editors take them for granted; the box takes both.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from pathlib import Path

from appliance.wire.setup_file import SETUP_NAME, Setup, SetupFileError, parse_setup
from appliance.wire.setup_render import render_setup
from collector_client.config import Config, parse_listen
from collector_client.errors import EnvironmentFault, OperatorError
from collector_client.pki.files import fault, write

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_HTTPS_PORT = 443
_ADVICE = "is the stick in, writable and not full?"


def collector_urls(config: Config, given: Sequence[str]) -> tuple[str, ...]:
    """The addresses that the box will try, in order: those given, or the configured names with the listener's port.

    Raises:
        OperatorError: there is no name that another machine could use.
    """
    if given:
        return tuple(given)
    _, port = parse_listen(config.ingest.listen)
    names = [name for name in config.collector.names if name.lower() not in _LOOPBACK]
    if not names or port == 0:
        raise OperatorError(
            f"[collector] names = {list(config.collector.names)}, port {port}: no address that a box could reach",
            advice="give one: --url https://collector.example.net, and put its name into [collector] names",
        )
    return tuple(f"https://{_bracketed(name)}" + (f":{port}" if port != _HTTPS_PORT else "") for name in names)


def check_names(config: Config, setup: Setup) -> None:
    """See that the server's certificate will bear the names in the file's addresses.

    Raises:
        OperatorError: it will not; the box would refuse the collector.
    """
    names = {name.lower() for name in config.collector.names}
    for url in setup.urls:
        host = url.removeprefix("https://")
        host = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
        if host.lower() not in names:
            raise OperatorError(
                f"{url}: {host} is not in [collector] names ({', '.join(sorted(names)) or 'empty'})",
                advice="the box would refuse the certificate: add it to names in collector.toml, restart serve",
            )


def check_stick(folder: Path) -> None:
    """See that the file can be put there, before a token is made for it.

    Raises:
        OperatorError: it is no folder, or holds a setup file that no box has used.
        EnvironmentFault: it cannot be read or written.
    """
    if not folder.is_dir():
        raise OperatorError(
            f"--stick {folder}: {'a file' if folder.exists() else 'nothing'} came, the folder of a mounted stick was"
            " allowed",
            advice="mount it first; lsblk -o NAME,LABEL,MOUNTPOINTS shows where",
        )
    path = folder / SETUP_NAME
    try:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise OperatorError(f"{path}: something that is no file came", advice="remove it")
        if path.exists() and not _is_used(path):
            raise OperatorError(
                f"{path}: a setup file is there already, and no box has used it",
                advice="use that one, or revoke its token and delete the file",
            )
    except OSError as error:
        raise _fault(path, error) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise EnvironmentFault(f"{folder}: cannot be written", advice="is the stick's write protection on?")


def checked_text(setup: Setup, until: str = "") -> bytes:
    """The file's bytes, as a box will read them; `until` when the token ends, in words.

    Raises:
        OperatorError: a value that a box would refuse.
    """
    data = render_setup(setup, until=until).replace("\n", "\r\n").encode()
    try:
        parse_setup(data)
    except SetupFileError as error:
        raise OperatorError(error.reason, advice=error.advice) from error
    return data


def write_stick(folder: Path, data: bytes) -> Path:
    """Put the file on the stick, to the medium itself.

    Raises:
        EnvironmentFault: it cannot be written whole; nothing of it is left.
    """
    path = folder / SETUP_NAME
    write(path, data, advice=_ADVICE)
    return path


def _is_used(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return parse_setup(file.read(1 << 16)).used is not None
    except SetupFileError:
        return False


def _bracketed(name: str) -> str:
    try:
        return f"[{name}]" if ipaddress.ip_address(name).version == 6 else name
    except ValueError:
        return name


def _fault(path: Path, error: OSError) -> EnvironmentFault:
    return fault(path, error, _ADVICE)
