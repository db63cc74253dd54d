"""EST clients that are not ours enroll at the collector: strongSwan's pki and Cisco's libest.

Rules of this file: the collector is the real ingest on loopback. What a client got is judged by the certificate it
wrote, not by its exit code. libest knows TLS 1.2 at most and the collector takes 1.3 only, so a bridge carries libest's
bytes from one to the other.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat, pkcs7

from appliance.wire.enrollment import SENSOR_URN, EnrollmentToken, decode_base64, sensor_id
from tests.collector_client.harness import Collector
from tests.conformance.debian13 import inside
from tests.conformance.tls_bridge import bridged

TIMEOUT_S = 120


class ConformanceError(Exception):
    """Somebody did not get what they must get; says what."""


@dataclass(frozen=True)
class Bench:
    """A collector, a folder both sides see, and the way to run a client in it."""

    collector: Collector
    root: Path
    folder: Path

    def run(self, *argv: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
        """Run a client with the folder as its working directory."""
        command = inside(self.root, self.folder, *argv, **environment)
        return subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False, stdin=subprocess.DEVNULL)

    def token(self) -> EnrollmentToken:
        """A new token."""
        return EnrollmentToken.parse(self.collector.token())

    def new_key(self, name: str) -> ec.EllipticCurvePrivateKey:
        """A P-256 key, also as a file."""
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        (self.folder / name).write_bytes(pem)
        return key

    def write(self, name: str, data: bytes) -> None:
        """A file for the client."""
        (self.folder / name).write_bytes(data)

    def newest(self, pattern: str) -> bytes:
        """What the client wrote last under such a name."""
        found = sorted(self.folder.glob(pattern), key=lambda path: path.stat().st_mtime_ns)
        if not found:
            raise ConformanceError(f"no file {pattern} was written")
        return found[-1].read_bytes()

    def check_certificate(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        """It is for the key, names its sensor, is signed by our CA, and is what the collector has on record."""
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        name = sensor_id(public)
        issuing = x509.load_pem_x509_certificates(self.collector.authority.ca_pem())[1]
        certificate.verify_directly_issued_by(issuing)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if certificate.public_key() != key.public_key():
            raise ConformanceError("the certificate is for another key")
        if SENSOR_URN + name not in names.get_values_for_type(x509.UniformResourceIdentifier):
            raise ConformanceError("the certificate does not name the sensor")
        kept = self.collector.control("SELECT certificate FROM sensors WHERE sensor_id = ?", name)
        if kept != [(certificate.public_bytes(Encoding.DER),)]:
            raise ConformanceError("the collector has another certificate on record")


def strongswan(bench: Bench) -> Iterator[str]:
    """pki --estca, --est with a token, --est with the certificate."""
    quiet = {"STRONGSWAN_CONF": "strongswan.conf"}
    bench.write("strongswan.conf", b"libtls {\n  version_max = 1.3\n}\n")
    bench.write("trust.pem", bench.collector.authority.ca_pem())
    url = f"https://{bench.collector.address}"
    done = bench.run(
        "pki", "--estca", "--url", url, "--cacert", "trust.pem", "--caout", "ca.pem", "--outform", "pem", **quiet
    )
    got = [x509.load_pem_x509_certificate(bench.newest(name)) for name in ("ca.pem", "ca-1.pem")]
    if got != x509.load_pem_x509_certificates(bench.collector.authority.ca_pem()):
        raise ConformanceError(f"other CA certificates: {_tail(done)}")
    yield "strongSwan pki --estca: root and issuing CA"

    key = bench.new_key("swan.key")
    request = bench.run(
        "pki", "--req", "--in", "swan.key", "--type", "priv", "--dn", "CN=box", "--outform", "der", **quiet
    )
    bench.write("swan.csr", request.stdout)
    token = bench.token()
    common = ("--url", url, "--in", "swan.csr", "--cacert", "ca.pem", "--cacert", "ca-1.pem", "--outform", "pem")
    wrong = bench.run("pki", "--est", *common, "--userpass", f"{token.token_id}:{'x' * 43}", **quiet)
    if b"CERTIFICATE" in wrong.stdout:
        raise ConformanceError("a wrong password was taken")
    yield "strongSwan pki --est with a wrong token: refused"

    done = bench.run("pki", "--est", *common, "--userpass", f"{token.token_id}:{token.secret}", **quiet)
    first = _certificate(done)
    bench.check_certificate(first, key)
    bench.write("swan.pem", done.stdout)
    yield "strongSwan pki --est --userpass: enrolled" + (", trusted" if b"is trusted" in done.stderr else "")

    done = bench.run("pki", "--est", *common, "--cert", "swan.pem", "--key", "swan.key", **quiet)
    second = _certificate(done)
    bench.check_certificate(second, key)
    if second.serial_number == first.serial_number:
        raise ConformanceError("the renewal gave the old certificate")
    yield "strongSwan pki --est --cert: renewed"


def libest(bench: Bench) -> Iterator[str]:
    """estclient -g, -a, -e, -r."""
    authority = bench.collector.authority
    trust = {"EST_OPENSSL_CACERT": "est-trust.pem"}
    bench.write("est-trust.pem", authority.ca_pem())
    server_pem = bench.collector.directory / "pki" / "server.pem"
    with bridged(bench.collector.address, server_pem, authority.ca_pem()) as bridge:
        where = ("-s", "127.0.0.1", "-p", str(bridge.port), "-o", ".")
        done = bench.run("estclient", "-g", *where, **trust)
        certificates = _certs_only(bench.newest("cacert*.pkcs7"))
        if certificates != x509.load_pem_x509_certificates(authority.ca_pem()):
            raise ConformanceError(f"other CA certificates: {_tail(done)}")
        yield "libest estclient -g: root and issuing CA"

        done = bench.run("estclient", "-a", *where, **trust)
        attributes = decode_base64("attributes", bench.newest("csr-*.base64"), 4096)
        if not attributes.startswith(b"\x30"):
            raise ConformanceError(f"no attributes: {_tail(done)}")
        yield "libest estclient -a: attributes of a request"

        key, token = bench.new_key("est.key"), bench.token()
        enroll = ("-e", *where, "-x", "est.key", "-u", token.token_id)
        bench.run("estclient", *enroll, "-h", "x" * 43, **trust)
        if list(bench.folder.glob("cert-*.pkcs7")):
            raise ConformanceError("a wrong password was taken")
        yield "libest estclient -e with a wrong token: refused"

        done = bench.run("estclient", *enroll, "-h", token.secret, **trust)
        first = _one(bench.newest("cert-*.pkcs7"), done)
        bench.check_certificate(first, key)
        yield "libest estclient -e: enrolled"

        pem = first.public_bytes(Encoding.PEM)
        bench.write("est.pem", pem)
        bridge.show((bench.folder / "est.key").read_bytes() + pem)
        done = bench.run("estclient", "-r", *where, "-k", "est.key", "-x", "est.key", "-c", "est.pem", **trust)
        second = _one(bench.newest("cert-*.pkcs7"), done)
        bench.check_certificate(second, key)
        if second.serial_number == first.serial_number:
            raise ConformanceError(f"the renewal gave the old certificate: {_tail(done)}")
        yield "libest estclient -r: renewed"


def _certificate(done: subprocess.CompletedProcess[bytes]) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(done.stdout)
    except ValueError:
        raise ConformanceError(f"no certificate: {_tail(done)}") from None


def _certs_only(body: bytes) -> list[x509.Certificate]:
    return pkcs7.load_der_pkcs7_certificates(decode_base64("certificates", body, 65_536))


def _one(body: bytes, done: subprocess.CompletedProcess[bytes]) -> x509.Certificate:
    certificates = _certs_only(body)
    if len(certificates) != 1:
        raise ConformanceError(f"{len(certificates)} certificates: {_tail(done)}")
    return certificates[0]


def _tail(done: subprocess.CompletedProcess[bytes]) -> str:
    said = (done.stdout + done.stderr).decode(errors="replace")
    lines = [line for line in said.splitlines() if line.strip() and not line.startswith("plugin ")]
    return " | ".join(lines[-6:])


@contextmanager
def bench_in(root: Path) -> Iterator[Bench]:
    """A collector that runs, and a folder inside the clients' root; both gone at the end."""
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryDirectory(dir=root, prefix="work-") as folder:
        collector = Collector(Path(scratch) / "collector").start()
        try:
            yield Bench(collector, root, Path(folder))
        finally:
            collector.stop()
