"""A key behind a command of the operator's: a cloud's key service, a signing host, anything that can be scripted.

    standard input    {"version": 1, "operation": "public-key", "key": ID}
    standard output   {"public_key": PEM}
    standard input    {"version": 1, "operation": "sign", "key": ID, "algorithm": "ecdsa-p256-sha256", "digest": HEX}
    standard output   {"signature": BASE64 of an Ecdsa-Sig-Value in DER}

    exit code    0   answered                69  the key's place cannot be reached (EX_UNAVAILABLE)
                 75  try again (EX_TEMPFAIL)  77  permission denied (EX_NOPERM)     other  failed

Rules of this file: one run of the command for each question, in a session of its own that is killed as a whole when
its time is over or it says too much. Nothing secret is handed over: a digest and a name. What it writes to standard
error is shown to the operator, cut and without control characters.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from appliance.wire.fields import plain
from collector_client.pki.keys.remote import KeyFault, p256

MAX_OUTPUT_BYTES = 16 * 1024
MAX_SHOWN = 200
MAX_SIGNATURE_BYTES = 72

EXIT_CODES = {
    69: "the key's place cannot be reached",
    75: "it says to try again",
    77: "permission was denied",
    126: "it cannot be executed",
    127: "a program that it needs is not there",
}
_ADVICE = 'try it by hand: its questions and answers are in the README, "The certificate authority"'


@dataclass(slots=True)
class CommandSigner:
    """Asks the command for one key."""

    command: Sequence[str]
    key_id: str
    timeout_ms: int
    now_s: Callable[[], float] = time.monotonic
    where: str = field(init=False)

    def __post_init__(self) -> None:
        self.where = f"command {os.path.basename(self.command[0])}, key {self.key_id}"

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """Ask for the public half; raises `KeyFault`."""
        answer = self._ask({"version": 1, "operation": "public-key", "key": self.key_id})
        text = self._text(answer, "public_key")
        try:
            return p256(self.where, load_pem_public_key(text.encode("ascii")))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise KeyFault(f"{self.where}: no public key in PEM came", advice=_ADVICE) from error

    def make(self) -> ec.EllipticCurvePublicKey:
        """Keys behind a command are made by the operator's own means: the public half; raises `KeyFault`."""
        return self.public_key()

    def sign_digest(self, digest: bytes) -> bytes:
        """Ask for a signature; raises `KeyFault`."""
        question = {"version": 1, "operation": "sign", "key": self.key_id, "algorithm": "ecdsa-p256-sha256"}
        text = self._text(self._ask(question | {"digest": digest.hex()}), "signature")
        try:
            signature = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise KeyFault(f"{self.where}: a signature that is no base64 came", advice=_ADVICE) from error
        if not 8 <= len(signature) <= MAX_SIGNATURE_BYTES:
            allowed = f"8 to {MAX_SIGNATURE_BYTES} in DER were allowed"
            raise KeyFault(f"{self.where}: a signature of {len(signature)} bytes came, {allowed}", advice=_ADVICE)
        return signature

    def _text(self, answer: bytes, name: str) -> str:
        try:
            document = json.loads(answer)
            value = document[name]
        except (ValueError, TypeError, KeyError, RecursionError):
            value = None
        if not isinstance(value, str) or not value.isascii():
            raise KeyFault(f'{self.where}: {len(answer)} bytes came, JSON with "{name}" was allowed', advice=_ADVICE)
        return value

    def _ask(self, question: dict[str, object]) -> bytes:
        try:
            process = subprocess.Popen(
                list(self.command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise KeyFault(f"{self.where}: cannot be run ({error.strerror or error})", advice=_ADVICE) from error
        with process:
            try:
                said, complained = self._talk(process, json.dumps(question).encode() + b"\n")
                code = process.wait(max(0.0, self._deadline_s - self.now_s()))
            except subprocess.TimeoutExpired:
                raise self._too_slow() from None
            finally:
                # Also what it has started itself and left behind.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
        if code != 0:
            meaning = EXIT_CODES.get(code, "it failed" if code > 0 else f"killed by signal {-code}")
            shown = plain(complained.decode("utf-8", "replace"))[:MAX_SHOWN].strip()
            raise KeyFault(
                f"{self.where}: {meaning} (exit code {code})" + (f": {shown}" if shown else ""), advice=_ADVICE
            )
        return said

    def _talk(self, process: subprocess.Popen[bytes], question: bytes) -> tuple[bytes, bytes]:
        """Write the question (less than a pipe holds) and read both outputs to their ends, within time and bounds."""
        self._deadline_s = self.now_s() + self.timeout_ms / 1000
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise KeyFault(f"{self.where}: has no pipes")
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(question)
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        taken = {process.stdout: bytearray(), process.stderr: bytearray()}
        with selectors.DefaultSelector() as selector:
            for pipe in taken:
                selector.register(pipe, selectors.EVENT_READ)
            while selector.get_map():
                left_s = self._deadline_s - self.now_s()
                ready = selector.select(left_s) if left_s > 0 else []
                if not ready:
                    raise self._too_slow()
                for key, _ in ready:
                    pipe = process.stdout if key.fileobj is process.stdout else process.stderr
                    data = os.read(pipe.fileno(), 4096)
                    if not data:
                        selector.unregister(pipe)
                    taken[pipe] += data
                    if len(taken[pipe]) > MAX_OUTPUT_BYTES:
                        came = f"more than {MAX_OUTPUT_BYTES} bytes of output came"
                        raise KeyFault(f"{self.where}: {came}, at most that was allowed", advice=_ADVICE)
        return bytes(taken[process.stdout]), bytes(taken[process.stderr])

    def _too_slow(self) -> KeyFault:
        return KeyFault(f"{self.where}: no answer within {self.timeout_ms} ms", advice=_ADVICE)

    _deadline_s: float = field(init=False, default=0.0)
