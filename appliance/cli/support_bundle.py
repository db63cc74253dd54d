"""`vedette support-bundle`: one file for whoever is asked for help.

Rules of this file: argument handling and telling; the work is `appliance.support`.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from appliance.cli.options import EXIT_CODES, add_config_option, formatter, tell
from appliance.support import KEY_BYTES, bundle_of, write_bundle

DESCRIPTION = """\
Collect what support needs into one .tar.gz of at most 20 MB: versions, status, doctor, configuration, logs, failed
units, disk, memory, network, slots, certificates. Secrets are masked; alerts, payloads and keys are not taken;
addresses become pseudonyms that are the same within the bundle. What cannot be had is named in its manifest.json.
Nothing is changed. Look into it before you send it. As root it sees all logs."""
EXAMPLES = """\
examples:
  vedette support-bundle
  vedette support-bundle --output /media/stick --keep-addresses
  vedette support-bundle --output - | ssh me@example.net 'cat > bundle.tar.gz'
  python3 -m appliance.support                 # when vedette itself does not start
"""


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "support-bundle",
        help="collect what support needs, without secrets",
        description=DESCRIPTION,
        epilog=EXAMPLES + "\n" + EXIT_CODES,
        formatter_class=formatter,
    )
    add_config_option(parser)
    parser.add_argument(
        "--output", metavar="FILE", type=Path, default=Path(), help="file or folder; - is standard output (default: .)"
    )
    parser.add_argument("--keep-addresses", action="store_true", help="leave IP and MAC addresses as they are")
    parser.add_argument("--json", action="store_true", help="print one JSON object about the bundle")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make it, and say where it is and what is missing."""
    made = bundle_of(
        args.config,
        key=secrets.token_bytes(KEY_BYTES),
        now=datetime.now(UTC),
        keep_addresses=args.keep_addresses,
        on_piece=lambda name: tell(f"collecting {name}"),
    )
    if args.output == Path("-"):
        sys.stdout.buffer.write(made.data)
        return 0
    path = write_bundle(made, args.output)
    if args.json:
        told = {
            "file": str(path),
            "size_bytes": len(made.data),
            "sha256": made.sha256,
            "pieces": made.pieces,
            "missing": [{"name": name, "reason": reason} for name, reason in made.missing],
        }
        print(json.dumps(told, indent=1))
        return 0
    for name, reason in made.missing:
        tell(f"not whole: {name}: {reason}")
    print(f"{path}  {len(made.data)} bytes, {made.pieces} pieces\nsha256 {made.sha256}")
    return 0
