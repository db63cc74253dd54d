"""`vedette-collector ca ...`: the certificate authorities, on the collector and on the machine that has the root's key.

Rules of this file: argument handling and printing only. Every change is an audit row; `sign` and `new-root` need no
collector and write none.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, cast

from cryptography import x509

from collector_client.cli.options import (
    add_command,
    add_directory,
    add_json,
    formatter,
    hint,
    print_json,
    print_table,
)
from collector_client.config import key_places, load_config
from collector_client.errors import OperatorError
from collector_client.pki import PKI_NAME, rollover
from collector_client.pki.files import load_certificates, pem_of, read, write
from collector_client.pki.overview import Line, overview
from collector_client.pki.register import Entry, KeyPlace
from collector_client.store import Control, audit, keys
from collector_client.store.clock import SystemClock

_SHOW = """\
  vedette-collector ca show /var/lib/vedette-collector
  vedette-collector ca show --json | jq -r '.authorities[] | select(.state == "issuing") | .not_after'
"""
_REQUEST = """\
  vedette-collector ca request /var/lib/vedette-collector --out issuing-2.csr
  vedette-collector ca request /var/lib/vedette-collector --key-id vedette-issuing-2026
"""
_SIGN = "  vedette-collector ca sign issuing-2.csr --root-dir /media/stick --out issuing-2.pem\n"
_NEW_ROOT = "  vedette-collector ca new-root --root-dir /media/stick --new-dir /media/new-stick/root\n"
_INSTALL = """\
  vedette-collector ca install /var/lib/vedette-collector issuing-2.pem
  vedette-collector ca install /var/lib/vedette-collector root.pem issuing-3.pem
