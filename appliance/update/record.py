"""What the box remembers of its updates and starts: one small file, written whole or not at all.

Rules of this file: pure; the form of the record and nothing of what it means. An older program's record is read (what
it lacks has a default); an unreadable one is one named error, and the box goes on with a new record that says so.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, replace

from appliance.update.states import State
from appliance.wire.bundle import is_version
from appliance.wire.fields import Fields, SessionError, dump_object, load_object, plain
from appliance.wire.heartbeat import MAX_OUTCOMES, OUTCOME_KINDS, UpdateOutcome

MAX_RECORD_BYTES = 64 * 1024
_DIGEST = re.compile(r"[0-9a-f]{0,64}", re.ASCII)
_STATES = tuple(state.value for state in State)


class RecordError(Exception):
    """The file is no record."""


@dataclass(frozen=True, slots=True)
class Boot:
    """One start of the box; `verdict` is empty, `good` or `bad`, `end` is empty until an orderly end."""

    boot_id: str = ""
    version: str = ""
    verdict: str = ""
    words: str = ""
    """What the health check, or a unit that gave up, said."""
    end: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """Everything. `version`, `digest`, `update_id` are of the update that `state` speaks of (0: from a stick)."""

    state: State = State.IDLE
    version: str = ""
    digest: str = ""
    update_id: int = 0
    since_ns: int = 0
    reason: str = ""
    good_version: str = ""
    floor: str = ""
    excused: int = 0
    trials: int = 0
    """Starts of the update's version that came as far as this record."""
    boot: Boot = Boot()
    outcomes: tuple[UpdateOutcome, ...] = field(default=())
    next_outcome: int = 1

    def with_outcome(self, kind: str, version: str, reason: str, at_ns: int, update_id: int = 0) -> Record:
        """With one more outcome; the oldest gives way."""
        outcome = UpdateOutcome(self.next_outcome, at_ns, kind, version, plain(reason), update_id)
        kept = (*self.outcomes, outcome)[-MAX_OUTCOMES:]
        return replace(self, outcomes=kept, next_outcome=self.next_outcome + 1)

    def to_json(self) -> bytes:
        """The file's contents."""
        return dump_object({"schema": 1, **asdict(self), "state": self.state.value}) + b"\n"

    @staticmethod
    def from_json(data: bytes) -> Record:
        """Read the file.

        Raises:
            RecordError: it has another form.
        """
        try:
            return _read(load_object("record", data, MAX_RECORD_BYTES))
        except SessionError as error:
            raise RecordError(str(error)) from None


def _read(fields: Fields) -> Record:
    fields.integer("schema", low=1, high=1)
    state = fields.text("state", 16)
    if state not in _STATES:
        raise SessionError("record.state", came=state, allowed=", ".join(_STATES))
    boot = fields.fields("boot")
    return Record(
        state=State(state),
        version=_version(fields, "version"),
        digest=fields.text("digest", 64, _DIGEST),
        update_id=fields.integer("update_id"),
        since_ns=fields.integer("since_ns"),
        reason=fields.text("reason"),
        good_version=_version(fields, "good_version"),
        floor=_version(fields, "floor"),
        excused=fields.integer("excused", high=1000),
        trials=fields.integer("trials", high=10**9),
        boot=Boot(**{name: boot.text(name) for name in ("boot_id", "version", "verdict", "words", "end")}),
        outcomes=tuple(_outcome(item) for item in fields.objects("outcomes", MAX_OUTCOMES)),
        next_outcome=fields.integer("next_outcome", low=1),
    )


def _outcome(fields: Fields) -> UpdateOutcome:
    return UpdateOutcome(
        number=fields.integer("number", low=1),
        at_ns=fields.integer("at_ns"),
        kind=fields.text("kind", 16, re.compile("|".join(OUTCOME_KINDS))),
        version=fields.text("version", 64),
        reason=fields.text("reason"),
        update_id=fields.integer("update_id"),
    )


def _version(fields: Fields, name: str) -> str:
    text = fields.text(name, 20)
    if text and not is_version(text):
        raise SessionError(f"record.{name}", came=repr(text), allowed="a version, or nothing")
    return text
