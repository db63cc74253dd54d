"""`python3 -m appliance.support [CONFIG [TARGET]]`: a bundle of a box on which `vedette` itself does not start.

Rules of this file: it loads neither the engine nor the TPM's libraries. Everything else is as with
`vedette support-bundle`.
"""

from __future__ import annotations

import secrets
import sys
from datetime import UTC, datetime
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.support.bundle import write_bundle
from appliance.support.order import KEY_BYTES, bundle_of


def main(argv: list[str]) -> int:
    """Make it; returns the exit code."""
    config, target = [*argv, *["/etc/vedette/vedette.toml", "."][len(argv) :]][:2]
    try:
        made = bundle_of(Path(config), key=secrets.token_bytes(KEY_BYTES), now=datetime.now(UTC))
        print(write_bundle(made, Path(target)))
    except ApplianceError as error:
        print(f"vedette: {error}\n         {error.advice}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
