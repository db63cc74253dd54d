"""TLS sessions to resume (RFC 8446 section 2.2), so that a key in a TPM signs once for many connections.

A context and the last session with each collector, as long as the identity stays the same. A session is the right to
speak as the sensor without its key: it is kept in memory only, never on disk, used once, and forgotten when the
identity is another one or the collector did not take us for who we are.

Rules of this file: no connection is made here and none fails for lack of a session; a collector that knows a session no
more gets a full handshake by itself. A context is kept only as long as there is a session with it, so that after a
failure the next handshake begins with the files, and with a TPM's key loaded anew.
"""

from __future__ import annotations

import ssl

from appliance.identity.folder import Identity, read_small


class Resumption:
    """Not thread-safe: it belongs to the one thread that makes the connections."""

    def __init__(self) -> None:
        self._identity = b""
        self._context: ssl.SSLContext | None = None
        self._sessions: dict[tuple[str, int], ssl.SSLSession] = {}

    def context(self, identity: Identity) -> ssl.SSLContext:
        """A context that speaks for this identity: the kept one while there is a session with it, else a new one.

        Raises:
            CertificateInvalidError: a file does not fit or is gone.
        """
        # The files and not what they say: a certificate renewed for the same key is another identity as well.
        read = read_small(identity.ca_path) + read_small(identity.certificate_path)
        if self._context is None or not self._sessions or read != self._identity:
            # Let go first: without a resource manager a TPM has three places for keys.
            self.forget()
            self._context, self._identity = identity.context(), read
            # A connection that a proxy cuts ends without close_notify, by which OpenSSL takes its session for spoilt
            # (seen with Python 3.13, which copies no sessions any more). So cuts pass for ends here, and
            # `HttpsConnection` takes no answer whose end only the end of the connection tells.
            self._context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF
        return self._context

    def take(self, host: str, port: int) -> ssl.SSLSession | None:
        """The session to resume with a collector, if there is one; it is for one connection only (RFC 8446, C.4)."""
        return self._sessions.pop((host, port), None)

    def keep(self, host: str, port: int, connection: ssl.SSLSocket) -> None:
        """Keep the session of a connection that has brought an answer: a ticket comes after the handshake."""
        session = connection.session
        if connection.context is self._context and session is not None and session.has_ticket:
            self._sessions[host, port] = session

    def forget(self) -> None:
        """Make the next connection a full one, with a context of its own."""
        self._sessions.clear()
        self._context = None
