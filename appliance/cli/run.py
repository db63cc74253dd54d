"""`vedette run`: the daemon.

Rules of this file: argument handling and the log's form; the work is `appliance.daemon`.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

from appliance.cli.options import EXIT_CODES, add_config_option, formatter, tell
from appliance.cli.reset import finish_reset
from appliance.cli.timely import time_source, trusted_pin
from appliance.clock import SystemClock
from appliance.config import load_base, load_config
from appliance.daemon import Daemon, identity_folder
from appliance.enroll.timekeeping import needs_system_time, working_clock
from appliance.health.watchdog import Notifier

EXAMPLES = """\
examples:
  vedette run --config /etc/vedette/vedette.toml
  systemctl reload vedette      # SIGHUP: read the rules again without losing a packet
"""


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "run",
        help="watch the wire and report to the collector",
        description="The daemon: capture, detect, spool, send, heartbeat. Tells systemd when it is ready and alive."
        " SIGHUP reads the rules again, SIGTERM drains and ends.",
        epilog=EXAMPLES + "\n" + EXIT_CODES,
        formatter_class=formatter,
    )
    add_config_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run until told to stop."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s")
    notifier = Notifier.from_environment()
    # First: a reset takes what a stick has set away, which is a layer of the configuration.
    finish_reset(load_base(args.config))
    config = load_config(args.config)
    folder = identity_folder(config)
    folder.keys.prepare(folder.key_path, Path(config.sensor.state_dir) / "run" / "openssl.cnf")
    source = time_source(config, trusted_pin(folder) or config.collector.ca_pin)
    clock = needs_system_time(working_clock(SystemClock(), source, tell))
    return Daemon(config, clock, notifier, lambda: load_config(args.config)).run()
