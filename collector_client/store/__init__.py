"""The collector's store: what sensors sent, once each, and who they are. Front door: `Writer`, `Control`, `Reader`."""

from collector_client.store.control import Control
from collector_client.store.errors import (
    NoStoreError,
    StoreBusyError,
    StoreError,
    TooScatteredError,
    UnknownSensorError,
)
from collector_client.store.model import BatchToStore, Loss, Rejected, Stored, StoredEvent
from collector_client.store.write import Writer

__all__ = [
    "BatchToStore",
    "Control",
    "Loss",
    "NoStoreError",
    "Rejected",
    "StoreBusyError",
    "StoreError",
    "Stored",
    "StoredEvent",
    "TooScatteredError",
    "UnknownSensorError",
    "Writer",
]
