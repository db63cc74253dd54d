"""Small events that name their own number, so that a test sees at once whether the right bytes came back under it."""

from __future__ import annotations

from collections.abc import Callable

from appliance.spool import Spool

EPOCH = 0x1122334455667788

OpenSpool = Callable[..., Spool]


def event(size: int = 0) -> tuple[int, Callable[[int, int], bytes]]:
    return 2, lambda epoch, seq: f"<event epoch='{epoch}' seq='{seq}'/>".encode() + b" " * size


def expected(epoch: int, seq: int, size: int = 0) -> bytes:
    return f"<event epoch='{epoch}' seq='{seq}'/>".encode() + b" " * size


def everything(spool: Spool) -> list[tuple[int, bytes]]:
    """(seq, fragment) of all that the spool gives, read and acknowledged in batches of three."""
    found: list[tuple[int, bytes]] = []
    while (batch := spool.read(spool.cursor, 3, 1 << 20)).fragments:
        for fragment in batch.fragments:
            epoch, seq = (int(part) for part in fragment.decode().split("'")[1::2])
            assert epoch == batch.epoch
            assert batch.first_seq <= seq <= batch.last_seq
            found.append((seq, fragment))
        spool.acknowledge(batch.epoch, batch.last_seq)
    return found
