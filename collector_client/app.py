"""`vedette-collector serve`: two processes under one parent, one for sensors and one for analysts.

    parent ─┬─ ingest   the certificates' keys, the only writer
            └─ page     reads; a fault there never touches the ingest

Rules of this file: the parent starts both, says READY to systemd (sd_notify) when both can be reached, passes the end
on, and ends when either does: a half collector is none. A child sees its parent's end by its standard input.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from collector_client.child import READY
from collector_client.config import Config
from collector_client.errors import EnvironmentFault

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 40.0
CHILDREN = ("ingest", "page")
MODULES = {"ingest": "collector_client.ingest", "page": "collector_client.page"}


@dataclass(slots=True)
class _Child:
    name: str
    process: asyncio.subprocess.Process
    address: str = ""


def serve(directory: Path, config: Config, tell: Callable[[str], None]) -> int:
    """Run the collector until SIGTERM or SIGINT; `tell` is given a line for each thing worth knowing.

    Returns:
        The exit code: a child's own when it could not start (it has told why).

    Raises:
        EnvironmentFault: a child ended by itself after it was ready.
    """
    return asyncio.run(_serve(directory, config, tell))


async def _serve(directory: Path, config: Config, tell: Callable[[str], None]) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    listens = {"ingest": config.ingest.listen, "page": config.page.listen}
    children: list[_Child] = []
    try:
        for name in CHILDREN:
            child = await _start(name, directory, listens[name])
            children.append(child)
            code = await _until_ready(child, stop)
            if code is not None:
                return code
            scheme = "https" if name == "ingest" else "http"
            tell(f"{name:6} {scheme}://{child.address}/")
        notify(b"READY=1")
        return await _until_end(children, stop)
    finally:
        notify(b"STOPPING=1")
        for child in reversed(children):
            await _end(child)


async def _start(name: str, directory: Path, listen: str) -> _Child:
    environment = {key: value for key, value in os.environ.items() if key != "NOTIFY_SOCKET"}
    # A terminal sends Ctrl-C to every process of ours: a child keeps it pending until it can answer (child.py).
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            MODULES[name],
            str(directory),
            "--listen",
            listen,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
        )
    except OSError as error:
        raise EnvironmentFault(f"{name}: cannot be started ({error.strerror or error})") from error
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    return _Child(name, process)


async def _until_ready(child: _Child, stop: asyncio.Event) -> int | None:
    """None once the child is ready; an exit code when it, or the whole, has ended instead."""
    if child.process.stdout is None:
        raise EnvironmentFault(f"{child.name}: has no standard output")
    said = asyncio.ensure_future(child.process.stdout.readline())
    asked = asyncio.ensure_future(stop.wait())
    done, pending = await asyncio.wait({said, asked}, timeout=START_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    if asked in done:
        return 0
    line = said.result().decode("utf-8", "replace").strip() if said in done else ""
    if line.startswith(READY):
        child.address = line.removeprefix(READY)
        return None
    if not done:
        raise EnvironmentFault(f"{child.name}: not ready after {START_TIMEOUT_S:g} s")
    return (await child.process.wait()) or EnvironmentFault.exit_code


async def _until_end(children: list[_Child], stop: asyncio.Event) -> int:
    waits = {asyncio.ensure_future(child.process.wait()): child for child in children}
    asked = asyncio.ensure_future(stop.wait())
    done, pending = await asyncio.wait({asked, *waits}, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    if asked in done:
        return 0
    child = next(waits[task] for task in waits if task in done)
    raise EnvironmentFault(
        f"{child.name}: ended by itself ({_how(child.process.returncode)}), so the collector stops",
        advice="its last words stand above; start again with: vedette-collector serve",
    )


async def _end(child: _Child) -> None:
    """Ask a child to end and wait; the last means is SIGKILL, which loses nothing that was receipted."""
    if child.process.returncode is not None:
        return
    if child.process.stdin is not None:
        child.process.stdin.close()
    try:
        await asyncio.wait_for(child.process.wait(), STOP_TIMEOUT_S)
    except TimeoutError:
        child.process.kill()
        await child.process.wait()


def _how(code: int | None) -> str:
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"


def notify(state: bytes) -> None:
    """Tell systemd, when it listens (sd_notify(3)); a name that begins with @ is in the abstract name space."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        try:
            sender.sendto(state, "\0" + address[1:] if address.startswith("@") else address)
        except OSError:
            return  # a listener that has gone must not stop the collector
