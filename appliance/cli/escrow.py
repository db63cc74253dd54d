"""`vedette escrow`: hands the key that opens the box's disk over to its collector.

Rules of this file: argument handling and telling. The file goes when the collector has the key, and not before; the key
itself is never printed.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from appliance.cli.options import EXIT_CODES, add_config_option, formatter, tell
from appliance.clock import SystemClock
from appliance.config import load_config
from appliance.daemon import identity_folder
from appliance.errors import EnvironmentFault, OperatorError
from appliance.identity import CollectorUrl, LinkError, Proxy
from appliance.uplink import Transport
from appliance.wire.fields import SessionError
from appliance.wire.recovery import MAX_RECOVERY_BYTES, RecoveryKey
from appliance.wire.session import Refusal

EXAMPLES = """\
examples:
  vedette escrow /var/lib/vedette-recovery/var    # what the image does once, after the box has enrolled
"""


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "escrow",
        help="hand this box's recovery key over to the collector",
        description="Send the recovery key in FILE to the collector, whose operator sees it once (vedette-collector"
        " recovery-key),\nand empty FILE. Nothing is left to do when FILE is empty or not there.",
        epilog=EXAMPLES + "\n" + EXIT_CODES,
        formatter_class=formatter,
    )
    add_config_option(parser)
    parser.add_argument("file", metavar="FILE", type=Path, help="its name is the volume's; the key is its first line")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Send it and empty the file."""
    try:
        text = args.file.read_bytes()[:MAX_RECOVERY_BYTES].decode("ascii", errors="replace").strip()
    except FileNotFoundError:
        text = ""
    except OSError as error:
        raise EnvironmentFault(f"{args.file}: {error.strerror or error}", advice="check its owner") from error
    if not text:
        tell(f"{args.file}: nothing is to be handed over")
        return 0
    key = RecoveryKey(args.file.name, text)
    try:
        key.to_json()
    except SessionError as error:
        raise OperatorError(f"{args.file}: {error}", advice="make one: systemd-cryptenroll --recovery-key") from error
    _send(args.config, key)
    try:
        # Emptied, not removed: the folder belongs to root. What was there lies on the disk that it opens.
        args.file.write_bytes(b"")
    except OSError as error:
        raise EnvironmentFault(f"{args.file}: {error.strerror or error}", advice="check its owner") from error
    print("the collector keeps the recovery key until its operator has seen it")
    return 0


def _send(config_path: Path, key: RecoveryKey) -> None:
    config = load_config(config_path)
    section = config.collector
    folder = identity_folder(config)
    # With a key in a TPM this starts the process again; nothing was done yet.
    folder.keys.prepare(folder.key_path, Path(config.sensor.state_dir) / "run" / "openssl.cnf")
    transport = Transport(
        [CollectorUrl.parse(url) for url in section.urls],
        folder.load,
        clock=SystemClock(),
        proxy=Proxy.parse(section.proxy) if section.proxy else None,
        timeout_s=section.timeout_s,
    )
    last: LinkError | None = None
    for _ in range(transport.addresses):
        try:
            refusal = transport.send_recovery_key(key)
        except LinkError as error:
            last = error
            transport.use_next_address()
            continue
        finally:
            transport.close()
        if isinstance(refusal, Refusal):
            raise OperatorError(f"{transport.url}: {refusal.code}: {refusal.came}", advice=refusal.do)
        return
    if last is not None:
        raise last
