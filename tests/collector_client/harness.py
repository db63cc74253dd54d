"""A collector's ingest on loopback, in this process: real TLS, real SQLite, a clock that tests may turn."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric import ec

from collector_client.config import Config, load_config
from collector_client.create import create_collector
from collector_client.ingest.process import Ingest
from collector_client.pki import Authority
from collector_client.store import Control, sensors
from collector_client.tokens import new_token
from tests.fakes.sensor import FakeSensor

DAY_NS = 86_400 * 10**9
Box = TypeVar("Box", bound=FakeSensor)


class TurnedClock:
    """The machine's clock, `ahead_ns` off; TLS itself keeps the machine's."""

    def __init__(self) -> None:
        self.ahead_ns = 0
        self._held_s: float | None = None

    def hold(self) -> None:
        """Let no seconds pass from now on, so that no quota refills while a slow machine works."""
        self._held_s = time.monotonic()

    def wall_ns(self) -> int:
        return time.time_ns() + self.ahead_ns

    def monotonic_s(self) -> float:
        return (time.monotonic() if self._held_s is None else self._held_s) + self.ahead_ns / 10**9


class Collector:
    """Made in a folder, started and stopped by tests."""

    def __init__(
        self,
        directory: Path,
        change: Callable[[Config], Config] = lambda config: config,
        *,
        clock: TurnedClock | None = None,
    ) -> None:
        self.directory = directory
        self.clock = clock or TurnedClock()
        if not (directory / "collector.toml").exists():
            self.pin = create_collector(directory, ["127.0.0.1", "localhost"], "127.0.0.1:0", self.clock)
        self.config = change(load_config(directory))
        self.address = ""
        self._thread: threading.Thread | None = None
        self._boxes: list[FakeSensor] = []

    def start(self) -> Collector:
        """Listen on a port of the system's choice."""
        ready = threading.Event()
        failed: list[BaseException] = []

        async def run() -> None:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()

            def tell(address: str) -> None:
                self.address = address
                ready.set()

            await Ingest(self.directory, self.config, self.clock).run("127.0.0.1:0", tell, self._stop)

        def main() -> None:
            try:
                asyncio.run(run())
            except BaseException as error:  # handed to the test's thread
                failed.append(error)
            finally:
                ready.set()

        self._thread = threading.Thread(target=main)
        self._thread.start()
        ready.wait()
        if failed:
            raise failed[0]
        return self

    def stop(self) -> None:
        """Drain and end."""
        for box in self._boxes:
            box.disconnect()
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
            self._thread = None

    def token(
        self,
        tenant: str = "acme",
        site: str = "north",
        life_s: int = 3600,
        ek_sha256: bytes | None = None,
        for_sensor: str | None = None,
        key_sha256: bytes | None = None,
    ) -> str:
        """A new token; with `ek_sha256` for that TPM alone, with `for_sensor` to go on with that record, with
        `key_sha256` for that key in a secure element.
        """
        control = Control.open(self.directory)
        try:
            now_ns = self.clock.wall_ns()
            made = new_token(
                control,
                tenant,
                site,
                "",
                life_s,
                now_ns,
                ek_sha256=ek_sha256,
                for_sensor=for_sensor,
                key_sha256=key_sha256,
            )
            return str(made)
        finally:
            control.close()

    def box(self, key: ec.EllipticCurvePrivateKey | None = None) -> FakeSensor:
        """A box that has not enrolled; its connection ends with the collector."""
        self._boxes.append(FakeSensor(self.address, key))
        return self._boxes[-1]

    def adopt(self, box: Box) -> Box:
        """A box made elsewhere whose connection is to end with the collector."""
        self._boxes.append(box)
        return box

    def sensor(self, **where: str) -> FakeSensor:
        """A box that has just enrolled."""
        sensor = self.box()
        assert sensor.enroll(self.token(**where)).status == 200
        return sensor

    def revoke(self, sensor_id: str, reason: str = "stolen") -> None:
        """What the operator does about a sensor that is in wrong hands."""
        control = Control.open(self.directory)
        try:
            with control.transaction() as connection:
                sensors.revoke(connection, sensor_id, reason, self.clock.wall_ns())
        finally:
            control.close()

    @property
    def authority(self) -> Authority:
        """Its certificate authority."""
        return Authority.open(self.directory / "pki")

    def control(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """Rows of control.db."""
        return self._rows(self.directory / "control.db", query, values)

    def alerts(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """Rows of all months' files."""
        months = sorted(self.directory.glob("alerts-*.db"))
        return [row for month in months for row in self._rows(month, query, values)]

    def numbers(self, sensor: FakeSensor, epoch: int = 7) -> list[object]:
        """The numbers stored of a sensor, in order."""
        query = "SELECT seq FROM alerts WHERE sensor_id = ? AND epoch = ? ORDER BY seq"
        return [seq for (seq,) in self.alerts(query, sensor.sensor_id, epoch)]

    @staticmethod
    def _rows(path: Path, query: str, values: tuple[object, ...]) -> list[tuple[object, ...]]:
        connection = sqlite3.connect(path)
        try:
            return connection.execute(query, values).fetchall()
        finally:
            connection.close()


def production(config: Config) -> Config:
    """The same with production = true."""
    return replace(config, collector=replace(config.collector, production=True))
