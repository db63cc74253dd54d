"""`python -m collector_client.page DIR`: the analyst's page as a process of its own, started by `vedette-collector
serve`.

Rules of this file: arguments, the listening socket and the server around `analyst.create_app`; it writes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn

from collector_client.analyst.guard import LOOPBACK_HOSTS
from collector_client.analyst.web import create_app
from collector_client.child import child_arguments, run_child
from collector_client.config import load_config, parse_listen
from collector_client.errors import EnvironmentFault
from collector_client.store.clock import SystemClock

_DRAIN_S = 5
_MOST_CONNECTIONS = 64
"""Beyond this a visitor is told to come back (503): an analyst's desk, not the Internet."""


class _Server(uvicorn.Server):
    """uvicorn without signal handlers of its own: the child's are in charge."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


async def run_page(directory: Path, listen: str, ready: Callable[[str], None], stop: asyncio.Event) -> None:
    """Serve the page until `stop` is set.

    Raises:
        CollectorError: the configuration cannot be used, or the port cannot be had.
    """
    host, port = parse_listen(listen)
    config = load_config(directory)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise EnvironmentFault(
            f"{listen}: cannot listen there ({os.strerror(error.errno) if error.errno else error})",
            advice="name another address with --page, or free the port",
        ) from error
    with listener:
        bracketed = f"[{host}]" if ":" in host else host
        hosts = {*LOOPBACK_HOSTS, *config.page.names, bracketed}
        app = create_app(directory, SystemClock(), hosts=sorted(hosts), production=config.collector.production)
        server = _Server(
            uvicorn.Config(
                app,
                access_log=False,
                log_level="warning",
                server_header=False,
                timeout_graceful_shutdown=_DRAIN_S,
                proxy_headers=False,
                ws="none",
                lifespan="off",
                limit_concurrency=_MOST_CONNECTIONS,
            )
        )
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        asked = asyncio.create_task(stop.wait())
        # The socket listens already, so whoever connects from now on is answered once the server's loop runs.
        ready(f"{bracketed}:{listener.getsockname()[1]}")
        await asyncio.wait({serving, asked}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        server.should_exit = True
        await serving


def main() -> int:
    """Run until told to end; returns the exit code."""
    args = child_arguments("collector_client.page")
    directory = Path(args.directory)
    return run_child(lambda ready, stop: run_page(directory, args.listen, ready, stop))


if __name__ == "__main__":
    sys.exit(main())
