"""Where a box gets updates from: its collector, over mutual TLS, offer and pieces parsed.

Rules of this file: it sends what it is asked to and hands back what came; nothing is kept here but the connection. An
answer that is not the collector's is a `LinkError`, a refusal is told as it came.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from appliance.clock import Clock
from appliance.errors import PeerError
from appliance.identity import Answer, AnswerInvalidError, CollectorUrl, HttpsConnection, Identity, Proxy, Resumption
from appliance.wire.session import Refusal, SessionError
from appliance.wire.update import (
    BUNDLE_PATH,
    MAX_OFFER_BYTES,
    MAX_PIECE_BYTES,
    UPDATE_HEADER,
    UPDATE_PATH,
    Offer,
    format_range,
    load_offer,
)

_NOT_TAKEN = (401, 403)


class UpdateRefusedError(PeerError):
    """The collector does not give what was asked for."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"collector: {refusal.code} ({refusal.came})", advice=refusal.do)
        self.retry_after_s = refusal.retry_after_s or 0


class CollectorSource:
    """Not thread-safe, but for `abort`: the updater's thread uses it alone."""

    def __init__(
        self,
        urls: Sequence[CollectorUrl],
        identity: Callable[[], Identity],
        *,
        clock: Clock,
        proxy: Proxy | None = None,
        timeout_s: float = 30.0,
    ) -> None:
        self._urls = tuple(urls)
        self._at = 0
        self._identity, self._clock = identity, clock
        self._proxy, self._timeout_s = proxy, timeout_s
        self._connection: HttpsConnection | None = None
        self._resumption = Resumption()

    def offer(self) -> Offer | None:
        """What the collector has for us.

        Raises:
            LinkError: no answer, or one that is not a collector's.
            UpdateRefusedError: it does not say.
            ApplianceError: we cannot say who we are.
        """
        answer = self._ask(UPDATE_PATH, {}, MAX_OFFER_BYTES)
        if answer.status != 200:
            raise self._refused(answer)
        try:
            return load_offer(answer.body)
        except SessionError as error:
            raise self._not_ours(answer, error) from error

    def piece(self, offer: Offer, first: int) -> bytes:
        """The next piece of a bundle, at least one byte.

        Raises:
            LinkError, UpdateRefusedError, ApplianceError: as `offer`.
        """
        size = min(MAX_PIECE_BYTES, offer.size_bytes - first)
        headers = {UPDATE_HEADER: str(offer.update_id), "Range": format_range(first, size)}
        answer = self._ask(BUNDLE_PATH, headers, MAX_PIECE_BYTES)
        if answer.status != 206:
            raise self._refused(answer)
        last = first + len(answer.body) - 1
        wanted = f"bytes {first}-{last}/{offer.size_bytes}"
        if not 1 <= len(answer.body) <= size or answer.headers.get("content-range") != wanted:
            came = f"{len(answer.body)} bytes as {answer.headers.get('content-range')!r}"
            raise self._not_ours(answer, f"{came} came, {size} bytes from {first} on were allowed")
        return answer.body

    def use_next_address(self) -> None:
        """After a failure: the next request goes to the address after this one."""
        self.close()
        self._at = (self._at + 1) % len(self._urls)

    def close(self) -> None:
        """Let the connection go."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def abort(self) -> None:
        """From another thread: make a request that is waiting for its answer fail now."""
        connection = self._connection
        if connection is not None:
            connection.abort()

    def _ask(self, path: str, headers: dict[str, str], most: int) -> Answer:
        url = self._urls[self._at]
        if self._connection is None:
            identity = self._identity()
            identity.certificate.life.check(self._clock.wall_ns())
            self._connection = HttpsConnection(
                url,
                context=self._resumption.context(identity),
                timeout_s=self._timeout_s,
                proxy=self._proxy,
                resumption=self._resumption,
            )
        try:
            answer = self._connection.request("GET", path, headers=headers, body=b"", max_answer_bytes=most)
        except Exception:
            self.close()
            raise
        if answer.status in _NOT_TAKEN:
            # Resumed, the session would be refused again when the reason is long gone.
            self._resumption.forget()
            self.close()
        return answer

    def _refused(self, answer: Answer) -> Exception:
        try:
            return UpdateRefusedError(Refusal.from_answer(answer.status, answer.headers, answer.body))
        except SessionError as error:
            return self._not_ours(answer, error)

    def _not_ours(self, answer: Answer, why: object) -> AnswerInvalidError:
        self.close()
        return AnswerInvalidError(
            f"{self._urls[self._at]}: HTTP status {answer.status} without a collector's answer: {why}",
            advice="is this a collector that knows updates? is a proxy in between?",
        )
