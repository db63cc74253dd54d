"""An interceptor in front of the collector, and what a box may say to one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509

from appliance.wire.enrollment import CACERTS_PATH, EnrollmentToken
from tests.collector_client.harness import Collector
from tests.fakes.interceptor import Interceptor
from tests.fakes.pki import Authority


@contextmanager
def between(
    thief: Authority,
    collector: Collector,
    folder: Path,
    cacerts: list[x509.Certificate] | None = None,
    days: tuple[float, float] = (-1, 30),
) -> Iterator[Interceptor]:
    """An interceptor in front of the collector."""
    with Interceptor(thief.server(folder, days=days), collector.address, cacerts) as made:
        yield made


def nothing_but_the_question(heard: bytes, token: str) -> bool:
    """The box asked for the CA and said no more: no token in any form, no request, no word of its TPM."""
    secrets = (EnrollmentToken.parse(token).secret, EnrollmentToken.parse(token).authorization())
    lines = heard.decode("latin-1").split("\r\n")
    names = {line.partition(":")[0].lower() for line in lines[1:-2]}
    asked = (
        lines[0] == f"GET {CACERTS_PATH} HTTP/1.1" and lines[-2:] == ["", ""] and names <= {"host", "accept-encoding"}
    )
    return asked and not any(secret.encode() in heard for secret in secrets)
