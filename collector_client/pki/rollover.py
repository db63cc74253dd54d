"""What becomes of authorities: a new issuing CA, a new root, the end of an old one.

    where                    what
    collector    request     a new issuing key and a request for it
    root's       sign        the root signs the request; needs its folder only, no collector
    root's       new_root    a successor root, and the old root's word for it
    collector    install     takes up a signed issuing CA, or a successor root
    collector    retire      nothing that hangs from it is taken any more
    collector    export_root root.key leaves the collector

Rules of this file: certificates first, the register last, which is the one step at which a change comes about; a step
that broke off can be typed again. Who runs these holds `changing`. The register's states decide, nothing else.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from collector_client.errors import OperatorError
from collector_client.pki import profile
from collector_client.pki.chains import MAX_TOLD, Chains, is_ca, issued, load_chains, load_register
from collector_client.pki.csr import CsrError, read_csr_der
from collector_client.pki.files import (
    fault,
    key_pem,
    load_certificate,
    load_certificates,
    load_key,
    make_folder,
    new_key,
    pem_of,
    read,
    remove,
    write,
)
from collector_client.pki.keys import KeyPlaces, make_key
from collector_client.pki.register import REGISTER_NAME, Entry, KeyPlace, Register, parse_key_id

ROOT_KEY, ROOT_PEM = "root.key", "root.pem"


@contextlib.contextmanager
def changing(folder: Path) -> Iterator[None]:
    """Hold the lock of those who change the register.

    Raises:
        OperatorError: another process holds it.
        EnvironmentFault: the disk or its permissions refuse.
    """
    path = folder / "ca.lock"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise fault(path, error) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OperatorError(f"{folder}: another `vedette-collector ca` is at work", advice="wait for it") from error
        yield
    finally:
        os.close(descriptor)


def request(folder: Path, place: KeyPlace, key_id: str, places: KeyPlaces) -> tuple[Entry, bytes]:
    """Make the next issuing CA's key, and a certificate request (PEM) for its root.

    A request that waits already is made again, with the key that it has.

    Raises:
        OperatorError: the place is not configured.
        KeyFault: the place does not answer, or refuses.
        EnvironmentFault: the disk or its permissions refuse.
    """
    register = load_register(folder)
    waiting = next((one for one in register.entries if one.state == "requested"), None)
    if waiting is not None and waiting.key != place:
        raise OperatorError(
            f"{waiting.name} is requested already, with a key in {waiting.key}",
            advice=f"ca retire {waiting.name}, then again",
        )
    entry = waiting or _next(register, place, key_id)
    key: ec.EllipticCurvePrivateKey
    if entry.key == "file" and (folder / f"{entry.name}.key").exists():
        key = load_key(folder / f"{entry.name}.key")
    else:
        key = make_key(folder, entry, places)
    signed = profile.make_request(key).public_bytes(Encoding.PEM)
    _check_unused(load_chains(folder), key.public_key())
    write(folder / f"{entry.name}.csr", signed)
    if waiting is None:
        _write_register(folder, register.add(entry))
    return entry, signed


def _next(register: Register, place: KeyPlace, key_id: str) -> Entry:
    name = register.next_name("issuing")
    if place == "file":
        return Entry(name, "issuing", "requested", "file")
    return Entry(name, "issuing", "requested", place, parse_key_id(key_id or f"vedette-{name}"))


def _check_unused(chains: Chains, key: ec.EllipticCurvePublicKey) -> None:
    for name, certificate in chains.certificates.items():
        if certificate.public_key() == key:
            raise OperatorError(f"the key is that of {name} already", advice="name another one: --key-id")


def sign(root_dir: Path, request_pem: bytes, now_ns: int) -> x509.Certificate:
    """Sign an issuing CA's request with the root in `root_dir`.

    Raises:
        OperatorError: no root is there, or the request is damaged or for another kind of key.
    """
    root, root_key = load_root(root_dir)
    try:
        key = read_csr_der(x509.load_pem_x509_csr(request_pem).public_bytes(Encoding.DER))
    except (ValueError, CsrError, x509.InvalidVersion) as error:
        raise OperatorError(f"no certificate request: {error}", advice="take what `ca request` wrote") from error
    return profile.make_issuing(key, root, root_key, _in_date(root, now_ns))


def new_root(root_dir: Path, new_dir: Path, now_ns: int) -> list[x509.Certificate]:
    """Make a successor root in a new folder; gives its certificate and the old root's word for it.

    Raises:
        OperatorError: no root is in `root_dir`, or `new_dir` exists.
        EnvironmentFault: the disk or its permissions refuse.
    """
    root, root_key = load_root(root_dir)
    now, key = _in_date(root, now_ns), new_key()
    successor = profile.make_root(key, now)
    made = [successor, profile.make_link(successor, root, root_key, now)]
    make_folder(new_dir)
    write(new_dir / ROOT_KEY, key_pem(key))
    write(new_dir / ROOT_PEM, pem_of(*made))
    return made


def load_root(root_dir: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A root and its key.

    Raises:
        OperatorError: one is missing, damaged or readable for others, or they do not fit.
    """
    root, key = load_certificate(root_dir / ROOT_PEM), load_key(root_dir / ROOT_KEY)
    if root.public_key() != key.public_key() or not is_ca(root, above_cas=True):
        raise OperatorError(f"{root_dir}: {ROOT_KEY} is not the key of the root in {ROOT_PEM}")
    return root, key


