"""A visitor of the page over real HTTP: the server of the product on a loopback port, a plain client beside it."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

import uvicorn

from collector_client.analyst import create_app
from collector_client.analyst.guard import LOOPBACK_HOSTS
from collector_client.store.clock import Clock


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode("utf-8")


class Visitor:
    """Runs the page while it is open; `with Visitor(...) as visitor: visitor.get("/")`."""

    def __init__(self, directory: Path, clock: Clock, hosts: Iterable[str] = LOOPBACK_HOSTS, **more: bool) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        app = create_app(directory, clock, hosts=hosts, **more)
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],))

    def __enter__(self) -> Visitor:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()

    def get(
        self, path: str, headers: Mapping[str, str] | None = None, params: Mapping[str, str] | None = None
    ) -> Answer:
        if params:
            path += "?" + urlencode(params)
        return self.request("GET", path, headers)

    def request(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, quote(path, safe="/%?&=+:[].,@'()"), headers=dict(headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()
