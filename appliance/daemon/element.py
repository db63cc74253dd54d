"""The way to the secure element from any process of ours: by who has the port, or by the port.

Rules of this file: each call is made anew, and nothing is kept between two, so that a daemon that starts or ends
meanwhile does no harm. It waits no longer than the link does.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from appliance.clock import SystemClock
from appliance.config import Config
from appliance.daemon.control import CONTROL_SOCKET, order
from appliance.daemon.guard import supervisor_of
from appliance.errors import ApplianceError
from appliance.identity import ElementError, ElementMissingError, SoftKeyStore
from appliance.mcu import LinkElement, link_key
from appliance.mcu.element import serve
from appliance.wire import mcu_words as words

SETTLE_S = 6.0
"""Four greetings and a beat."""
NO_BEAT = (words.BOOTING, 0, 0)
"""Asks for the supervisor's status and says of nothing that it is alive."""


class ReachedElement:
    """A `SecureElement`."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._state_dir = Path(config.sensor.state_dir)

    def serial(self) -> bytes:
        """See `SecureElement.serial`."""
        return self._must("serial")

    def public_key(self) -> bytes | None:
        """See `SecureElement.public_key`."""
        return self._call("public-key")

    def make_key(self) -> bytes:
        """See `SecureElement.make_key`."""
        return self._must("make-key")

    def sign(self, digest: bytes) -> bytes:
        """See `SecureElement.sign`."""
        return self._must("sign", digest)

    def _must(self, call: str, data: bytes = b"") -> bytes:
        came = self._call(call, data)
        if came is None:
            raise ElementMissingError(f"secure element: nothing came for {call}")
        return came

    def _call(self, call: str, data: bytes = b"") -> bytes | None:
        socket = self._state_dir / "run" / CONTROL_SOCKET
        try:
            done = order(socket, {"do": "element", "call": call, "data": data.hex()})
            if done is None:
                return self._by_the_port(call, data)
            came = done.get("data")
            return None if came is None else bytes.fromhex(came)
        except ElementError:
            raise
        except ApplianceError as error:
            raise ElementMissingError(f"secure element: {error}", advice=error.advice) from error
        except (ValueError, TypeError) as error:
            raise ElementMissingError(f"{socket}: an answer came that does not read") from error

    def _by_the_port(self, call: str, data: bytes) -> bytes | None:
        config = self._config
        if not config.supervisor.port:
            raise ElementMissingError(
                "secure element: [supervisor] port: none came", advice="name the serial port of the supervisor's board"
            )
        # The element cannot guard the key of the link that leads to it: that is a file.
        key = link_key(SoftKeyStore(), self._state_dir)
        supervisor = supervisor_of(config, lambda: key, SystemClock(), lambda: NO_BEAT)
        supervisor.open()
        with closing(supervisor):
            status = supervisor.settle(SETTLE_S)
            if not status.is_up:
                raise ElementMissingError(
                    f"secure element: supervisor: {status.state}: {status.says}", advice="vedette supervisor info"
                )
            return serve(LinkElement(supervisor.ask_here), call, data)
