"""`vedette enroll`: from a one-time token and a pin to a certificate, or from a certificate to the next one.

Rules of this file: argument handling, the token's source, and telling the steps; the work is `appliance.enroll`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from appliance.cli.options import EXIT_CODES, add_config_option, formatter, tell
from appliance.cli.reset import finish_reset
from appliance.cli.timely import time_source
from appliance.clock import SystemClock
from appliance.config import Config, load_base, load_config
from appliance.daemon import identity_folder
from appliance.enroll import EnrollmentPlan, RenewalPlan, renew
from appliance.enroll.in_time import enroll_in_time
from appliance.errors import EnvironmentFault, OperatorError
from appliance.identity import IdentityFolder, SensorCertificate

EXAMPLES = """\
examples:
  vedette enroll --config /etc/vedette/vedette.toml
  vedette enroll --config /etc/vedette/vedette.toml --json
  vedette enroll --show-ek      # for the provider: vedette-collector token new --ek
  vedette enroll --renew        # a new key and certificate now; the daemon does that by itself in time
"""

MAX_TOKEN_BYTES = 4096


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "enroll",
        help="get this sensor's certificate from the collector",
        description="Make a key, check the collector against its pin, and exchange the one-time token for a"
        " certificate. May be repeated: what is done stays done.\nWith --renew: a new key and certificate, vouched for"
        " by the present ones; a certificate that is out of date\nrenews for as long as the collector allows.",
        epilog=EXAMPLES + "\n" + EXIT_CODES,
        formatter_class=formatter,
    )
    add_config_option(parser)
    parser.add_argument("--renew", action="store_true", help="renew key and certificate now")
    parser.add_argument("--show-ek", action="store_true", help="print the digest that the TPM is known by; no change")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Enroll, or find that we are enrolled; or renew."""
    base = load_base(args.config)
    if args.show_ek:
        return show_ek(identity_folder(base), args)
    # First: a reset takes what a stick has set away, which is a layer of the configuration.
    finish_reset(base)
    config = load_config(args.config)
    clock = SystemClock()
    folder = identity_folder(config)
    if args.renew:
        folder.keys.prepare(folder.key_path, Path(config.sensor.state_dir) / "run" / "openssl.cnf")
        section = config.collector
        renewal = RenewalPlan.parse(urls=section.urls, proxy=section.proxy, timeout_s=section.timeout_s)
        tell_identity(renew(renewal, folder, clock, on_step=tell), "renewed", args, {"renewed": True})
        return 0
    plan = EnrollmentPlan.parse(
        urls=config.collector.urls,
        ca_pin=config.collector.ca_pin,
        token=enrollment_token(config),
        proxy=config.collector.proxy,
        timeout_s=config.collector.timeout_s,
    )
    done = enroll_in_time(plan, folder, clock, time_source(config, plan.pin), on_step=tell)
    if config.collector.token_file:
        wipe(Path(config.collector.token_file))
    tell_identity(
        done.certificate, "already enrolled" if done.already else "enrolled", args, {"already": done.already}
    )  # fmt: skip
    if not args.json:
        tell(f"next: vedette run --config {args.config}")
    return 0


def show_ek(folder: IdentityFolder, args: argparse.Namespace) -> int:
    """What a collector knows this box's TPM by."""
    digest = folder.keys.ek_sha256().hex()
    if not digest:
        raise OperatorError(
            f'[identity] key_store = "{folder.keys.assurance}" came, "tpm" was allowed',
            advice="a token is bound to a TPM, or to the key in a secure element: vedette supervisor element",
        )
    print(json.dumps({"ek_sha256": digest}) if args.json else digest)
    return 0


def tell_identity(
    certificate: SensorCertificate, verb: str, args: argparse.Namespace, more: dict[str, bool]
) -> None:  # fmt: skip
    """Who we are now, for a person or a program."""
    if args.json:
        print(json.dumps({"sensor_id": certificate.sensor_id, "assurance": certificate.assurance, **more}))
    else:
        print(f"{verb} as {certificate.sensor_id} (assurance: {certificate.assurance})")


def enrollment_token(config: Config) -> str:
    """The token from the configuration, or from the file it names.

    Raises:
        OperatorError: there is none, or the file cannot be read.
    """
    if config.collector.token:
        return config.collector.token
    if not config.collector.token_file:
        raise OperatorError(
            "no enrollment token came; [collector] token or token_file was allowed",
            advice="The provider makes one: vedette-collector token new DIR --tenant TENANT --site SITE",
        )
    path = Path(config.collector.token_file)
    try:
        with path.open("rb") as file:
            return file.read(MAX_TOKEN_BYTES).decode("ascii", errors="replace").strip()
    except OSError as error:
        raise OperatorError(f"[collector] token_file: {path}: {error.strerror}") from error


def wipe(path: Path) -> None:
    """Overwrite and remove a token that has been used.

    Raises:
        EnvironmentFault: it could not be removed; it is worth nothing any more, but should not lie about.
    """
    try:
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.write(b"\0" * size)
        path.unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        raise EnvironmentFault(f"{path}: the used token could not be removed: {error.strerror}") from error
