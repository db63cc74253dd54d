"""Where boxes ask for the time: anybody may, because the answer is no secret and proves itself.

Rules of this file: bytes in and out of the signed time's words. No quota of its own: an answer costs one signature, as
the handshake before it did, and no disk.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from appliance.wire.codes import SessionCode
from appliance.wire.fields import SessionError
from appliance.wire.signed_time import NONCE_HEADER, TIME_PATH, parse_nonce
from collector_client.ingest.body import json_answer
from collector_client.ingest.refuse import refuse
from collector_client.pki.time_signer import TimeSigner
from collector_client.store.clock import Clock


@dataclass(frozen=True, slots=True)
class Timekeeper:
    """Answers with the time; everything it needs is handed in."""

    signer: TimeSigner
    clock: Clock

    def routes(self) -> Mapping[str, tuple[str, Callable[[web.BaseRequest], Awaitable[web.Response]]]]:
        """Path to method and handler."""
        return {TIME_PATH: ("GET", self._time)}

    async def _time(self, request: web.BaseRequest) -> web.Response:
        try:
            nonce = parse_nonce(request.headers.get(NONCE_HEADER, ""))
        except SessionError as error:
            raise refuse(SessionCode.HEADER_INVALID, f"{error.what}: {error.came}", error.allowed) from error
        answer = json_answer(self.signer.sign(nonce, self.clock.wall_ns()).to_json())
        answer.headers["Cache-Control"] = "no-store"
        return answer
