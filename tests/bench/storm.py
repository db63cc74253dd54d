"""Boxes that enroll all at once: each over real TLS with a key, a token and an address of its own, every step timed.

    step        connection                           what it does
    cacerts     server not verified                  fetches the CA, compares its pin
    enroll      verified against that CA             simpleenroll with the token, or the two steps of a TPM
    config      mutual TLS, stays open to the end    the first request as an enrolled sensor

Rules of this file: keys and requests are made beforehand, so that what is timed is the collector. A box takes no second
try; each failure is kept with its step and words. Loopback has 16 million addresses, so each box has its own (127.x):
a thousand sites, not one.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from asyncio import sslproto
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs7,
)

from appliance.wire.enrollment import CACERTS_PATH, SIMPLEENROLL_PATH, EnrollmentToken, ca_pin, decode_base64
from appliance.wire.residency import TPM_CHALLENGE_PATH, TPM_ENROLL_PATH, ResidencyChallenge
from appliance.wire.session import CONFIG_PATH, Refusal
from tests.fakes.sensor import FakeSensor
from tests.fakes.tpm_device import TpmDevice

CONNECT_TIMEOUT_S = 60.0
_MAX_ANSWER_BYTES = 256 * 1024

sslproto.SSLProtocol.max_size = 32 * 1024  # as the collector does: a thousand connections share this process

Answer = TypeVar("Answer")


class StormError(Exception):
    """A step did not end well; the text says how."""


@dataclass
class Box:
    """One sensor to be: everything that can be made beforehand is."""

    number: int
    key_pem: bytes
    csr: bytes
    token: str
    device: TpmDevice | None = None

    @property
    def source(self) -> str:
        """Its address on loopback."""
        return f"127.{1 + self.number // 62_500}.{self.number // 250 % 250}.{1 + self.number % 250}"


def make_boxes(tokens: Sequence[str], device: Callable[[], TpmDevice] | None = None) -> list[Box]:
    """A box for each token, with a key of its own: in software, or in what `device` makes."""
    boxes = []
    for number, token in enumerate(tokens):
        tpm = device() if device else None
        maker = FakeSensor("127.0.0.1:0", tpm.ldevid.key if tpm else None)
        pem = maker.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        boxes.append(Box(number, pem, maker.csr(), token, tpm))
    return boxes


@dataclass
class Storm:
    """All boxes against one collector, and what came of it: seconds per step, failures, connections open at once."""

    host: str
    port: int
    pin: str
    folder: Path
    step_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    failures: Counter[str] = field(default_factory=Counter)
    enrolled: int = 0
    open_now: int = 0
    open_most: int = 0
    _held: list[asyncio.StreamWriter] = field(default_factory=list)

    async def run(self, boxes: Sequence[Box], at_once: int) -> float:
        """Let them all enroll, at most `at_once` at a time; returns the seconds it took."""
        room = asyncio.Semaphore(at_once)

        async def one(box: Box) -> None:
            async with room:
                await self._enroll(box)

        began = time.monotonic()
        await asyncio.gather(*(one(box) for box in boxes))
        took_s = time.monotonic() - began
        for writer in self._held:
            writer.transport.abort()
        return took_s

    async def _enroll(self, box: Box) -> None:
        began, step = time.monotonic(), "cacerts"
        try:
            ca_pem = await self._timed(step, self._fetch_ca(box))
            step = "enroll"
            certificate = await self._timed(step, self._ask(box, ca_pem))
            step = "config"
            await self._timed(step, self._speak(box, ca_pem, certificate))
        except (OSError, ValueError, TimeoutError, StormError, asyncio.IncompleteReadError) as error:
            self.failures[f"{step}: {type(error).__name__}: {error}"[:200]] += 1
            return
        self.enrolled += 1
        self.step_s["all"].append(time.monotonic() - began)

    async def _timed(self, step: str, work: Coroutine[object, object, Answer]) -> Answer:
        began = time.monotonic()
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            answer = await work
        self.step_s[step].append(time.monotonic() - began)
        return answer

    async def _fetch_ca(self, box: Box) -> bytes:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        async with _Line(self, box, context) as line:
            der = decode_base64("cacerts", await line.ask("GET", CACERTS_PATH), _MAX_ANSWER_BYTES)
        certificates = pkcs7.load_der_pkcs7_certificates(der)
        root = next(certificate for certificate in certificates if certificate.subject == certificate.issuer)
        found = ca_pin(root.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
        if found != self.pin:
            raise StormError(f"pin {found} came, {self.pin} was allowed")
        return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)

    async def _ask(self, box: Box, ca_pem: bytes) -> bytes:
        authorization = {"Authorization": EnrollmentToken.parse(box.token).authorization()}
        async with _Line(self, box, _verified(ca_pem)) as line:
            if box.device is None:
                body = await line.ask("POST", SIMPLEENROLL_PATH, box.csr, authorization)
            else:
                asked = box.device.request().encode()
                challenge = ResidencyChallenge.decode(await line.ask("POST", TPM_CHALLENGE_PATH, asked, authorization))
                proof = box.device.answer(challenge).encode()
                body = await line.ask("POST", TPM_ENROLL_PATH, proof, authorization)
        (made,) = pkcs7.load_der_pkcs7_certificates(decode_base64("certificate", body, _MAX_ANSWER_BYTES))
        return x509.load_der_x509_certificate(made.public_bytes(Encoding.DER)).public_bytes(Encoding.PEM)

    async def _speak(self, box: Box, ca_pem: bytes, certificate: bytes) -> None:
        context = _verified(ca_pem)
        path = self.folder / f"{box.number}.pem"
        path.write_bytes(box.key_pem + certificate)
        context.load_cert_chain(path)
        line = await _Line(self, box, context).__aenter__()
        await line.ask("GET", CONFIG_PATH)
        self._held.append(line.writer)


class _Line:
    """One connection of a box, counted while it is open."""

    def __init__(self, storm: Storm, box: Box, context: ssl.SSLContext) -> None:
        self._storm, self._box, self._context = storm, box, context

    async def __aenter__(self) -> _Line:
        storm = self._storm
        storm.open_now += 1
        storm.open_most = max(storm.open_most, storm.open_now)
        try:
            self.reader, self.writer = await asyncio.open_connection(
                storm.host,
                storm.port,
                ssl=self._context,
                server_hostname=storm.host,
                local_addr=(self._box.source, 0),
                ssl_handshake_timeout=CONNECT_TIMEOUT_S,
            )
        except BaseException:
            storm.open_now -= 1
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._storm.open_now -= 1
        self.writer.transport.abort()

    async def ask(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> bytes:
        """The body of an answer that must be a 200."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._storm.host}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        said = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        answer = await self.reader.readexactly(int(said.get("content-length", "0")))
        status = int(head[0].split(" ")[1])
        if status != 200:
            refusal = Refusal.from_answer(status, said, answer)
            raise StormError(f"{status} {refusal.code}: {refusal.came}")
        return answer


def _verified(ca_pem: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=ca_pem.decode())
    return context
