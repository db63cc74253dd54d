"""A certificate that may speak no more asks for the next one, with its key in a TPM and over its own mutual TLS.

The box is `vedette enroll --renew`: what its operator reads is part of what is claimed.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

pytest.importorskip("tpm2_pytss", reason="needs tpm2-pytss (make setup-test)")

from appliance.enroll import EnrollmentRefusedError
from appliance.identity.certificates import to_pem
from appliance.wire.enrollment import RecoveryRequest, sensor_id
from tests.attacks.box import Box, token_id
from tests.attacks.ledger import Ledger
from tests.collector_client.harness import DAY_NS, Collector
from tests.fakes.swtpm import Swtpm

pytestmark = [pytest.mark.tpm, pytest.mark.tpm_tls, pytest.mark.timeout(300)]


@pytest.fixture
def box(one_tpm: Swtpm, collector: Collector, tmp_path: Path) -> Box:
    """Enrolled, and its certificate renews as long as nothing is done about it."""
    made = Box(tmp_path / "box", one_tpm)
    made.enroll(collector, collector.token())
    return made


EXIT_REFUSED = 3


def sensor_of(collector: Collector) -> str:
    return str(collector.control("SELECT sensor_id FROM sensors")[0][0])


def in_force(box: Box) -> bytes:
    """The certificate on the disk."""
    return box.identity.certificate_path.read_bytes()


def test_the_box_of_these_attacks_renews_when_nothing_is_wrong(collector: Collector, box: Box) -> None:
    before = in_force(box)
    done = box.renew(collector)
    assert done.returncode == 0, done.stderr
    assert in_force(box) != before
    actions = [action for (action,) in collector.control("SELECT action FROM audit ORDER BY audit_id")]
    assert actions == ["token new", "enroll", "prove residency", "renew", "prove residency", "supersede key"]


def test_renewal_with_a_revoked_certificate(collector: Collector, box: Box) -> None:
    name, before = sensor_of(collector), in_force(box)
    collector.revoke(name)
    books = Ledger(collector)
    done = box.renew(collector)
    assert done.returncode == EXIT_REFUSED
    assert "SENSOR_REVOKED" in done.stderr
    books.refused("SENSOR_REVOKED", name, "renew refused")
    assert in_force(box) == before


def test_revoked_sensor_with_a_new_token(collector: Collector, box: Box) -> None:
    """A token is not a pardon: the record of the key says what the operator said of it."""
    collector.revoke(sensor_of(collector))
    box.identity.certificate_path.unlink()
    token = collector.token()
    books = Ledger(collector)
    with pytest.raises(EnrollmentRefusedError, match="SENSOR_REVOKED"):
        box.enroll(collector, token)
    books.refused("SENSOR_REVOKED", token_id(token))


def test_recovery_of_a_revoked_sensor(collector: Collector, box: Box) -> None:
    """Past mutual TLS altogether: the box finds its certificate expired and asks for recovery, signed by its key."""
    name, key = sensor_of(collector), box.identity.keys.load(box.identity.key_path)
    chain = x509.load_pem_x509_certificates(in_force(box))
    public_key = chain[0].public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    ended = collector.authority.issue_sensor(public_key, collector.clock.wall_ns() - 40 * DAY_NS, 30, "tpm", name=name)
    box.identity.certificate_path.write_bytes(to_pem([x509.load_der_x509_certificate(ended.der), *chain[1:]]))
    collector.revoke(name)
    books = Ledger(collector)
    done = box.renew(collector)
    assert (done.returncode, key.assurance) == (EXIT_REFUSED, "tpm")
    assert "asking for recovery" in done.stderr
    assert "SENSOR_REVOKED" in done.stderr
    books.refused("SENSOR_REVOKED", name, "recover refused")


def test_renewal_into_a_key_on_a_disk(collector: Collector, box: Box) -> None:
    """Who holds the box for a minute lets its TPM sign for a key that can be carried away."""
    name, signer = sensor_of(collector), box.identity.keys.load(box.identity.key_path)
    thief = collector.box()
    thief.learn_ca()
    asked = RecoveryRequest(name, sensor_id(signer.spki_der()), base64.b64decode(thief.csr()))
    proof = signer.sign_digest(hashlib.sha256(asked.statement()).digest())
    books = Ledger(collector)
    assert thief.recover(replace(asked, proof_der=proof).to_json()).code == "KEY_DIFFERS"
    books.refused("KEY_DIFFERS", name, "recover refused")
    assert box.renew(collector).returncode == 0
