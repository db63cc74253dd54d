"""The page as a process of its own: uvicorn on one address, loopback unless told otherwise.

Rules of this file: it starts and stops, nothing else. It reads the store and could run as another user than the ingest.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from collector_client.analyst.guard import LOOPBACK_HOSTS
from collector_client.analyst.web import create_app
from collector_client.store.clock import SystemClock


def serve(directory: Path, listener: socket.socket, *, hosts: Iterable[str] = ()) -> None:
    """Answer on an already bound socket until SIGTERM or SIGINT; `hosts` are names allowed beside the loopback ones."""
    server(create_app(directory, SystemClock(), hosts=(*LOOPBACK_HOSTS, *hosts))).run(sockets=[listener])


def server(app: Starlette) -> uvicorn.Server:
    """The server with its settings, not yet running."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # no proxy is trusted to say who the client is
        ws="none",
        lifespan="off",
        limit_concurrency=64,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=3,
    )
    return uvicorn.Server(config)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    Raises:
        OSError: the address is taken or not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener
