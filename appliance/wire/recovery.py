"""The key that opens a box's disk when its TPM no longer does: how it travels, once, from the box to its collector.

    POST /v1/recovery-key   {"schema": 1, "volume": "var", "key": "cbdefghi-..."}   over mutual TLS   ->  {"kept": true}

Rules of this file: bytes in, parsed or `SessionError`. The key is never in a text that is printed or logged (`repr`
leaves it out). Its form is systemd's recovery key (systemd-cryptenroll(1)): 256 bits in eight groups of modhex.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from appliance.wire.fields import SessionError, dump_object, load_object

RECOVERY_PATH = "/v1/recovery-key"
MAX_RECOVERY_BYTES = 1024
KEPT = dump_object({"kept": True})

_VOLUME = re.compile(r"[a-z][a-z0-9_]{0,15}", re.ASCII)
_KEY = re.compile(r"[cbdefghijklnrtuv]{8}(?:-[cbdefghijklnrtuv]{8}){7}", re.ASCII)


@dataclass(frozen=True, slots=True)
class RecoveryKey:
    """One volume's key."""

    volume: str
    key: str = field(repr=False)

    def to_json(self) -> bytes:
        """The body of the request.

        Raises:
            SessionError: the key or the volume's name has another form.
        """
        data = dump_object({"schema": 1, "volume": self.volume, "key": self.key})
        RecoveryKey.from_json(data)
        return data

    @staticmethod
    def from_json(data: bytes) -> RecoveryKey:
        """Read the body.

        Raises:
            SessionError: too large, not JSON, another schema, or a value of another form; the key is not in its text.
        """
        fields = load_object("recovery key", data, MAX_RECOVERY_BYTES)
        fields.integer("schema", low=1, high=1)
        volume = fields.text("volume", 16, _VOLUME)
        try:
            key = fields.text("key", 128, _KEY)
        except SessionError:
            # Its own words have the value in them.
            raise SessionError(
                "recovery key.key", came="another form (not told)", allowed="8 groups of 8 letters, modhex"
            ) from None
        return RecoveryKey(volume, key)
