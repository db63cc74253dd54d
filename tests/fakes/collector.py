"""The collector as a sensor meets it: the real interface over real TLS, an honest store, and faults on demand.

`store` holds what was committed, each number once, whatever the answers said. A fault is put into `faults` and spoils
one batch; the heartbeat and enrollment have their own switches. Nothing here waits by the clock.
"""

from __future__ import annotations

import gzip
import hashlib
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import zstandard
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from appliance.wire.codes import SessionCode
from appliance.wire.enrollment import (
    CACERTS_PATH,
    CERTIFICATE_MEDIA_TYPE,
    MAX_CSR_BYTES,
    SIMPLEENROLL_PATH,
    EnrollmentToken,
    decode_base64,
    encode_base64,
    sensor_id,
)
from appliance.wire.heartbeat import Heartbeat, HeartbeatAnswer
from appliance.wire.residency import TPM_CHALLENGE_PATH, TPM_ENROLL_PATH, ResidencyProof, ResidencyRequest
from appliance.wire.session import (
    BATCHES_PATH,
    CONFIG_PATH,
    HEARTBEAT_PATH,
    BatchHeader,
    ConfigAnswer,
    Loss,
    Receipt,
    Refusal,
    SessionError,
)
from appliance.wire.snml import decode_message
from tests.fakes.pki import Authority, spki


class Fault(Enum):
    """What happens to one batch."""

    CUT_BEFORE_STORE = "the connection is cut before anything is stored"
    CUT_AFTER_STORE = "stored, but the answer is lost"
    CUT_IN_ANSWER = "stored, and the answer breaks off"
    WRONG_EPOCH = "stored, and the receipt names another epoch"
    TOO_FAR = "stored, and the receipt claims more than was ever sent"
    NOTHING_STORED = "a receipt that says nothing was stored"
    GARBAGE = "an answer that is no JSON"
    LONG_ANSWER = "an answer without end"
    PROXY_PAGE = "502 with a page of HTML"
    BUSY = "503 without Retry-After"
    BUSY_RETRY = "503 with Retry-After: 7"
    QUOTA = "429 with Retry-After: 7"
    SLOW_DOWN = "stored, and asked to wait 3000 ms"
    FORK = "409"
    INVALID = "422 for the whole document"
    TOO_LARGE = "413"
    SILENT = "no answer until the sensor gives up"


class ConnectionDropError(Exception):
    """The connection is dropped here."""


