"""One bundle of this box, from the path of its configuration on: what both commands do.

Rules of this file: the configuration may be broken or gone; then its text is searched for secrets, and the state folder
is where it is by default.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from appliance.config import KEPT_NAME, Config, ConfigError, load_base
from appliance.support.bundle import Made, make_bundle
from appliance.support.pieces import box_pieces
from appliance.support.sanitise import Sanitiser, secrets_in

KEY_BYTES = 32
_MOST_BYTES = 256 * 1024


def bundle_of(
    config: Path,
    *,
    key: bytes,
    now: datetime,
    keep_addresses: bool = False,
    on_piece: Callable[[str], None] = lambda _: None,
) -> Made:
    """The bundle; `key` is 32 random octets that nobody keeps, `now` in UTC."""
    try:
        known = load_base(config)
    except ConfigError:
        known = Config()
    state_dir = Path(known.sensor.state_dir)
    texts = [_text(config), _text(state_dir / KEPT_NAME)]
    secrets = [secret for text in texts for secret in secrets_in(text)]
    secrets += [known.collector.token, known.collector.proxy]
    if known.collector.token_file:
        secrets.append(_text(Path(known.collector.token_file)).strip())
    return make_bundle(
        box_pieces(config, state_dir),
        Sanitiser(secrets, key, keep_addresses=keep_addresses),
        now=now,
        addresses="kept" if keep_addresses else "pseudonyms, the same within this bundle only",
        on_piece=on_piece,
    )


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES).decode("utf-8", errors="replace")
    except OSError:
        return ""
