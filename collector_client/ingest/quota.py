"""How much may come: token buckets per sensor, tenant and address. Pure; the time is an argument.

Rules of this file: a bucket holds one minute's worth and refills evenly. Who is refused learns when to come back and
loses nothing; a refused request costs nothing. The table of buckets is bounded: the one longest untouched is
forgotten, which gives it back a full bucket.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict

MAX_BUCKETS = 100_000
_CALM = 0.25
"""Below this share of a full bucket a sensor is asked to slow down, before it has to be refused."""


def network_of(address: str) -> str:
    """What counts as one address: an IPv6 host has a /64 to itself (RFC 6177), so its addresses count together.

    >>> network_of("2001:db8::1"), network_of("192.0.2.1"), network_of("unknown")
    ('2001:db8::/64', '192.0.2.1', 'unknown')
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((found, 64), strict=False))


class Quota:
    """Buckets of one kind, each `per_minute` deep."""

    def __init__(self, per_minute: int, max_buckets: int = MAX_BUCKETS) -> None:
        self.per_minute = per_minute
        self._depth = float(per_minute)
        self._rate_per_s = per_minute / 60
        self._max = max_buckets
        self._levels: OrderedDict[object, tuple[float, float]] = OrderedDict()

    def wait_s(self, key: object, cost: float, now_s: float) -> float:
        """Seconds until `cost` would be let through; 0 when it is now. A cost above the depth counts as the depth."""
        missing = min(cost, self._depth) - self._level(key, now_s)
        return max(0.0, missing / self._rate_per_s)

    def take(self, key: object, cost: float, now_s: float) -> None:
        """Charge `cost`; call it after `wait_s` gave 0."""
        self._levels[key] = (max(0.0, self._level(key, now_s) - cost), now_s)
        self._levels.move_to_end(key)
        while len(self._levels) > self._max:
            self._levels.popitem(last=False)

    def give_back(self, key: object, cost: float, now_s: float) -> None:
        """Undo a charge: what was paid for went well."""
        self._levels[key] = (min(self._depth, self._level(key, now_s) + cost), now_s)

    def charge_part(self, key: object, part: int, now_s: float) -> None:
        """Charge one `part`-th of a minute's worth, whatever is left."""
        self.take(key, self._depth / part, now_s)

    def slow_down_ms(self, key: object, now_s: float) -> int:
        """How long an honest sensor should wait so that its bucket is a quarter full again; 0 when it is."""
        missing = self._depth * _CALM - self._level(key, now_s)
        return max(0, round(1000 * missing / self._rate_per_s))

    def _level(self, key: object, now_s: float) -> float:
        level, since_s = self._levels.get(key, (self._depth, now_s))
        return min(self._depth, level + max(0.0, now_s - since_s) * self._rate_per_s)
