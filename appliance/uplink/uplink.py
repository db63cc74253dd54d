"""The uplink: spool -> batch -> collector -> receipt -> cursor, and the heartbeat between; one thread, one connection.

Rules of this file: it carries out what `pump.py` decides. The spool's cursor moves on a receipt and on nothing else; a
receipt that does not fit the batch moves nothing. No failure of the other side ends the thread.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from appliance.clock import Clock
from appliance.errors import ApplianceError
from appliance.identity import (
    CertificateExpiredError,
    CertificateInvalidError,
    KeyFileError,
    LinkError,
    NotEnrolledError,
)
from appliance.spool import Batch, Spool, SpoolError
from appliance.uplink.compress import available, compress
from appliance.uplink.pump import Action, Pump, State
from appliance.uplink.transport import Transport
from appliance.wire.heartbeat import Heartbeat
from appliance.wire.session import (
    MAX_BATCH_BYTES,
    BatchHeader,
    ContentEncoding,
    Loss,
    Receipt,
    Refusal,
    SessionError,
)
from appliance.wire.snml import SnmlError

# What the XML declaration and the sensor element take of a document beside its events.
_HEAD_ROOM_BYTES = 64 * 1024
# A longer round trip says too little about the collector's clock.
_MAX_SKEW_ROUND_TRIP_S = 10.0
_NOT_OURSELVES = (NotEnrolledError, CertificateExpiredError, CertificateInvalidError, KeyFileError)


@dataclass(frozen=True, slots=True)
class UplinkStatus:
    """For `vedette status`, the health checks and the heartbeat; counts since the start of the daemon."""

    state: State = State.STARTING
    in_state_s: float = 0.0
    url: str = ""
    reason: str = ""
    advice: str = ""
    batches_stored: int = 0
    events_stored: int = 0
    events_rejected: int = 0
    last_rejection: str = ""
    last_stored_ns: int | None = None
    last_heartbeat_ns: int | None = None
    clock_skew_ms: int | None = None


class Uplink:
    """`run` is the body of the one thread; `status` may be asked from any."""

    def __init__(
        self,
        *,
        spool: Spool,
        transport: Transport,
        pump: Pump,
        document: Callable[[Sequence[bytes]], bytes],
        heartbeat: Callable[[UplinkStatus], Heartbeat],
        clock: Clock,
        chance: Callable[[], float],
        encoding: ContentEncoding = "zstd",
        on_state: Callable[[UplinkStatus], None] = lambda _: None,
    ) -> None:
        """`document` makes the SNML message of event fragments, `chance` gives a uniform number in [0, 1).

        `on_state` hears of every change of state, in the uplink's thread.
        """
        self._spool = spool
        self._transport = transport
        self._pump = pump
        self._document = document
        self._heartbeat = heartbeat
        self._clock = clock
        self._chance = chance
        self._encoding = available(encoding)
        self._on_state = on_state
        self._status = UplinkStatus()
        self._introduced = False

    def run(self, stop: threading.Event, *, beat: Callable[[], None] = lambda: None) -> None:
        """Work until `stop` is set; `beat` is called at every step, for the watchdog.

        A step waits for the network no longer than the transport's timeout for each part of an exchange.
        """
        while not stop.is_set():
            beat()
            wait_s = self.step()
            beat()
            if wait_s > 0:
                # Long waits are cut so that the watchdog hears of this thread.
                stop.wait(min(wait_s, 5.0))
        self._transport.close()

    def interrupt(self) -> None:
        """From another thread: break off an exchange in which `run` waits, so that it sees its stop event."""
        self._transport.abort()

    def introduce_anew(self) -> None:
        """From another thread: there is a new certificate; the next request shows it."""
        self._transport.introduce_anew()
        self._introduced = True

    def drain(self, until_s: float) -> bool:
        """Send what is in the spool until it is empty or the monotonic clock says `until_s`; True when it is empty.

        For the end of the daemon, after `run` has returned; it waits for nothing, so an uplink that is not up gives up.
        A collector that does not answer holds it up until `until_s` at most for each part of one exchange.
        """
        while (left_s := until_s - self._clock.monotonic_s()) > 0:
            self._transport.limit(left_s)
            if not self._waiting():
                self._transport.close()
                return True
            if self.step() > 0:
                break
        self._transport.close()
        return not self._waiting()

    def status(self) -> UplinkStatus:
        """How it stands."""
        pump = self._pump.status
        return replace(
            self._status,
            state=pump.state,
            in_state_s=self._clock.monotonic_s() - pump.since_s,
            url=str(self._transport.url),
            reason=pump.reason,
            advice=pump.advice,
        )

    def step(self) -> float:
        """Do the one thing that is due; how many seconds there is nothing to do then."""
        now_s = self._clock.monotonic_s()
        if self._introduced:
            self._introduced = False
            self._pump.introduced_anew(now_s)
        todo = self._pump.next(now_s, waiting=self._waiting())
        if todo.action is Action.WAIT:
            return todo.wait_s
        before = self._pump.status.state
        try:
            if todo.action is Action.SEND_HEARTBEAT:
                self._send_heartbeat()
            else:
                self._send_batch(todo.max_events)
        except LinkError as exc:
            self._transport.use_next_address()
            self._failed(exc)
        except SpoolError as exc:
            self._failed(exc)
        except _NOT_OURSELVES as exc:
            self._transport.close()
            self._held(str(exc), exc.advice, batch=False)
        except (SnmlError, SessionError) as exc:
            advice = "report this: a fault of ours"
            if todo.action is Action.SEND_BATCH:
                self._held(str(exc), advice, batch=True)
            else:
                self._pump.heartbeat_unmade(self._clock.monotonic_s(), str(exc), advice)
        if self._pump.status.state is not before:
            self._on_state(self.status())
        return 0.0

    def _waiting(self) -> bool:
        return self._spool.read_epoch != self._spool.epoch or self._spool.cursor < self._spool.next_seq - 1

    def _failed(self, error: ApplianceError) -> None:
        self._pump.failed(self._clock.monotonic_s(), str(error), error.advice, chance=self._chance())

    def _held(self, reason: str, advice: str, *, batch: bool) -> None:
        self._pump.held(self._clock.monotonic_s(), reason, advice, chance=self._chance(), batch=batch)

    def _send_batch(self, max_events: int) -> None:
        batch = self._spool.read(self._spool.cursor, max_events, MAX_BATCH_BYTES - _HEAD_ROOM_BYTES)
        if not batch.fragments:
            # Numbers were lost with no event behind them yet: they are told with the next event.
            self._pump.nothing_to_send(self._clock.monotonic_s())
            return
        document = self._document(batch.fragments)
        header = BatchHeader(
            epoch=batch.epoch,
            first_seq=batch.first_seq,
            last_seq=batch.last_seq,
            sha256=hashlib.sha256(document).hexdigest(),
            encoding=self._encoding,
            losses=tuple(Loss(loss.first_seq, loss.last_seq, loss.reason) for loss in batch.losses),
        )
        asked_ns, asked_s = self._clock.wall_ns(), self._clock.monotonic_s()
        answer = self._transport.send_batch(header, compress(document, self._encoding))
        now_s = self._clock.monotonic_s()
        if isinstance(answer, Refusal):
            if answer.status in (500, 503):
                self._transport.use_next_address()
            self._pump.batch_refused(now_s, answer, events=len(batch.fragments), chance=self._chance())
            return
        self._note_clock(asked_ns, now_s - asked_s, answer.clock_ns)
        self._take(batch, answer)
        self._pump.batch_stored(now_s, slow_down_ms=answer.slow_down_ms)

    def _take(self, batch: Batch, receipt: Receipt) -> None:
        """Move the cursor as the receipt says, if it is one for this batch.

        Raises:
            LinkError: it is not.
            SpoolError: the cursor could not be written.
        """
        highest = self._spool.next_seq - 1 if batch.epoch == self._spool.epoch else None
        if receipt.epoch != batch.epoch or receipt.stored_to < batch.first_seq or (
            highest is not None and receipt.stored_to > highest
        ):  # fmt: skip
            raise LinkError(
                f"{self._transport.url}: a receipt for {receipt.epoch}:{receipt.stored_to} came"
                f" after {batch.epoch}:{batch.first_seq}-{batch.last_seq}",
                advice="the cursor was not moved; ask the collector's operator",
            )
        self._spool.acknowledge(batch.epoch, receipt.stored_to)
        rejected = len(receipt.rejected)
        self._status = replace(
            self._status,
            batches_stored=self._status.batches_stored + 1,
            events_stored=self._status.events_stored + max(0, len(batch.fragments) - rejected),
            events_rejected=self._status.events_rejected + rejected,
            last_rejection=receipt.rejected[-1].code if rejected else self._status.last_rejection,
            last_stored_ns=self._clock.wall_ns(),
        )

    def _send_heartbeat(self) -> None:
        heartbeat = self._heartbeat(self.status())
        asked_ns, asked_s = self._clock.wall_ns(), self._clock.monotonic_s()
        answer = self._transport.send_heartbeat(heartbeat)
        now_s = self._clock.monotonic_s()
        if isinstance(answer, Refusal):
            self._pump.heartbeat_refused(now_s, answer, chance=self._chance())
            return
        self._note_clock(asked_ns, now_s - asked_s, answer.clock_ns)
        self._status = replace(self._status, last_heartbeat_ns=self._clock.wall_ns())
        self._pump.heartbeat_taken(now_s, slow_down_ms=answer.slow_down_ms)

    def _note_clock(self, asked_ns: int, round_trip_s: float, collector_ns: int) -> None:
        """Our clock minus the collector's, taking the way back to be as long as the way there."""
        if round_trip_s <= _MAX_SKEW_ROUND_TRIP_S:
            skew_ns = asked_ns + int(round_trip_s * 5e8) - collector_ns
            self._status = replace(self._status, clock_skew_ms=skew_ns // 1_000_000)
