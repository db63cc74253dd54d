"""TLS handshakes with client authentication: a key in a file and one in a TPM, in full and resumed.

    python -m tests.bench.handshakes [--rounds N] [--connections N] [--json FILE]

One client and one server on loopback, each with a process of its own: the sensor's own connection and contexts, the
collector's own certificates and listener. A connection is TCP, the handshake, one small request with its answer (with
which the ticket comes) and the end. The TPM is swtpm, a program on the same machine, and quicker than most chips: what
resumption is worth on a chip is more than what is seen here.

Rules of this file: kinds alternate within each round, medians over rounds count, and they are given as ratios to the
first row as well, because a busy machine stretches all of them. Where there is no TPM, its rows are missing and that is
said.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from rich.console import Console
from rich.table import Table

from appliance.identity import (
    CollectorUrl,
    HttpsConnection,
    IdentityFolder,
    KeyStore,
    Resumption,
    SoftKeyStore,
    key_store,
)
from collector_client.pki import Authority
from tests.fakes.swtpm import fresh, lacking

ROOT = Path(__file__).parents[2]
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
LIFE_DAYS = 30


class BenchError(Exception):
    """The client did not do its part; the text says what it said."""


@dataclass
class Seen:
    """What the server saw."""

    url: CollectorUrl
    full: int = 0
    resumed: int = 0


@contextmanager
def listening(authority: Authority) -> Iterator[Seen]:
    """A server in a thread that answers every request alike, and refuses a connection without a certificate."""
    ready, ended, seen = threading.Event(), asyncio.Event(), Seen(CollectorUrl("127.0.0.1", 0))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if writer.get_extra_info("ssl_object").session_reused:
            seen.resumed += 1
        else:
            seen.full += 1
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(ANSWER if writer.get_extra_info("peercert") else b"HTTP/1.1 401 No\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def serve() -> None:
        nonlocal loop
        loop = asyncio.get_running_loop()
        context = authority.server_context()
        async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
            seen.url = CollectorUrl("127.0.0.1", server.sockets[0].getsockname()[1])
            ready.set()
            await ended.wait()

    loop: asyncio.AbstractEventLoop | None = None
    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    ready.wait()
    try:
        yield seen
    finally:
        assert loop is not None
        loop.call_soon_threadsafe(ended.set)
        thread.join()


def enrolled(folder: Path, keys: KeyStore, authority: Authority) -> IdentityFolder:
    """An identity with a certificate by that authority."""
    folder.mkdir(mode=0o700)
    identity = IdentityFolder(folder, keys)
    key = keys.load_or_create(identity.key_path).public_key
    certificate = x509.load_der_x509_certificate(authority.issue_sensor(key, time.time_ns(), LIFE_DAYS).der)
    identity.write(ca_pem=authority.ca_pem(), certificate_pem=certificate.public_bytes(Encoding.PEM))
    return identity


def connect(url: CollectorUrl, identity: IdentityFolder, count: int, resumption: Resumption | None) -> float:
    """So many connections one after the other; how many in a second."""
    loaded = identity.load()
    context = resumption.context(loaded) if resumption else loaded.context()
    began_s = time.perf_counter()
    for _ in range(count):
        if resumption is not None:
            context = resumption.context(loaded)
        connection = HttpsConnection(url, context=context, timeout_s=30, resumption=resumption)
        answer = connection.request("GET", "/", headers={}, body=b"", max_answer_bytes=100)
        connection.close()
        if answer.status != 200:
            raise BenchError(f"{identity.key_path}: the server saw no certificate")
    return count / (time.perf_counter() - began_s)


def work(folder: Path, url: CollectorUrl, tcti: str, rounds: int, count: int) -> dict[str, list[float]]:
    """The client's part, in a process whose OpenSSL knows the TPM: rates of each kind by rounds."""
    identities = {"key in a file": IdentityFolder(folder / "file")}
    if tcti:
        identities["key in the TPM"] = IdentityFolder(folder / "tpm", key_store("tpm", tcti))
    rates: dict[str, list[float]] = {}
    sessions = {name: Resumption() for name in identities}
    for name, identity in identities.items():
        connect(url, identity, 1, sessions[name])
    for _ in range(rounds):
        for name, identity in identities.items():
            for kind, resumption in (("full", None), ("resumed", sessions[name])):
                rates.setdefault(f"{name}, {kind}", []).append(connect(url, identity, count, resumption))
    return rates


def environment_for(tcti: str, configuration: Path) -> dict[str, str]:
    """What a process needs for TLS with a key in the TPM."""
    provider = importlib.import_module("appliance.identity.tpm.provider")
    provider.write_configuration(configuration)
    return dict(provider.environment(tcti, configuration))


def measure(rounds: int, count: int) -> tuple[dict[str, list[float]], str]:
    """Rates of every kind by rounds, and what is lacking for the TPM's.

    Raises:
        BenchError: the client failed.
    """
    missing = lacking()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        authority = Authority.create(folder / "pki", ["127.0.0.1"], time.time_ns())
        enrolled(folder / "file", SoftKeyStore(), authority)
        environment, tcti = dict(os.environ), ""
        if not missing:
            tcti = stack.enter_context(fresh(folder / "swtpm")).tcti
            enrolled(folder / "tpm", key_store("tpm", tcti), authority)
            environment |= environment_for(tcti, folder / "openssl.cnf")
        seen = stack.enter_context(listening(authority))
        argv = [sys.executable, "-m", "tests.bench.handshakes", "--rounds", str(rounds), "--connections", str(count)]
        argv += ["--client", str(folder), str(seen.url), tcti]
        done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(done.stderr)
    stores = 1 if missing else 2
    # One more full one for each store begins its chain of resumptions.
    if (seen.full, seen.resumed) != (stores * (rounds * count + 1), stores * rounds * count):
        measured = stores * rounds * count
        raise BenchError(
            f"{seen.full} full and {seen.resumed} resumed connections came, {measured} of each were measured"
        )
    return json.loads(done.stdout), missing


def main() -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(description="TLS handshakes with client authentication.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--connections", type=int, default=40, help="of each kind in a round")
    parser.add_argument("--json", type=Path, help="keep all figures in this file")
    parser.add_argument("--client", nargs=3, metavar=("FOLDER", "URL", "TCTI"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client:
        folder, url, tcti = options.client
        json.dump(work(Path(folder), CollectorUrl.parse(url), tcti, options.rounds, options.connections), sys.stdout)
        return 0
    console = Console(highlight=False)
    try:
        rates, missing = measure(options.rounds, options.connections)
    except BenchError as error:
        console.print(f"handshakes: {error}", markup=False)
        return 1
    title = f"TLS connections, medians of {options.rounds} rounds of {options.connections}"
    table = Table(title=title, title_justify="left")
    for column in ("", "in a second", "least to most", "ratio"):
        table.add_column(column, justify="left" if not column else "right")
    first = statistics.median(next(iter(rates.values())))
    for kind, seen in rates.items():
        median = statistics.median(seen)
        table.add_row(kind, f"{median:.0f}", f"{min(seen):.0f} to {max(seen):.0f}", f"{median / first:.2f}")
    console.print(table)
    if missing:
        console.print(f"No TPM here, so no rows for a key in one: {missing}.", markup=False, soft_wrap=True)
    if options.json:
        options.json.write_text(json.dumps(rates, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
