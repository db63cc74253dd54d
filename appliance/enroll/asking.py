"""One request to a collector on a connection of its own; what its answer means is the callers' business.

Rules of this file: it sends what it is given; it neither trusts nor keeps anything.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable

from appliance.enroll.refused import refused
from appliance.enroll.steps import Ask
from appliance.identity import Answer, CollectorUrl, HttpsConnection, Proxy
from appliance.wire.session import MAX_ANSWER_BYTES


def send(
    url: CollectorUrl,
    context: ssl.SSLContext,
    needs: Ask,
    *,
    timeout_s: float,
    proxy: Proxy | None,
    accept: Callable[[bytes], None] = lambda _: None,
) -> Answer:
    """The answer, whatever its status; `accept` may refuse the server's certificate (DER).

    Raises:
        LinkError: the connection failed, by name.
    """
    connection = HttpsConnection(url, context=context, timeout_s=timeout_s, proxy=proxy, accept=accept)
    try:
        return connection.request(
            needs.method, needs.path, headers=needs.headers, body=needs.body, max_answer_bytes=MAX_ANSWER_BYTES
        )
    finally:
        connection.close()


def ask(
    url: CollectorUrl, context: ssl.SSLContext, method: str, path: str, *, timeout_s: float, proxy: Proxy | None
) -> Answer:
    """A request without headers and body; the answer is a good one.

    Raises:
        EnrollmentRefusedError: the collector said no.
        LinkError: the connection failed, by name.
    """
    answer = send(url, context, Ask(method, path, {}, b"", verified=True), timeout_s=timeout_s, proxy=proxy)
    if answer.status != 200:
        raise refused(str(url), answer)
    return answer
