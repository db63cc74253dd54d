"""From the bytes of one batch to what is stored, and from what was stored to the receipt.

Rules of this file: no sockets, no database, no clock of its own; it runs on a worker thread because it takes the time
of a parser. Order of checks: size while inflating, digest, document, then event by event. A batch is refused whole
only when no event of it can be told from another; otherwise good events are stored and bad ones go to quarantine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from appliance.wire.codes import SessionCode
from appliance.wire.session import MAX_BATCH_BYTES, MAX_BATCH_EVENTS, BatchHeader, Receipt, RejectedEvent
from appliance.wire.snml import RejectCode, SnmlError, decode_message_lenient_events
from collector_client.ingest.inflate import inflate
from collector_client.ingest.refuse import refuse
from collector_client.store import BatchToStore, Loss, Rejected, Stored
from collector_client.validate.pieces import event_pieces
from collector_client.validate.policy import Window, accounted, judge


class DocumentRefusedError(Exception):
    """The document as a whole is refused; carries its bytes for the quarantine."""

    def __init__(self, error: SnmlError, document: bytes) -> None:
        super().__init__(str(error))
        self.error = error
        self.rejected = Rejected(None, str(error.code), error.came, error.allowed, document)


def check_range(header: BatchHeader) -> int:
    """How many events a batch announces.

    Raises:
        RefusedError: more than a batch may have; said before a byte of the body is read.
    """
    announced = accounted(header)
    if announced > MAX_BATCH_EVENTS:
        came = f"{header.first_seq}-{header.last_seq}: {announced} numbers that are not lost"
        raise refuse(SessionCode.RANGE_TOO_WIDE, came, f"at most {MAX_BATCH_EVENTS}")
    return announced


@dataclass(frozen=True, slots=True)
class Parser:
    """Turns bodies into batches."""

    window: Window

    def parse(self, sensor_id: str, header: BatchHeader, body: bytes, now_ns: int) -> BatchToStore:
        """Inflate, check, decode and judge one body.

        Raises:
            RefusedError: size, compression or digest.
            DocumentRefusedError: the document as a whole.
        """
        document = inflate(body, header.encoding, MAX_BATCH_BYTES)
        digest = hashlib.sha256(document)
        if digest.hexdigest() != header.sha256:
            raise refuse(SessionCode.DIGEST_DIFFERS, f"SHA-256 {digest.hexdigest()}", header.sha256)
        try:
            sensor, decoded = decode_message_lenient_events(document)
            pieces = event_pieces(document)
            if len(pieces) != len(decoded):
                raise SnmlError(
                    RejectCode.INPUT_INVALID, f"{len(pieces)} events by their tags", f"{len(decoded)}, as decoded"
                )
        except SnmlError as error:
            raise DocumentRefusedError(error, document) from error
        judged = judge(header, decoded, pieces, now_ns, self.window)
        return BatchToStore(
            sensor_id=sensor_id,
            epoch=header.epoch,
            first_seq=header.first_seq,
            last_seq=header.last_seq,
            sha256=digest.digest(),
            received_ns=now_ns,
            sensor=sensor,
            events=judged.events,
            rejected=judged.rejected,
            losses=[Loss(loss.first_seq, loss.last_seq, loss.reason) for loss in header.losses],
        )


def receipt_for(
    header: BatchHeader, stored: Stored, rejected: Sequence[Rejected], now_ns: int, slow_down_ms: int
) -> Receipt:
    """The receipt of a batch that is on disk.

    Everything that came with the batch is stored or in quarantine, so the sensor may forget all of its range; a
    number of the range that did not come is in `gaps` and would not come by asking again.
    """
    reached = max(stored.stored_to, header.last_seq)
    return Receipt(
        epoch=header.epoch,
        accepted_to=reached,
        stored_to=reached,
        clock_ns=now_ns,
        gaps=stored.gaps,
        rejected=tuple(RejectedEvent(item.seq, item.code, item.came, item.allowed) for item in rejected),
        slow_down_ms=slow_down_ms,
    )


def check_fork(stored: Stored) -> None:
    """Refuse a batch whose numbers are stored with other content; what was new in it is stored all the same.

    Raises:
        RefusedError: two boxes use one key, or one went back in time.
    """
    if stored.conflicts:
        shown = ", ".join(str(seq) for seq in stored.conflicts[:10])
        raise refuse(
            SessionCode.SEQUENCE_FORK,
            f"other content for {len(stored.conflicts)} stored numbers ({shown})",
            "the same content each time a number comes",
        )
