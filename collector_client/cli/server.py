"""`vedette-collector init` and `serve`: make a collector, run it.

Rules of this file: argument handling and printing only.
"""

from __future__ import annotations

import argparse
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

from collector_client.app import serve
from collector_client.cli.options import add_command, add_directory, add_json, hint, print_json
from collector_client.config import load_config, mode_words, parse_listen
from collector_client.create import create_collector
from collector_client.errors import OperatorError
from collector_client.store.clock import SystemClock

DEFAULT_PORT = 443
_INIT = """\
  vedette-collector init /var/lib/vedette-collector --name collector.example.net
  vedette-collector init /var/lib/vedette-collector --name collector.example.net --production
  vedette-collector init demo-data --name 127.0.0.1 --port 8443
  vedette-collector init /var/lib/vedette-collector --name collector.example.net --root-offline /media/stick
"""
_SERVE = """\
  vedette-collector serve /var/lib/vedette-collector
  vedette-collector serve demo-data --ingest 127.0.0.1:8443 --page 127.0.0.1:8080
"""


def add(commands: Any) -> None:
    """Declare the commands."""
    init = add_command(commands, "init", "make a new collector: certificates, configuration, empty store", _INIT)
    add_directory(init)
    init.add_argument(
        "--name",
        metavar="HOST",
        action="append",
        default=[],
        help="DNS name or address that sensors reach the collector by; may be repeated"
        " (default: this host's name, localhost and the loopback addresses)",
    )
    init.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"port for sensors (default: {DEFAULT_PORT})")
    init.add_argument(
        "--production", action="store_true", help="refuse sensors whose key is in software (production = true)"
    )
    init.add_argument(
        "--root-offline",
        metavar="DIR",
        type=Path,
        help="put the root's key there, as on a memory stick, and not into the collector's folder",
    )
    add_json(init)
    init.set_defaults(run=run_init)
    run = add_command(
        commands,
        "serve",
        "run the collector until SIGTERM",
        _SERVE,
        description="Run the listener for sensors and the analyst's page. SIGTERM drains: requests in hand are"
        " answered.\nUnder systemd (Type=notify) it says when it is ready.",
    )
    add_directory(run)
    run.add_argument("--ingest", metavar="HOST:PORT", help="listen for sensors there (default: collector.toml)")
    run.add_argument("--page", metavar="HOST:PORT", help="serve the page there (default: collector.toml)")
    run.set_defaults(run=run_serve)


def run_init(args: argparse.Namespace) -> int:
    """Make the collector, print the pin and the next step."""
    if not 0 <= args.port <= 65_535:
        raise OperatorError(
            f"--port {args.port} came, 0 to 65535 was allowed", advice="sensors look for port 443 unless they are told"
        )
    names = args.name or [socket.gethostname(), "localhost", "127.0.0.1", "::1"]
    directory: Path = args.directory
    pin = create_collector(
        directory,
        names,
        f"0.0.0.0:{args.port}",
        SystemClock(),
        production=args.production,
        root_dir=args.root_offline,
    )
    if args.json:
        print_json(
            {
                "directory": str(directory),
                "ca_pin": pin,
                "names": names,
                "port": args.port,
                "production": args.production,
            }
        )
        return 0
    print(f"made a collector in {directory} for {', '.join(names)}, port {args.port}")
    print(f"CA pin: {pin}")
    print(f"mode:   {mode_words(args.production)}")
    if args.root_offline is not None:
        hint(
            f"the root's key is in {args.root_offline}: take it away, it is needed for `vedette-collector ca sign` only"
        )
    hint(f"next:  vedette-collector serve {directory}")
    hint(f"       vedette-collector token new {directory} --tenant TENANT --site SITE")
    return 0


def run_serve(args: argparse.Namespace) -> int:
    """Run until told to end."""
    config = load_config(args.directory)
    if args.ingest:
        _check_listen("--ingest", args.ingest)
        config = replace(config, ingest=replace(config.ingest, listen=args.ingest))
    if args.page:
        _check_listen("--page", args.page)
        config = replace(config, page=replace(config.page, listen=args.page))
    return serve(args.directory, config, lambda line: print(line, flush=True))


def _check_listen(option: str, text: str) -> None:
    try:
        parse_listen(text)
    except OperatorError as error:
        raise OperatorError(f"{option}: {error}", advice=error.advice) from error
