"""What is dropped when: whole months, by deleting their files.

Rules of this file: the rule is pure; the deed is the writer's (`Writer.drop_month`), which is the only one that may
have the file open for writing. Sequence numbers of dropped months stay known.
"""

from __future__ import annotations

from collections.abc import Iterable

from collector_client.store.connect import month_of


def expired_months(present: Iterable[str], now_ns: int, keep_months: int) -> list[str]:
    """The months to drop, oldest first, so that the current one and the `keep_months` before it stay.

    Raises:
        ValueError: `keep_months` is negative.
    """
    if keep_months < 0:
        raise ValueError(f"keep_months {keep_months} came, 0 or more is allowed")
    year, month = map(int, month_of(now_ns).split("-"))
    first = year * 12 + (month - 1) - keep_months
    oldest_kept = f"{first // 12:04d}-{first % 12 + 1:02d}"
    return sorted(name for name in present if name < oldest_kept)
