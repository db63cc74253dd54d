"""The uplink's one connection: to the collector that answers, as the sensor we are, with answers parsed.

Rules of this file: it sends what it is given and hands back what came, parsed; it decides nothing but which address is
used. The identity is loaded anew for every connection, so that a new certificate is used without a restart. The thread
that asks makes the connection, with the handshake and a TPM's signature in it; the next one resumes its session, and
the TPM has nothing to sign.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from appliance.clock import Clock
from appliance.identity import (
    Answer,
    AnswerInvalidError,
    CertificateNotSentError,
    CollectorUrl,
    HttpsConnection,
    Identity,
    Proxy,
    Resumption,
)
from appliance.wire.codes import SessionCode
from appliance.wire.heartbeat import Heartbeat, HeartbeatAnswer
from appliance.wire.recovery import KEPT, RECOVERY_PATH, RecoveryKey
from appliance.wire.session import (
    BATCHES_PATH,
    HEARTBEAT_PATH,
    MAX_ANSWER_BYTES,
    RUN_HEADER,
    SNML_MEDIA_TYPE,
    BatchHeader,
    Receipt,
    Refusal,
    SessionError,
)

_NOT_TAKEN = (401, 403)
"""By these a collector does not take us for who we are."""


class Transport:
    """Not thread-safe, but for `abort` and `introduce_anew`: the uplink's thread uses it alone."""

    def __init__(
        self,
        urls: Sequence[CollectorUrl],
        identity: Callable[[], Identity],
        *,
        clock: Clock,
        proxy: Proxy | None = None,
        timeout_s: float = 30.0,
        run: str = "",
    ) -> None:
        """`run` (32 hex digits) tells this run of the daemon from every other box's and from later ones of this box."""
        if not urls:
            raise ValueError("no collector address")
        self._urls = tuple(urls)
        self._at = 0
        self._identity = identity
        self._clock = clock
        self._proxy = proxy
        self._timeout_s = timeout_s
        self._connection: HttpsConnection | None = None
        self._anew = False
        self._resumption = Resumption()
        self._run = {RUN_HEADER: run} if run else {}

    @property
    def url(self) -> CollectorUrl:
        """The address in use."""
        return self._urls[self._at]

    @property
    def addresses(self) -> int:
        """How many there are to try."""
        return len(self._urls)

    def use_next_address(self) -> None:
        """Let the connection go; the next request goes to the address after this one."""
        self.close()
        self._at = (self._at + 1) % len(self._urls)

    def close(self) -> None:
        """Let the connection go."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def limit(self, timeout_s: float) -> None:
        """From now on wait no longer than this for each part of an exchange."""
        self._timeout_s = timeout_s
        if self._connection is not None:
            self._connection.limit(timeout_s)

    def abort(self) -> None:
        """From another thread: make a request that is waiting for its answer fail now."""
        connection = self._connection
        if connection is not None:
            connection.abort()

    def introduce_anew(self) -> None:
        """From another thread: the next request goes over a new connection, as whoever we are by then."""
        self._anew = True

    def send_batch(self, header: BatchHeader, body: bytes) -> Receipt | Refusal:
        """One batch and what the collector says to it. Repeating it is safe: the collector stores a number once.

        Raises:
            LinkError: no answer, or one that is not a collector's.
            NotEnrolledError, CertificateExpiredError, CertificateInvalidError, KeyFileError: we cannot say who we are.
        """
        headers = {"Content-Type": SNML_MEDIA_TYPE, **header.to_headers()}
        answer = self._ask(BATCHES_PATH, headers, body)
        try:
            return Receipt.from_json(answer.body) if answer.status == 200 else _refusal(answer)
        except SessionError as exc:
            raise self._not_ours(answer, exc) from exc

    def send_heartbeat(self, heartbeat: Heartbeat) -> HeartbeatAnswer | Refusal:
        """One heartbeat and what the collector says to it.

        Raises:
            SessionError: the heartbeat is not one that a collector would take; nothing was sent.
            LinkError, NotEnrolledError and the others: as `send_batch`.
        """
        answer = self._ask(HEARTBEAT_PATH, {"Content-Type": "application/json"}, heartbeat.to_json())
        try:
            return HeartbeatAnswer.from_json(answer.body) if answer.status == 200 else _refusal(answer)
        except SessionError as exc:
            raise self._not_ours(answer, exc) from exc

    def send_recovery_key(self, key: RecoveryKey) -> Refusal | None:
        """The key of the box's disk; None when the collector keeps it. Repeating it is safe.

        Raises:
            SessionError: the key has another form; nothing was sent.
            LinkError, NotEnrolledError and the others: as `send_batch`.
        """
        answer = self._ask(RECOVERY_PATH, {"Content-Type": "application/json"}, key.to_json())
        try:
            if answer.status == 200 and answer.body == KEPT:
                return None
            return _refusal(answer)
        except SessionError as exc:
            raise self._not_ours(answer, exc) from exc

    def _ask(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        if self._anew:
            self._anew = False
            self.close()
        if self._connection is None:
            identity = self._identity()
            identity.certificate.life.check(self._clock.wall_ns())
            self._connection = HttpsConnection(
                self.url,
                context=self._resumption.context(identity),
                timeout_s=self._timeout_s,
                proxy=self._proxy,
                resumption=self._resumption,
            )
        try:
            headers |= self._run
            answer = self._connection.request(
                "POST", path, headers=headers, body=body, max_answer_bytes=MAX_ANSWER_BYTES
            )
            if answer.status in _NOT_TAKEN:
                # Resumed, the session would have no certificate again, or the old one, when the reason is long gone.
                self._resumption.forget()
            if _without_certificate(answer):
                raise CertificateNotSentError(
                    f"{self.url}: the connection came about without our certificate",
                    advice="the key could not sign: is the TPM there? start vedette anew, it checks the TPM",
                )
        except Exception:
            self.close()
            raise
        return answer

    def _not_ours(self, answer: Answer, error: SessionError) -> AnswerInvalidError:
        self.close()
        return AnswerInvalidError(
            f"{self.url}: HTTP status {answer.status} without a collector's answer: {error}",
            advice="is this a collector? is a proxy in between?",
        )


def _without_certificate(answer: Answer) -> bool:
    """Whether the collector has seen no certificate. OpenSSL leaves it out when a TPM's key cannot be used any more."""
    if answer.status != SessionCode.CERTIFICATE_MISSING.status:
        return False
    try:
        return _refusal(answer).code == str(SessionCode.CERTIFICATE_MISSING)
    except SessionError:
        return False


def _refusal(answer: Answer) -> Refusal:
    return Refusal.from_answer(answer.status, answer.headers, answer.body)