def _in_date(root: x509.Certificate, now_ns: int) -> datetime:
    now = profile.datetime_of(now_ns)
    if not root.not_valid_before_utc <= now <= root.not_valid_after_utc:
        span = f"{root.not_valid_before_utc:%Y-%m-%d} to {root.not_valid_after_utc:%Y-%m-%d}"
        raise OperatorError(f"the root is valid {span}, now is {now:%Y-%m-%d}", advice="check this machine's clock")
    return now


def install(folder: Path, certificates: Sequence[x509.Certificate], now_ns: int) -> list[Entry]:
    """Take up what the root's machine made: successor roots with their links, and a requested issuing CA.

    Returns:
        What is new; nothing when all of it was there.

    Raises:
        OperatorError: a certificate is none of these, out of date, or no trusted root vouches for it.
        EnvironmentFault: the disk or its permissions refuse.
    """
    chains, files = load_chains(folder), dict[str, bytes]()
    known = [*chains.certificates.values(), *chains.links]
    unknown = [one for one in certificates if one not in known]
    for one in unknown:
        _check_date(one, profile.datetime_of(now_ns))
    roots = [one for one in unknown if is_ca(one, above_cas=True) and issued(one, one)]
    links = [one for one in unknown if one not in roots and is_ca(one, above_cas=True) and one.subject == one.issuer]
    added: list[str] = []
    for root in roots:
        link = _link(root, links, chains.trusted("root"))
        name = chains.register.next_name("root")
        register = chains.register.add(Entry(name, "root", "trusted"))
        chains = Chains(register, {**chains.certificates, name: root}, (*chains.links, link))
        files[f"{name}.pem"] = pem_of(root, link)
        added.append(name)
    for one in unknown:
        if one not in roots and one not in links:
            name = _requested(folder, chains, one).name
            chains = Chains(chains.register.install(name), {**chains.certificates, name: one}, chains.links)
            files[f"{name}.pem"] = pem_of(one)
            added.append(name)
    if (told := len(chains.told())) > MAX_TOLD:
        came = f"{told} certificates that sensors must be told came"
        raise OperatorError(f"{came}, {MAX_TOLD} were allowed", advice="retire old authorities first")
    for name, data in files.items():
        write(folder / name, data)
    if added:
        _write_register(folder, chains.register)
    return [chains.register.find(name) for name in added]


def _check_date(one: x509.Certificate, now: datetime) -> None:
    if not one.not_valid_before_utc <= now <= one.not_valid_after_utc:
        span = f"{one.not_valid_before_utc:%Y-%m-%d %H:%M} to {one.not_valid_after_utc:%Y-%m-%d %H:%M}"
        raise OperatorError(
            f"a certificate valid {span} came, now is {now:%Y-%m-%d %H:%M}", advice="check both machines' clocks"
        )


def _link(
    root: x509.Certificate, links: Sequence[x509.Certificate], trusted: Sequence[x509.Certificate]
) -> x509.Certificate:
    for link in links:
        if link.public_key() == root.public_key() and any(issued(link, old) for old in trusted):
            return link
    raise OperatorError(
        f"a root with the pin {profile.pin_of(root)[:16]}… came without the word of a trusted root",
        advice="take the root.pem that `vedette-collector ca new-root` wrote",
    )


def _requested(folder: Path, chains: Chains, one: x509.Certificate) -> Entry:
    if not is_ca(one, above_cas=False) or not any(issued(one, root) for root in chains.trusted("root")):
        raise OperatorError(
            "a certificate came that is no issuing CA of a trusted root",
            advice="take what `ca sign` wrote; a new root is installed before what it signed",
        )
    for entry in chains.register.entries:
        if entry.state == "requested":
            asked = x509.load_pem_x509_csr(read(folder / f"{entry.name}.csr"))
            if asked.public_key() == one.public_key():
                return entry
    raise OperatorError(
        "an issuing CA came whose key was not requested here", advice="begin with: vedette-collector ca request"
    )


def retire(folder: Path, name: str) -> Entry:
    """Take nothing of an authority any more; its key file goes.

    Raises:
        OperatorError: its state does not allow it, or it is the last root, or has issuing CAs that are trusted.
        EnvironmentFault: the disk or its permissions refuse.
    """
    chains = load_chains(folder)
    entry = chains.register.find(name)
    register = chains.register.step(name, "retire")
    if entry.kind == "root":
        below = [one for one in chains.trusted("issuing") if issued(one, chains.certificates[name])]
        if below:
            names = ", ".join(chains.entry_of(one).name for one in below)
            raise OperatorError(
                f"{name} is above {names}", advice="let another issuing CA take over and retire these first"
            )
    _write_register(folder, register)
    for suffix in ("key", "csr"):
        remove(folder / f"{name}.{suffix}")
    return register.find(name)


def export_root(folder: Path, target: Path) -> None:
    """Move root.key to a folder elsewhere; the copy is read back before the original goes.

    Raises:
        OperatorError: there is no root.key, or `target` has a root already.
        EnvironmentFault: the disk or its permissions refuse.
    """
    root, key = load_root(folder)
    for name, data in ((ROOT_KEY, key_pem(key)), (ROOT_PEM, pem_of(*load_certificates(folder / ROOT_PEM)))):
        if not (target / name).exists() or read(target / name) != data:
            write(target / name, data, fresh_only=True)
    if load_root(target)[0] != root:
        raise OperatorError(f"{target}: the copy does not read back", advice="nothing was removed; try another disk")
    remove(folder / ROOT_KEY)


def _write_register(folder: Path, register: Register) -> None:
    write(folder / REGISTER_NAME, register.encode())
