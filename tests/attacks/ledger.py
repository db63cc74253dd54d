"""What a collector has on its books, and what an attack must have changed there: one audit row, and nothing else."""

from __future__ import annotations

from collector_client.store import Control, audit
from tests.collector_client.harness import Collector

_ISSUED = (
    "SELECT 'sensor', sensor_id, certificate FROM sensors UNION ALL SELECT 'key', key_id, certificate FROM sensor_keys"
    " UNION ALL SELECT 'proof', sensor_id, certificate_sha256 FROM residencies"
    " UNION ALL SELECT 'element', key_id, spki FROM elements"
)


class Ledger:
    """The books as they were when this was made."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self.reread()

    def reread(self) -> None:
        """What is there now is what counts from here on."""
        self._issued = self._collector.control(_ISSUED)
        self._used = self._collector.control("SELECT token_id, used_by FROM tokens WHERE used_ns IS NOT NULL")
        self._rows = self._audit()

    def unchanged(self) -> None:
        """No certificate was issued, no token used, and nothing was written down."""
        self._nothing_issued()
        assert self._audit() == self._rows

    def refused(self, code: str, subject: str, action: str = "refuse enrollment") -> None:
        """One attempt was refused by that name: the audit has one row more that says so, nothing else changed."""
        self._nothing_issued()
        (row,) = self._audit()[len(self._rows) :]
        assert row[:2] == (action, subject), row
        assert f" {code}: came " in str(row[2]), row
        assert "; allowed " in str(row[2]), row
        assert "from 127.0.0.1" in str(row[2]), row
        control = Control.open(self._collector.directory)
        with control.reading() as connection:
            assert audit.verify(connection) is None
        control.close()
        self._rows = self._audit()

    def _nothing_issued(self) -> None:
        assert self._collector.control(_ISSUED) == self._issued
        used = self._collector.control("SELECT token_id, used_by FROM tokens WHERE used_ns IS NOT NULL")
        assert used == self._used

    def _audit(self) -> list[tuple[object, ...]]:
        """Without the making of tokens, which is the tests' own doing."""
        query = "SELECT action, subject, detail FROM audit WHERE action != 'token new' ORDER BY audit_id"
        return self._collector.control(query)
