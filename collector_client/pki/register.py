"""Which authorities there are, what each is for now, and where its key is: `pki/authorities.json`.

    issuing CA    requested ──install──► issuing ──another is installed──► trusted ──retire──► retired
                  requested ──retire──► retired
    root          trusted ──retire──► retired

    requested   a key and a request; no certificate yet
    issuing     signs sensors and the server; one at a time
    trusted     what hangs from it is taken, it signs nothing
    retired     nothing that hangs from it is taken; its certificate stays for the record, its key file is removed

Rules of this file: pure; bytes in, a register out, or `OperatorError`. A state changes only by `STEPS`. A folder
without the file has the first two: `root`, and `issuing` with its key beside it. Certificates lie in `NAME.pem`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, cast

from collector_client.errors import OperatorError

REGISTER_NAME = "authorities.json"
FORMAT = 1
MAX_AUTHORITIES = 64

Kind: TypeAlias = Literal["root", "issuing"]
State: TypeAlias = Literal["requested", "issuing", "trusted", "retired"]
KeyPlace: TypeAlias = Literal["", "file", "pkcs11", "command"]
Step: TypeAlias = Literal["install", "follow", "retire"]

STEPS: dict[tuple[Kind, State, Step], State] = {
    ("issuing", "requested", "install"): "issuing",
    ("issuing", "issuing", "follow"): "trusted",
    ("issuing", "trusted", "retire"): "retired",
    ("issuing", "requested", "retire"): "retired",
    ("root", "trusted", "retire"): "retired",
}
"""`follow`: another issuing CA takes this one's place."""

TRUSTED: frozenset[State] = frozenset({"issuing", "trusted"})

_NAME = re.compile(r"(?:root|issuing)(?:-[1-9][0-9]{0,3})?", re.ASCII)
_KEY_ID = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,198}[\x21-\x7e])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Entry:
    """One authority: `key` says where an issuing CA's key is, `key_id` which one it is there (not for a file)."""

    name: str
    kind: Kind
    state: State
    key: KeyPlace = ""
    key_id: str = ""


@dataclass(frozen=True, slots=True)
class Register:
    """All authorities, oldest first."""

    entries: tuple[Entry, ...]

    @property
    def issuing(self) -> Entry:
        """The one that signs."""
        return next(entry for entry in self.entries if entry.state == "issuing")

    def find(self, name: str) -> Entry:
        """The authority of that name.

        Raises:
            OperatorError: there is none.
        """
        for entry in self.entries:
            if entry.name == name:
                return entry
        known = ", ".join(entry.name for entry in self.entries)
        raise OperatorError(
            f"{name[:80]!r} came, one of {known} was allowed", advice="list them: vedette-collector ca show"
        )

    def next_name(self, kind: Kind) -> str:
        """A name that none has had."""
        return f"{kind}-{1 + sum(entry.kind == kind for entry in self.entries)}"

    def add(self, entry: Entry) -> Register:
        """With one more.

        Raises:
            OperatorError: there are too many.
        """
        if len(self.entries) >= MAX_AUTHORITIES:
            raise OperatorError(f"one more than {MAX_AUTHORITIES} authorities came, at most that was allowed")
        return Register((*self.entries, entry))

    def step(self, name: str, step: Step) -> Register:
        """With one authority's state changed.

        Raises:
            OperatorError: `STEPS` has no such step from its state.
        """
        entry = self.find(name)
        after = STEPS.get((entry.kind, entry.state, step))
        if after is None:
            allowed = [state for kind, state, known in STEPS if (kind, known) == (entry.kind, step)]
            raise OperatorError(f"{name} is {entry.state}; {step} was allowed for {' or '.join(allowed) or 'none'}")
        return Register(tuple(replace(one, state=after) if one is entry else one for one in self.entries))

    def install(self, name: str) -> Register:
        """With a requested issuing CA in the place of the present one."""
        return self.step(self.issuing.name, "follow").step(name, "install")

    def encode(self) -> bytes:
        """The file."""
        rows = [
            {"name": one.name, "kind": one.kind, "state": one.state}
            | ({"key": one.key} if one.key else {})
            | ({"key_id": one.key_id} if one.key_id else {})
            for one in self.entries
        ]
        return json.dumps({"format": FORMAT, "authorities": rows}, indent=1).encode() + b"\n"


FIRST = Register((Entry("root", "root", "trusted"), Entry("issuing", "issuing", "issuing", "file")))
"""What `init` makes."""


def parse_key_id(text: str) -> str:
    """A key's name in a token or at a hook.

    Raises:
        OperatorError: empty, long, or with characters that are not printable ASCII.
    """
    if not _KEY_ID.fullmatch(text):
        raise OperatorError(f"key id {text[:80]!r} came, 1 to 200 printable ASCII characters were allowed")
    return text


def parse_register(data: bytes) -> Register:
    """Read the file.

    Raises:
        OperatorError: another form, a name twice, or not exactly one issuing CA that signs.
    """
    try:
        document = json.loads(data)
        rows, version = document["authorities"], document["format"]
        entries = tuple(_entry(row) for row in rows)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise OperatorError(
            f"{REGISTER_NAME} does not read ({type(error).__name__})", advice="restore it from a backup"
        ) from error
    if version != FORMAT:
        raise OperatorError(
            f"{REGISTER_NAME}: format {version!r} came, {FORMAT} was allowed", advice="use a newer collector"
        )
    signing = sum(entry.state == "issuing" for entry in entries)
    if len({entry.name for entry in entries}) != len(entries) or len(entries) > MAX_AUTHORITIES or signing != 1:
        raise OperatorError(
            f"{REGISTER_NAME}: {len(entries)} authorities, {signing} of them issuing, came; each once and one issuing"
            " was allowed",
            advice="restore it from a backup",
        )
    return Register(entries)


def _entry(row: object) -> Entry:
    if not isinstance(row, dict) or not set(row) <= {"name", "kind", "state", "key", "key_id"}:
        raise ValueError("a row of another form")
    texts = {name: row.get(name, "") for name in ("name", "kind", "state", "key", "key_id")}
    well_formed: dict[str, Callable[[str], bool]] = {
        "name": lambda text: _NAME.fullmatch(text) is not None,
        "kind": lambda text: text in ("root", "issuing"),
        "state": lambda text: text in ("requested", "issuing", "trusted", "retired"),
        "key": lambda text: text in ("", "file", "pkcs11", "command"),
        "key_id": lambda text: not text or _KEY_ID.fullmatch(text) is not None,
    }
    if not all(isinstance(text, str) and well_formed[name](text) for name, text in texts.items()):
        raise ValueError("a field of another form")
    entry = Entry(
        texts["name"],
        cast("Kind", texts["kind"]),
        cast("State", texts["state"]),
        cast("KeyPlace", texts["key"]),
        texts["key_id"],
    )
    fits = entry.state in ("trusted", "retired") and not entry.key if entry.kind == "root" else bool(entry.key)
    if not entry.name.startswith(entry.kind) or not fits:
        raise ValueError("fields that do not go together")
    return entry
