"""Certificates for what a transaction decides, signed where the CA's key is, without making the writer wait for it.

    key in a file    signed at once, inside the transaction
    key elsewhere    1. the transaction runs until it needs the certificate, says so (`UnsignedError`) and is undone
                     2. a thread of its own signs, which may take as long as a token or a command takes
                     3. the transaction runs again, decides anew, and finds what it asked for signed

Rules of this file: a token or a command that hangs stops neither batches nor heartbeats: the writing thread never asks
it. A certificate that the second run does not ask for is thrown away, so nobody gets what was not decided in the very
transaction that keeps it. The line for the signing thread is bounded. Why a key failed is told to the log alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric import ec

from appliance.wire.codes import SessionCode
from collector_client.attest import SOFTWARE
from collector_client.ingest.keeper import Keeper
from collector_client.ingest.refuse import RefusedError, refuse
from collector_client.pki import Authority, KeyFault, SensorCertificate
from collector_client.pki.profile import spki_der

log = logging.getLogger("vedette.ingest")

MAX_WAITING = 256
RETRY_S = 30
_RUNS = 3
"""The second finds the certificate; one more where the register changed in between."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a certificate is to say: SubjectPublicKeyInfo, time, life, assurance, name."""

    spki: bytes
    now_ns: int
    life_days: int
    assurance: str
    name: str | None


class UnsignedError(Exception):
    """A transaction needs a certificate that must be signed elsewhere; never leaves `Issuer.call`."""

    def __init__(self, asked: Asked, key: ec.EllipticCurvePublicKey) -> None:
        super().__init__("a certificate is to be signed first")
        self.asked = asked
        self.key = key


class Issuer:
    """One authority, one writer, one thread that signs."""

    def __init__(self, authority: Authority, keeper: Keeper, *, wait_s: float) -> None:
        """`wait_s`: how long a sensor's request waits for a signature before it is told to come back."""
        self.authority = authority
        self._keeper = keeper
        self._wait_s = wait_s
        self._signed: dict[Asked, SensorCertificate] = {}
        self._waiting = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="signer")

    def issue_sensor(
        self,
        key: ec.EllipticCurvePublicKey,
        now_ns: int,
        life_days: int,
        assurance: str = SOFTWARE,
        *,
        name: str | None = None,
    ) -> SensorCertificate:
        """As `Authority.issue_sensor`, from within a transaction that `call` runs.

        Raises:
            UnsignedError: not signed yet; `call` sees to that.
        """
        if self.authority.local:
            return self.authority.issue_sensor(key, now_ns, life_days, assurance, name=name)
        asked = Asked(spki_der(key), now_ns, life_days, assurance, name)
        made = self._signed.get(asked)
        if made is None:
            raise UnsignedError(asked, key)
        return made

    async def call(self, work: Callable[[], Answer]) -> Answer:
        """Run a transaction that may issue a certificate, in its turn.

        Raises:
            RefusedError: from `work`; the line is full, the store failed, or the CA's key cannot be used now.
        """
        asked: list[Asked] = []
        try:
            for _ in range(_RUNS):
                try:
                    return await self._keeper.call_newcomer(work)
                except UnsignedError as error:
                    asked.append(error.asked)
                    self._signed[error.asked] = await self._sign(error)
        finally:
            for one in asked:
                self._signed.pop(one, None)
        raise _unusable("a decision that changed between two looks")

    async def run(self, work: Callable[[], Answer]) -> Answer:
        """Anything else that needs the CA's key, in the signing thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """End the thread; what waits in line is dropped, and nobody has been answered for it."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def _sign(self, error: UnsignedError) -> SensorCertificate:
        if self._waiting >= MAX_WAITING:
            raise refuse(
                SessionCode.BUSY, f"{MAX_WAITING} certificates to sign in line", "fewer", retry_after_s=RETRY_S
            )
        asked = error.asked
        self._waiting += 1
        future = self._thread.submit(
            self.authority.issue_sensor, error.key, asked.now_ns, asked.life_days, asked.assurance, name=asked.name
        )
        # The line is as long as what the thread has not done, whether or not anybody waits for it still.
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._done))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self._wait_s)
        except TimeoutError:
            log.error("no signature of the issuing CA within %g s", self._wait_s)
            raise _unusable(f"no signature within {self._wait_s:g} s") from None
        except KeyFault as fault:
            log.error("the issuing CA's key cannot be used: %s (%s)", fault, fault.advice)
            raise _unusable("a CA whose key does not sign") from fault

    def _done(self) -> None:
        self._waiting -= 1


def _unusable(came: str) -> RefusedError:
    return refuse(SessionCode.SIGNER_FAILED, came, "a signature of the issuing CA", retry_after_s=RETRY_S)
