"""The TLS context of the listener: one object for asyncio, with the context in use inside, which can be replaced.

A ticket (RFC 8446 section 4.6.1) resumes a session without the client's certificate being verified again. OpenSSL makes
a context's ticket keys at random and keeps them in memory; its tickets are good for two hours, each resumption brings a
new one, and Python can change neither. So the context is made anew each `TICKETS_S`: every ticket from before is worth
nothing then, and a chain of resumptions ends. The same happens with other trust and at a restart.

Rules of this file: a ticket never outlives the context that it was made with. Open connections stay as they are.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable

TICKETS_S = 3600.0
"""How long a sensor may come back without proving its key again; its TPM has one signature to make in that time."""


class ListeningContext(ssl.SSLContext):
    """Made from a function that makes the context in use."""

    def __new__(cls, *_: object) -> ListeningContext:
        """An `SSLContext` because asyncio takes nothing else; its own settings are never used."""
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def __init__(self, make: Callable[[], ssl.SSLContext]) -> None:
        """`make` may raise what it likes, here and in `renew`."""
        self._make = make
        self._in_use = make()

    def renew(self) -> None:
        """Use a new context for connections from now on; when none can be made, the old one stays."""
        self._in_use = self._make()

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """What asyncio calls for each connection."""
        return self._in_use.wrap_bio(incoming, outgoing, server_side, server_hostname, session)
