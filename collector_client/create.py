"""A new collector in a folder: keys, certificates, configuration, empty store.

Rules of this file: nothing that exists is ever overwritten. What can fail because of the operator's words is tried
before anything is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from collector_client.config import CONFIG_NAME, write_config
from collector_client.errors import EnvironmentFault, OperatorError
from collector_client.pki import PKI_NAME, Authority
from collector_client.store import Control
from collector_client.store.clock import Clock
from collector_client.store.connect import CONTROL_NAME


def create_collector(
    directory: Path,
    names: Sequence[str],
    listen: str,
    clock: Clock,
    *,
    production: bool = False,
    root_dir: Path | None = None,
) -> str:
    """Make a collector; in production it takes keys in hardware only; with `root_dir`, the root's key goes there and
    never into the collector's folder.

    Returns:
        The CA pin that sensors need.

    Raises:
        OperatorError: there is a collector already, or a name cannot be in a certificate.
        EnvironmentFault: the disk or its permissions refuse.
        StoreError: the store cannot be made.
    """
    if directory.exists() and not directory.is_dir():
        raise OperatorError(f"{directory}: a file came, a folder was allowed", advice="name another folder")
    found = [name for name in (CONFIG_NAME, CONTROL_NAME, PKI_NAME) if (directory / name).exists()]
    if found:
        raise OperatorError(
            f"{directory}: a collector is there already ({', '.join(found)})",
            advice="name another folder; nothing was changed",
        )
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentFault(
            f"{directory}: {error.strerror or error}", advice="name a folder in a place where this account may write"
        ) from error
    authority = Authority.create(directory / PKI_NAME, names, clock.wall_ns(), root_dir=root_dir)
    Control.create(directory).close()
    write_config(directory, names=tuple(names), listen=listen, production=production)
    return authority.pin
