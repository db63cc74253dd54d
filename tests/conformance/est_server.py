"""The appliance enrolls and renews at an EST server that is not ours: libest's estserver, which runs OpenSSL's `ca`.

    step                       plain EST   here
    cacerts, pin               yes         the appliance's own
    simpleenroll by HTTP Basic yes         the appliance's own; estserver knows one user, who is the token
    202 and Retry-After        yes         the appliance's own (estserver -m)
    simplereenroll, mutual TLS yes         the appliance's own, up to the switch to the new pair
    first use of the new key   no          GET /v1/config is the collector's; estserver's 404 is what must be told

Rules of this file: keys are software, as only they can be carried over the bridge that speaks TLS 1.3 to the appliance
and 1.2 to estserver. The CA is set up to issue what an appliance takes: certificates that name the sensor.
"""

from __future__ import annotations

import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from appliance.clock import SystemClock
from appliance.enroll import (
    EnrollmentPendingError,
    EnrollmentPlan,
    EnrollmentRefusedError,
    RenewalPlan,
    TokenUnknownError,
    enroll,
    renew,
)
from appliance.identity import CollectorUrl, IdentityFolder
from appliance.wire.enrollment import ASSURANCE_URN, SENSOR_URN, EnrollmentToken, sensor_id
from tests.conformance.debian13 import inside
from tests.conformance.est_clients import TIMEOUT_S, ConformanceError
from tests.conformance.tls_bridge import Bridge, bridged
from tests.fakes.pki import Authority, pem

# The one user that estserver knows is compiled into it.
TOKEN = EnrollmentToken("estuser", "estpwd")
WRONG = EnrollmentToken("estuser", "x" * 43)
RETRY_S = 60
"""The least that estserver takes. Its approval is that the same key asks again, so nobody need wait so long here."""
CLOCK = SystemClock()

_CA = """\
[ca]
default_ca = issuing
[issuing]
database = index.txt
new_certs_dir = newcerts
serial = serial
certificate = ca.pem
private_key = ca.key
default_days = 30
default_md = sha256
policy = any_name
unique_subject = no
copy_extensions = none
x509_extensions = sensor
[any_name]
commonName = supplied
[sensor]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = clientAuth
subjectAltName = URI:{sensor}, URI:{assurance}
subjectKeyIdentifier = hash
"""


@dataclass(frozen=True)
class Box:
    """An appliance and the way to the server; its key is made, so that the CA can be told its name."""

    folder: IdentityFolder
    authority: Authority
    bridge: Bridge

    @property
    def url(self) -> CollectorUrl:
        """Where the server seems to be."""
        return CollectorUrl("127.0.0.1", self.bridge.port)

    def enroll(self, token: EnrollmentToken = TOKEN) -> None:
        """By the appliance's own code."""
        enroll(EnrollmentPlan([self.url], self.authority.pin, token), self.folder, CLOCK)

    def renew(self) -> list[str]:
        """By the appliance's own code, which must end at the collector's own path; the steps that it told."""
        steps: list[str] = []
        try:
            renew(RenewalPlan([self.url]), self.folder, CLOCK, on_step=steps.append)
        except EnrollmentPendingError:
            raise
        except EnrollmentRefusedError as error:
            if "HTTP status 404 came" not in str(error):
                raise
            return steps
        raise ConformanceError("estserver answered the collector's own path")

    def certificate(self) -> x509.Certificate:
        """The one in force; checked against the CA and the key in force."""
        identity = self.folder.load()
        found = x509.load_pem_x509_certificate(identity.certificate_path.read_bytes())
        found.verify_directly_issued_by(self.authority.issuing)
        return found

    def show(self) -> None:
        """Let the bridge speak as the box."""
        identity = self.folder.load()
        key = self.folder.pairs.current() / "key.pem"
        self.bridge.show(key.read_bytes() + identity.certificate_path.read_bytes())


