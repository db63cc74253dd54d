"""Bodies as they travel: read within bounds of size and time, and answered in the forms that the interface speaks.

Rules of this file: a body is never read beyond its limit and never longer than the timeout, whatever its
Content-Length says. No rule about what a body means.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from appliance.wire.codes import SessionCode
from appliance.wire.enrollment import encode_base64
from collector_client.ingest.refuse import refuse


def check_length(request: web.BaseRequest, max_bytes: int) -> None:
    """Look at what is announced, before anything is read.

    Raises:
        RefusedError: the body is announced as larger than `max_bytes`.
    """
    length = request.content_length
    if length is not None and length > max_bytes:
        raise refuse(SessionCode.BODY_TOO_LARGE, f"{length} bytes", f"at most {max_bytes}")


async def read_body(request: web.BaseRequest, max_bytes: int, timeout_s: float) -> bytes:
    """The body, at most `max_bytes`, whole within `timeout_s`.

    Raises:
        RefusedError: it is larger, or takes longer.
    """
    pieces: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(timeout_s):
            async for piece in request.content.iter_any():
                size += len(piece)
                if size > max_bytes:
                    raise refuse(SessionCode.BODY_TOO_LARGE, f"more than {max_bytes} bytes", f"at most {max_bytes}")
                pieces.append(piece)
    except TimeoutError:
        allowed = f"the whole body within {timeout_s:g} s"
        raise refuse(SessionCode.BODY_TOO_SLOW, f"{size} bytes in that time", allowed) from None
    return b"".join(pieces)


def json_answer(body: bytes) -> web.Response:
    """An answer of the session."""
    return web.Response(body=body, content_type="application/json")


def est_answer(der: bytes, media_type: str) -> web.Response:
    """An answer of EST (RFC 7030 section 4): base64 of DER."""
    headers = {"Content-Type": media_type, "Content-Transfer-Encoding": "base64"}
    return web.Response(body=encode_base64(der), headers=headers)
