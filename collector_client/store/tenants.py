"""Tenants (the provider's customers) and their sites. A tenant's name is unique, a site's in its tenant."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple


class Site(NamedTuple):
    """A site with its tenant."""

    site_id: int
    tenant_id: int
    tenant: str
    site: str


def ensure_site(connection: sqlite3.Connection, tenant: str, site: str, now_ns: int) -> Site:
    """The site of that name; it and its tenant are made where they are new."""
    connection.execute("INSERT OR IGNORE INTO tenants (name, created_ns) VALUES (?, ?)", (tenant, now_ns))
    (tenant_id,) = connection.execute("SELECT tenant_id FROM tenants WHERE name = ?", (tenant,)).fetchone()
    connection.execute(
        "INSERT OR IGNORE INTO sites (tenant_id, name, created_ns) VALUES (?, ?, ?)", (tenant_id, site, now_ns)
    )
    (site_id,) = connection.execute(
        "SELECT site_id FROM sites WHERE tenant_id = ? AND name = ?", (tenant_id, site)
    ).fetchone()
    return Site(site_id, tenant_id, tenant, site)


def list_sites(connection: sqlite3.Connection) -> list[Site]:
    """Every site, by tenant and name."""
    rows = connection.execute(
        "SELECT site_id, tenant_id, tenants.name, sites.name FROM sites JOIN tenants USING (tenant_id)"
        " ORDER BY tenants.name, sites.name"
    )
    return [Site(*row) for row in rows]