"""
_RETIRE = "  vedette-collector ca retire /var/lib/vedette-collector issuing\n"
_EXPORT = "  vedette-collector ca export-root /var/lib/vedette-collector /media/stick\n"


def add(commands: Any) -> None:
    """Declare the commands."""
    group = commands.add_parser(
        "ca", help="the certificate authorities: roll-over, offline root", description="The certificate authorities.",
        formatter_class=formatter,
    )  # fmt: skip
    actions = group.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = add_command(actions, "show", "list roots and issuing CAs, and how many sensors hang from each", _SHOW)
    add_directory(show, optional=True)
    add_json(show)
    show.set_defaults(run=run_show)
    ask = add_command(
        actions,
        "request",
        "make the next issuing CA's key, and a request that the root is to sign",
        _REQUEST,
        description="Make the next issuing CA's key where [ca] issuing_key says, and a request for its certificate."
        " The present CA\ngoes on signing until `ca install`.",
    )
    add_directory(ask)
    ask.add_argument("--out", metavar="FILE", type=Path, help="also write the request there (default: only into pki/)")
    ask.add_argument(
        "--key-id", metavar="ID", default="", help="the key's label in the token, or its name at the command"
    )
    ask.set_defaults(run=run_request)
    sign = add_command(actions, "sign", "sign an issuing CA's request, on the machine that has the root's key", _SIGN)
    sign.add_argument("request", metavar="REQUEST", type=Path, help="what `ca request` wrote")
    _add_root(sign)
    sign.add_argument("--out", metavar="FILE", type=Path, required=True, help="the certificate, a new file")
    sign.set_defaults(run=run_sign)
    renew = add_command(
        actions, "new-root", "make a successor root that the present root vouches for, on its machine", _NEW_ROOT
    )
    _add_root(renew)
    renew.add_argument("--new-dir", metavar="DIR", type=Path, required=True, help="a new folder for the new root")
    renew.set_defaults(run=run_new_root)
    install = add_command(
        actions,
        "install",
        "take up a signed issuing CA, or a successor root",
        _INSTALL,
        description="A requested issuing CA takes over signing; the one before stays trusted. A successor root is"
        " trusted beside\nthe old one, and sensors are told of it at their next renewal. `serve` follows within"
        " seconds.",
    )
    add_directory(install)
    install.add_argument("files", metavar="FILE", type=Path, nargs="+", help="what `ca sign` or `ca new-root` wrote")
    install.set_defaults(run=run_install)
    retire = add_command(
        actions,
        "retire",
        "take nothing any more of what hangs from a CA",
        _RETIRE,
        description="Refused while sensors hang from it (`ca show` counts them); --force retires it all the same, as"
        " when its key\nwas stolen: these sensors are told to renew, and do so by the key that they have.",
    )
    add_directory(retire)
    retire.add_argument("name", metavar="NAME", help="as `ca show` lists it")
    retire.add_argument("--force", action="store_true", help="although sensors hang from it")
    retire.set_defaults(run=run_retire)
    export = add_command(actions, "export-root", "move the root's key away from the collector", _EXPORT)
    add_directory(export)
    export.add_argument(
        "target", metavar="TARGET", type=Path, help="a folder that only its owner can read, as on a stick"
    )
    export.set_defaults(run=run_export)


def _add_root(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root-dir", metavar="DIR", type=Path, required=True, help="where root.key and root.pem are")


def _lines(directory: Path) -> list[Line]:
    now_ns = SystemClock().wall_ns()
    load_config(directory)  # a folder that is no collector is refused by name
    with closing(Control.open(directory)) as control, control.reading() as connection:
        in_use = keys.certificates_in_use(connection, now_ns)
    return overview(directory / PKI_NAME, in_use, now_ns)


def run_show(args: argparse.Namespace) -> int:
    """Print all authorities."""
    lines = _lines(args.directory)
    if args.json:
        print_json({"authorities": lines})
        return 0
    print_table(
        ("name", "state", "key", "valid to", "days", "sensors", "under", "pin"),
        (
            (
                line.name, line.state, line.key, line.not_after[:10], line.days_left, line.sensors, line.under,
                line.pin if line.kind == "root" else None,
            )
            for line in lines
        ),
    )  # fmt: skip
    for line in lines:
        for warning in line.warnings:
            hint(f"warning: {warning}")
    return 0


def run_request(args: argparse.Namespace) -> int:
    """Make key and request, say what comes next."""
    config = load_config(args.directory)
    place = cast("KeyPlace", config.ca.issuing_key)
    with _changing(args.directory, "request CA") as done:
        entry, request = rollover.request(
            args.directory / PKI_NAME, place, args.key_id, key_places(config.ca, os.environ)
        )
        done.append((entry.name, f"key in {entry.key} {entry.key_id}".strip()))
    if args.out is not None:
        write(args.out, request, fresh_only=True)
    path = args.out or args.directory / PKI_NAME / f"{entry.name}.csr"
    print(f"{entry.name}: key made ({entry.key} {entry.key_id}".rstrip() + f"), request in {path}")
    hint(f"next, where the root's key is:  vedette-collector ca sign {path} --root-dir DIR --out {entry.name}.pem")
    return 0


def run_sign(args: argparse.Namespace) -> int:
    """Sign; no collector is needed."""
    made = rollover.sign(args.root_dir, read(args.request, private=False), SystemClock().wall_ns())
    write(args.out, pem_of(made), fresh_only=True)
    print(f"signed {made.subject.rfc4514_string()}, valid to {made.not_valid_after_utc:%Y-%m-%d}: {args.out}")
    hint(f"next, on the collector:  vedette-collector ca install DIR {args.out.name}")
    return 0


def run_new_root(args: argparse.Namespace) -> int:
    """Make the successor; no collector is needed."""
    made, _ = rollover.new_root(args.root_dir, args.new_dir, SystemClock().wall_ns())
    print(f"made a root valid to {made.not_valid_after_utc:%Y-%m-%d} in {args.new_dir}; the old root vouches for it")
    hint(f"next, on the collector:  vedette-collector ca install DIR {args.new_dir}/root.pem (never its root.key)")
    hint(f"then `ca request` there, and here:  vedette-collector ca sign REQUEST --root-dir {args.new_dir} --out FILE")
    return 0


def run_install(args: argparse.Namespace) -> int:
    """Take up, say what comes next."""
    load_config(args.directory)
    certificates: list[x509.Certificate] = []
    for path in args.files:
        certificates += load_certificates(path, private=False)
    with _changing(args.directory, "install CA") as done:
        added = rollover.install(args.directory / PKI_NAME, certificates, SystemClock().wall_ns())
        done.extend((entry.name, entry.state) for entry in added)
    for entry in added:
        print(f"{entry.name}: {entry.state}")
    if not added:
        print("all of it was there; nothing was changed")
    hint("sensors follow at their next renewal; see how many have:  vedette-collector ca show")
    return 0


def run_retire(args: argparse.Namespace) -> int:
    """Retire, unless sensors hang from it."""
    line = next((one for one in _lines(args.directory) if one.name == args.name), None)
    if line is not None and line.sensors and not args.force:
        raise OperatorError(
            f"{line.sensors} sensors hang from {args.name}, none was allowed",
            advice="wait for their renewal (`ca show` counts them), or --force: they are refused until they renew",
        )
    with _changing(args.directory, "retire CA") as done:
        entry: Entry = rollover.retire(args.directory / PKI_NAME, args.name)
        done.append((entry.name, f"{line.sensors if line else 0} sensors hung from it"))
    print(f"{entry.name}: {entry.state}")
    return 0


def run_export(args: argparse.Namespace) -> int:
    """Move the key."""
    load_config(args.directory)
    with _changing(args.directory, "export root") as done:
        rollover.export_root(args.directory / PKI_NAME, args.target)
        done.append(("root", "root.key left the collector"))
    print(f"root.key is in {args.target} and no longer in {args.directory / PKI_NAME}")
    hint("backups made before hold it still")
    return 0


@contextmanager
def _changing(directory: Path, action: str) -> Iterator[list[tuple[str, str]]]:
    """The lock, and an audit row for each (subject, detail) that the body lists."""
    done: list[tuple[str, str]] = []
    with rollover.changing(directory / PKI_NAME), closing(Control.open(directory)) as control:
        yield done
        with control.transaction() as connection:
            for subject, detail in done:
                audit.record(connection, SystemClock().wall_ns(), "operator", action, subject, detail)
