"""How a command reaches the supervisor where no daemon has its port.

Rules of this file: no command lives here. It opens, greets, and says by name why nobody listens.
"""

from __future__ import annotations

import sys
from pathlib import Path

from appliance.clock import SystemClock
from appliance.config import Config
from appliance.daemon import identity_folder
from appliance.daemon.guard import supervisor_of
from appliance.errors import OperatorError
from appliance.identity import KeyStore
from appliance.mcu import NoAnswerError, Supervisor, SupervisorStatus, link_key
from appliance.wire import mcu_words as words

SETTLE_S = 6.0
"""Four greetings and a beat."""
NO_BEAT = (words.BOOTING, 0, 0)
"""Asks for the supervisor's status and says of nothing that it is alive."""


def state_dir(config: Config) -> Path:
    """Where a key in a file is."""
    return Path(config.sensor.state_dir)


def keys_of(config: Config) -> KeyStore:
    """The store that the link's key is as safe as.

    Raises:
        TpmMissingError: a TPM is asked for and there is no library to speak to it.
    """
    return identity_folder(config).keys


def greeted(
    config: Config, key: bytes | None, beat: tuple[int, int, int] = NO_BEAT
) -> tuple[Supervisor, SupervisorStatus]:
    """Open the port and greet with this key; who is there, if anybody. The caller closes.

    Raises:
        OperatorError: no port is configured.
        PortError: the port cannot be used; among others because a daemon or a terminal program has it.
    """
    if not config.supervisor.port:
        raise OperatorError("[supervisor] port: none came", advice="name the serial port of the supervisor's board")
    supervisor = supervisor_of(config, lambda: key, SystemClock(), lambda: beat)
    supervisor.open()
    return supervisor, supervisor.settle(SETTLE_S)


def asked(config: Config, beat: tuple[int, int, int] = NO_BEAT) -> SupervisorStatus:
    """Who is there, by this box's key, and what they say to one beat.

    Raises:
        PortError, OperatorError: as `greeted`.
        KeyFileError: the key cannot be used.
    """
    supervisor, status = greeted(config, link_key(keys_of(config), state_dir(config)), beat)
    supervisor.close()
    return status


def listening(config: Config) -> tuple[Supervisor, SupervisorStatus]:
    """A supervisor that takes orders; the caller closes.

    Raises:
        NoAnswerError: none does.
        PortError, OperatorError, KeyFileError: as `asked`.
    """
    supervisor, status = greeted(config, link_key(keys_of(config), state_dir(config)))
    if not status.is_up:
        supervisor.close()
        raise NoAnswerError(f"supervisor: {status.state}: {status.says}", advice="vedette supervisor info")
    return supervisor, status


def progress(at: int, of: int) -> None:
    """How far a long order is, on one line of a terminal."""
    if sys.stderr.isatty():
        end = "\n" if at == of else ""
        print(f"\r{at * 100 // of:3} %  {at} of {of} bytes", end=end, file=sys.stderr, flush=True)