class FakeCollector:
    """Listens from `start` to `stop`; a context manager."""

    def __init__(self, authority: Authority, context: ssl.SSLContext, *, port: int = 0) -> None:
        self.authority = authority
        self.store: dict[tuple[str, int, int], bytes] = {}
        self.stored_times: dict[tuple[str, int, int], int] = {}
        self.losses: set[tuple[str, int, Loss]] = set()
        self.heartbeats: list[Heartbeat] = []
        self.faults: deque[Fault] = deque()
        self.heartbeat_refusals: deque[Refusal] = deque()
        self.residency_refusals: deque[Refusal] = deque()
        self.tokens: dict[str, SessionCode | EnrollmentToken] = {}
        self.used: dict[str, bytes] = {}
        self.issue: Callable[[ec.EllipticCurvePublicKey], list[x509.Certificate]] = lambda key: [authority.sensor(key)]
        # The desk of `tests.fakes.residency`, for a collector that takes keys in a TPM.
        self.residency: Any = None
        self.cacerts: list[x509.Certificate] = [authority.root, authority.issuing]
        self.batches: list[BatchHeader] = []
        self.connections = 0
        self.resumed = 0
        self.clock_ns = 1_700_000_000_000_000_000
        self.silent = threading.Event()
        self.let_go = threading.Event()
        self._lock = threading.Lock()
        collector = self

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def get_request(self) -> tuple[socket.socket, Any]:
                sock, address = super().get_request()
                sock.settimeout(30)
                return context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False), address

            def finish_request(self, request: Any, address: Any) -> None:
                cast("ssl.SSLSocket", request).do_handshake()
                collector.connections += 1
                collector.resumed += bool(cast("ssl.SSLSocket", request).session_reused)
                super().finish_request(request, address)

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A peer that does not like us hangs up: that is what many tests are about."""

        class Handler(_Handler):
            fake = collector

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def __enter__(self) -> FakeCollector:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def sequences(self, epoch: int) -> list[int]:
        """What is stored of an epoch."""
        return sorted(seq for _, of, seq in self.store if of == epoch)

    def commit(self, sensor: str, header: BatchHeader, document: bytes) -> Receipt:
        """Store what is new, in one go, as the real one does."""
        events = decode_message(document).events
        with self._lock:
            for event in events:
                assert event.sequence is not None
                assert event.sequence.epoch == header.epoch
                key = (sensor, event.sequence.epoch, event.sequence.seq)
                if key not in self.store:
                    self.store[key] = document
                    self.stored_times[key] = self.stored_times.get(key, 0) + 1
            self.losses |= {(sensor, header.epoch, loss) for loss in header.losses}
            stored_to = max(seq for of, epoch, seq in self.store if (of, epoch) == (sensor, header.epoch))
        return Receipt(epoch=header.epoch, accepted_to=stored_to, stored_to=stored_to, clock_ns=self.clock_ns)


def refusal(code: SessionCode, retry_after_s: int | None = None) -> Refusal:
    return Refusal(code.status, str(code), "what came", "what was allowed", code.do, retry_after_s)


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    # Answers would otherwise wait for the sensor's delayed acknowledgement of the header.
    disable_nagle_algorithm = True
    wbufsize = -1
    fake: FakeCollector

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        if self.path == CACERTS_PATH:
            self._certificates(self.fake.cacerts)
        elif self.path == CONFIG_PATH:
            self._config()
        else:
            self._refuse(refusal(SessionCode.PATH))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            if self.path == SIMPLEENROLL_PATH:
                self._enroll(body)
            elif self.path in (TPM_CHALLENGE_PATH, TPM_ENROLL_PATH) and self.fake.residency is not None:
                self._residency(body)
            elif self.path == BATCHES_PATH:
                self._batch(body)
            elif self.path == HEARTBEAT_PATH:
                self._heartbeat(body)
            else:
                self._refuse(refusal(SessionCode.PATH))
        except ConnectionDropError:
            self.close_connection = True
            # Not a clean end of TLS: the peer sees what a power cut looks like.
            self.connection.shutdown(socket.SHUT_RDWR)

    def _sensor(self) -> str:
        der = cast("ssl.SSLSocket", self.connection).getpeercert(binary_form=True)
        if der is None:
            return ""
        key = x509.load_der_x509_certificate(der).public_key()
        return sensor_id(spki(cast("ec.EllipticCurvePublicKey", key)))

    def _batch(self, body: bytes) -> None:
        fake, sensor = self.fake, self._sensor()
        if not sensor:
            self._refuse(refusal(SessionCode.CERTIFICATE_MISSING))
            return
        header = BatchHeader.from_headers(dict(self.headers.items()))
        document = _inflated(body, header.encoding)
        assert hashlib.sha256(document).hexdigest() == header.sha256
        fake.batches.append(header)
        fault = fake.faults.popleft() if fake.faults else None
        if fault is Fault.CUT_BEFORE_STORE:
            raise ConnectionDropError
        refused = {
            Fault.BUSY: refusal(SessionCode.BUSY),
            Fault.BUSY_RETRY: refusal(SessionCode.BUSY, 7),
            Fault.QUOTA: refusal(SessionCode.SENSOR_QUOTA, 7),
            Fault.FORK: refusal(SessionCode.SEQUENCE_FORK),
            Fault.INVALID: refusal(SessionCode.SEQUENCE_MISSING),
            Fault.TOO_LARGE: refusal(SessionCode.BODY_TOO_LARGE),
        }.get(cast("Fault", fault))
        if refused is not None:
            self._refuse(refused)
        elif fault is Fault.PROXY_PAGE:
            self._answer(502, {"Content-Type": "text/html"}, b"<html>Bad gateway</html>")
        elif fault is Fault.GARBAGE:
            self._answer(200, {}, b"{stored: yes}")
        elif fault is Fault.NOTHING_STORED:
            self._answer(200, {}, Receipt(header.epoch, 0, 0, fake.clock_ns).to_json())
        elif fault is Fault.SILENT:
            fake.silent.set()
            fake.let_go.wait(30)
            raise ConnectionDropError
        else:
            self._stored(fault, fake.commit(sensor, header, document))

    def _stored(self, fault: Fault | None, receipt: Receipt) -> None:
        """What is said after the commit is what the fault makes of the receipt."""
        far = receipt.stored_to + 1000
        told = {
            Fault.WRONG_EPOCH: Receipt(receipt.epoch ^ 1, far, far, receipt.clock_ns),
            Fault.TOO_FAR: Receipt(receipt.epoch, far, far, receipt.clock_ns),
            Fault.SLOW_DOWN: Receipt(
                receipt.epoch, receipt.accepted_to, receipt.stored_to, receipt.clock_ns, slow_down_ms=3000
            ),
        }.get(cast("Fault", fault), receipt)
        data = told.to_json()
        if fault is Fault.CUT_AFTER_STORE:
            raise ConnectionDropError
        if fault is Fault.CUT_IN_ANSWER:
            self._answer(200, {"Content-Length": str(len(data))}, data[: len(data) // 2])
            self.wfile.flush()
            raise ConnectionDropError
        if fault is Fault.LONG_ANSWER:
            self._answer(200, {"Content-Length": str(1 << 40)}, data + b" " * (3 << 20))
            raise ConnectionDropError
        self._answer(200, {"Content-Type": "application/json"}, data)

    def _config(self) -> None:
        if not self._sensor():
            self._refuse(refusal(SessionCode.CERTIFICATE_MISSING))
            return
        self._answer(200, {"Content-Type": "application/json"}, ConfigAnswer(1, self.fake.clock_ns).to_json())

    def _heartbeat(self, body: bytes) -> None:
        if not self._sensor():
            self._refuse(refusal(SessionCode.CERTIFICATE_MISSING))
            return
        if self.fake.heartbeat_refusals:
            self._refuse(self.fake.heartbeat_refusals.popleft())
            return
        self.fake.heartbeats.append(Heartbeat.from_json(body))
        self._answer(200, {"Content-Type": "application/json"}, HeartbeatAnswer(self.fake.clock_ns).to_json())

    def _enroll(self, body: bytes) -> None:
        fake = self.fake
        try:
            token = EnrollmentToken.from_authorization(self.headers.get("Authorization", ""))
            request = x509.load_der_x509_csr(decode_base64("CSR", body, MAX_CSR_BYTES))
        except (SessionError, ValueError):
            self._refuse(refusal(SessionCode.REQUEST_INVALID))
            return
        known = fake.tokens.get(token.token_id)
        key = cast("ec.EllipticCurvePublicKey", request.public_key())
        if isinstance(known, SessionCode):
            self._refuse(refusal(known))
        elif known != token:
            self._refuse(refusal(SessionCode.TOKEN_UNKNOWN))
        elif fake.used.setdefault(token.token_id, spki(key)) != spki(key):
            self._refuse(refusal(SessionCode.TOKEN_USED))
        else:
            self._certificates(fake.issue(key))

    def _residency(self, body: bytes) -> None:
        """As enrollment by token, with the desk's word in between; what it refuses ends the test's thread by name."""
        fake = self.fake
        token = EnrollmentToken.from_authorization(self.headers.get("Authorization", ""))
        if fake.tokens.get(token.token_id) != token:
            self._refuse(refusal(SessionCode.TOKEN_UNKNOWN))
        elif fake.residency_refusals:
            self._refuse(fake.residency_refusals.popleft())
        elif self.path == TPM_CHALLENGE_PATH:
            challenge = fake.residency.challenge(ResidencyRequest.decode(body))
            self._answer(200, {"Content-Type": "application/json"}, challenge.encode())
        else:
            key = fake.residency.check(ResidencyProof.decode(body))
            if fake.used.setdefault(token.token_id, spki(key)) != spki(key):
                self._refuse(refusal(SessionCode.TOKEN_USED))
            else:
                self._certificates(fake.issue(key))

    def _certificates(self, certificates: list[x509.Certificate]) -> None:
        der = pkcs7.serialize_certificates(certificates, Encoding.DER)
        self._answer(200, {"Content-Type": CERTIFICATE_MEDIA_TYPE}, encode_base64(der))

    def _refuse(self, refused: Refusal) -> None:
        headers = {"Content-Type": "application/json", **refused.to_headers()}
        self._answer(refused.status, headers, refused.to_json())

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _inflated(body: bytes, encoding: str) -> bytes:
    if encoding == "zstd":
        return zstandard.ZstdDecompressor().decompress(body, max_output_size=8 << 20)
    return gzip.decompress(body) if encoding == "gzip" else body