def estserver(root: Path) -> Iterator[str]:
    """Enroll, be refused, be told to wait, renew."""
    with at_estserver(root) as box:
        try:
            box.enroll(WRONG)
        except TokenUnknownError:
            yield "estserver, wrong password: the appliance says that the token is not taken"
        else:
            raise ConformanceError("a wrong password was taken")
        box.enroll()
        first = box.certificate()
        yield "estserver, cacerts and simpleenroll: the appliance enrolled"

        box.show()
        steps = box.renew()
        second = box.certificate()
        if "the new key and certificate are in force" not in steps or second.public_key() == first.public_key():
            raise ConformanceError(f"no renewal with a fresh key: {steps}")
        if first.public_bytes(Encoding.DER) not in box.bridge.shown:
            raise ConformanceError("the appliance did not show its certificate")
        yield "estserver, simplereenroll with a fresh key over mutual TLS: the appliance renewed"

    with at_estserver(root, "-m", str(RETRY_S)) as box:
        _told_to_wait(box.enroll)
        box.enroll()
        first = box.certificate()
        yield f"estserver -m, simpleenroll: the appliance was told to wait {RETRY_S} s, asked again, enrolled"
        box.show()
        _told_to_wait(box.renew)
        if box.certificate() != first:
            raise ConformanceError("the certificate in force is another one while nobody has decided")
        box.renew()
        if box.certificate() == first:
            raise ConformanceError("no renewal")
        yield f"estserver -m, simplereenroll: told to wait {RETRY_S} s, asked again, renewed"


def _told_to_wait(ask: Callable[[], object]) -> None:
    try:
        ask()
    except EnrollmentPendingError as error:
        if error.retry_after_s != RETRY_S:
            raise ConformanceError(f"Retry-After was understood as {error.retry_after_s}: {error}") from error
    else:
        raise ConformanceError("nobody was told to wait")


@contextmanager
def at_estserver(root: Path, *options: str) -> Iterator[Box]:
    """A box with a key, and an estserver whose CA certifies its name; all gone at the end."""
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryDirectory(dir=root, prefix="work-") as shared:
        authority, folder = Authority(), IdentityFolder(Path(scratch) / "identity")
        signer = folder.keys.load_or_create(folder.key_path)
        server_pem = _write_ca(Path(shared), authority, sensor_id(signer.spki_der()))
        with (
            _running(root, Path(shared), options) as port,
            bridged(
                f"127.0.0.1:{port}", server_pem, pem(authority.root, authority.issuing), ssl.TLSVersion.TLSv1_3
            ) as bridge,
        ):
            yield Box(folder, authority, bridge)


def _write_ca(folder: Path, authority: Authority, name: str) -> Path:
    """OpenSSL's `ca` in a folder; the server's key and certificates."""
    authority.server(folder)
    (server,) = folder.glob("server-*.pem")
    (folder / "newcerts").mkdir()
    secret = authority.issuing_key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    texts = {
        "index.txt": b"",
        "serial": b"1000\n",
        "ca.pem": pem(authority.issuing),
        "ca.key": secret,
        "trusted.pem": pem(authority.root, authority.issuing),
        "ca.cnf": _CA.format(sensor=SENSOR_URN + name, assurance=ASSURANCE_URN + "software").encode("ascii"),
    }
    for file, data in texts.items():
        (folder / file).write_bytes(data)
    return server.rename(folder / "server.pem")


@contextmanager
def _running(root: Path, folder: Path, options: tuple[str, ...]) -> Iterator[int]:
    """estserver on a free port, from when it listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    argv = inside(
        root, folder, "estserver", "-c", "server.pem", "-k", "server.pem", "-r", "estrealm", "-o", "-p", str(port),
        *options, EST_TRUSTED_CERTS="trusted.pem", EST_CACERTS_RESP="trusted.pem", EST_OPENSSL_CACONFIG="ca.cnf",
    )  # fmt: skip
    with (folder / "estserver.log").open("wb") as log:
        server = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        _await(server, port, folder / "estserver.log")
        yield port
    finally:
        server.terminate()
        server.wait(TIMEOUT_S)


def _await(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until_s = time.monotonic() + TIMEOUT_S
    while server.poll() is None and time.monotonic() < until_s:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise ConformanceError(f"estserver does not listen: {log.read_text(errors='replace')[-500:]}")
