"""The supervisor's end of the link: octets of a port to words, and words to octets.

Rules of this file: it knows sessions and nothing of what words mean. Until a host has spoken in a new session the one
before stays in force, so a HELLO that is replayed changes nothing. One turn reads MOST_READ octets at most, so that no
flood keeps the supervisor from its work. Frames that are not the host's are silent and counted.
"""

from appliance.wire import mcu_link, mcu_words
from appliance.wire.mcu_link import LinkError

MOST_READ = 512
MOST_HELLOS = 4
"""In a turn: each costs two tags and a nonce."""


class Link:
    """A port with `read(count)` (octets or None) and `write(octets)`; `random(count)` gives nonces.

    `introduce(nonce, version)` gives the fields of WELCOME.
    """

    def __init__(self, port, random, introduce, pairing_key: bytes) -> None:  # type: ignore[no-untyped-def]
        self._port = port
        self._random = random
        self._introduce = introduce
        self._key = pairing_key
        self._reader = mcu_link.Reader()
        self._session = None  # type: mcu_link.Session | None
        self._next_session = None  # type: mcu_link.Session | None
        self.features = 0
        self._next_features = 0
        self.refused = 0

    @property
    def dropped(self) -> int:
        """Frames that were no frames, or not the host's."""
        return (self.refused + self._reader.dropped) & 0xFFFFFFFF

    @property
    def has_session(self) -> bool:
        """Whether a host has spoken."""
        return self._session is not None

    def change_key(self, pairing_key: bytes) -> None:
        """Sessions from the next HELLO on; the one in force goes on, so that what is under way can be answered."""
        self._key = pairing_key
        self._next_session = None

    def end(self) -> None:
        """The host has lost its power, and with it its session: nothing more is said to what starts there."""
        self._session = self._next_session = None

    def poll(self) -> "list[tuple[int, object]]":
        """The words that have come: `(kind, word)`; a kind that is not known has None for its word."""
        data = self._port.read(MOST_READ)
        words = []
        hellos = 0
        for frame in self._reader.feed(data) if data else ():
            opened = self._open(frame)
            if opened is not None:
                words.append(opened)
            elif hellos < MOST_HELLOS and self._welcome(frame):
                hellos += 1
            else:
                self.refused += 1
        return words

    def _open(self, frame: bytes) -> "tuple[int, object] | None":
        for session in (self._session, self._next_session):
            if session is None:
                continue
            try:
                kind, body = session.open(frame)
            except LinkError:
                continue
            if session is self._next_session:
                self._session, self._next_session = session, None
                self.features = self._next_features
            try:
                return kind, mcu_words.unpack(kind, body)
            except LinkError:
                return kind, None
        return None

    def _welcome(self, frame: bytes) -> bool:
        try:
            kind, _, body = mcu_link.unseal(self._key, frame)
            hello = mcu_words.unpack(kind, body)
        except LinkError:
            return False
        if not isinstance(hello, mcu_words.Hello):
            return False
        nonce = self._random(mcu_link.NONCE)
        version = mcu_words.version_in_common(hello.oldest, hello.newest)
        answer = mcu_words.pack(mcu_words.WELCOME, *self._introduce(nonce, version))
        if version:
            self._next_session = mcu_link.Session(self._key, hello.nonce, nonce, False)
            self._next_features = hello.features
        self._port.write(mcu_link.seal(self._key, mcu_words.WELCOME, 0, answer, hello.nonce))
        return True

    def send(self, kind: int, *values: "int | bytes") -> None:
        """Say a word in the session in force; nothing when there is none, or it has said all that it can."""
        if self._session is None:
            return
        try:
            self._port.write(self._session.seal(kind, mcu_words.pack(kind, *values)))
        except LinkError:
            self._session = None
