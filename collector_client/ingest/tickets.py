"""How long a TLS ticket is good for: as long as the context that it was made with.

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


class TicketContexts:
    """One context after the other, each made by the same function."""

    def __init__(self, make: Callable[[], ssl.SSLContext]) -> None:
        """`make` may raise what it likes, here and in `renew`."""
        self._make = make
        self.in_use = make()

    def renew(self) -> None:
        """Use a new context for connections from now on; when none can be made, the old one stays."""
        self.in_use = self._make()
