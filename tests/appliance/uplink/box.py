"""A sensor with a spool, an identity and an uplink, whose clock moves only when it waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from appliance.identity import CollectorUrl, Identity, IdentityFolder, Proxy, SoftKey
from appliance.spool import Spool
from appliance.uplink import Backoff, Pump, Transport, Uplink, UplinkStatus
from appliance.wire.heartbeat import Heartbeat, HostHealth, SpoolHealth
from appliance.wire.session import ContentEncoding
from appliance.wire.snml import (
    Detail,
    Encoding,
    Event,
    IpHeader,
    Sensor,
    Sequence,
    Signature,
    encode_event,
    encode_message_from_fragments,
)
from tests.fakes.clock import FakeClock
from tests.fakes.pki import Authority, pem

EPOCH = 77
SENSOR = Sensor(Encoding.HEX, Detail.FULL, "box", "192.0.2.1", 4, "eth1")
DOCUMENT = partial(encode_message_from_fragments, SENSOR)


def render(epoch: int, seq: int) -> bytes:
    packet = IpHeader("192.0.2.7", "198.51.100.9", 6)
    event = Event(Signature("a test", 1), (), 1_700_000_000_000_000_000, packet, (Sequence(epoch, seq),))
    return encode_event(event, SENSOR.encoding, SENSOR.detail)


class Box:
    """The sensor under test; time moves only when it waits."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.folder = folder
        # OpenSSL looks at the real clock, so certificates are of today; only how time passes is ours.
        self.clock = FakeClock(time.time_ns())
        self.identity_folder = IdentityFolder(folder / "identity")
        key = SoftKey.load_or_create(self.identity_folder.key_path)
        self.identity_folder.write(
            ca_pem=pem(authority.root), certificate_pem=pem(authority.sensor(key.public_key), authority.issuing)
        )
        self.spool = self.open_spool()
        self._uplink: Uplink | None = None
        self.version = "0.1.0"
        self.waits: list[float] = []
        self.states: list[UplinkStatus] = []

    def open_spool(self, *, max_bytes: int = 1 << 20) -> Spool:
        self.spool = Spool.open(
            self.folder / "spool",
            max_bytes=max_bytes,
            segment_bytes=4096,
            clock=self.clock,
            random_epoch=lambda: EPOCH,
            fsync=False,
        )
        return self.spool

    def identity(self) -> Identity:
        return self.identity_folder.load()

    def heartbeat(self, status: UplinkStatus) -> Heartbeat:
        return Heartbeat(
            sent_ts_ns=self.clock.wall_ns(),
            started_ts_ns=self.clock.wall_ns(),
            version=self.version,
            host=HostHealth(1.0, 0.5, 10.0, 20.0, 1 << 30),
            spool=SpoolHealth(self.spool.epoch, self.spool.next_seq, 0, 0),
            clock_skew_ms=status.clock_skew_ms,
        )

    def connect(
        self,
        *urls: str,
        proxy: Proxy | None = None,
        timeout_s: float = 10,
        batch_events: int = 500,
        encoding: ContentEncoding = "zstd",
        document: Callable[[Iterable[bytes]], bytes] = DOCUMENT,
    ) -> Uplink:
        self.hang_up()
        parsed = [CollectorUrl.parse(url) for url in urls]
        self._uplink = Uplink(
            spool=self.spool,
            transport=Transport(parsed, self.identity, clock=self.clock, proxy=proxy, timeout_s=timeout_s),
            pump=Pump(
                now_s=self.clock.monotonic_s(),
                addresses=len(parsed),
                batch_events=batch_events,
                backoff=Backoff(1.0, 60.0),
            ),
            document=document,
            heartbeat=self.heartbeat,
            clock=self.clock,
            chance=lambda: 0.5,
            encoding=encoding,
            on_state=self.states.append,
        )
        return self.uplink

    def steps(self, count: int) -> None:
        """So many steps of the uplink; what it would wait, the clock moves."""
        for _ in range(count):
            wait_s = self.uplink.step()
            if wait_s:
                self.waits.append(wait_s)
                self.clock.advance(wait_s)

    def until_idle(self, at_most: int = 3000) -> None:
        """Until everything is stored."""
        for _ in range(at_most):
            if self.spool.cursor == self.spool.next_seq - 1:
                return
            self.steps(1)
        raise AssertionError(f"not delivered after {at_most} steps: {self.uplink.status()}")

    @property
    def uplink(self) -> Uplink:
        assert self._uplink is not None
        return self._uplink

    def hang_up(self) -> None:
        if self._uplink is not None:
            self._uplink.drain(self.clock.monotonic_s())

    def close(self) -> None:
        self.hang_up()
        self.spool.close()
