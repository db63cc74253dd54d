"""What a detection case is: packets, rules, and what must be found under which engine options. Data only."""

from __future__ import annotations

import dataclasses

from tests.cases.craft import Connection

CLIENT, SERVER = ("192.0.2.10", 40000), ("198.51.100.80", 80)
HOME_NET = "192.0.2.0/24"
CLIENT_SIDE, SERVER_SIDE = 0, 1


@dataclasses.dataclass(frozen=True)
class Expect:
    """(sid, 0 from CLIENT to SERVER or 1 the other way, how often), complete, for a run with these engine options."""

    alerts: tuple[tuple[int, int, int], ...] = ()
    options: tuple[tuple[str, str | bool], ...] = ()


@dataclasses.dataclass(frozen=True)
class Case:
    """One folder: name, what it proves in a sentence or two, rules, datagrams, expectations."""

    name: str
    about: str
    rules: tuple[str, ...]
    datagrams: tuple[bytes, ...]
    expect: tuple[Expect, ...]
    interval_us: int = 1000


def rule(sid: int, body: str, head: str = "tcp any any -> any any") -> str:
    """A rule that alerts, with the least around `body`."""
    return f'alert {head} (msg:"case rule {sid}"; {body} sid:{sid}; rev:1;)'


def spoken(*says: tuple[int, bytes], segment_bytes: int = 1460) -> tuple[bytes, ...]:
    """A whole connection in which the sides say these things in turn."""
    connection = Connection(CLIENT, SERVER)
    connection.segment_bytes = segment_bytes
    datagrams = list(connection.open())
    for side, data in says:
        datagrams += connection.say(side, data)
    return (*datagrams, *connection.close())


def found(*alerts: tuple[int, int, int], **options: str | bool) -> Expect:
    """Shorthand of Expect."""
    return Expect(alerts, tuple(sorted(options.items())))
