"""Is our certificate good, and does the collector take it?

Rules of this file: one function. The collector is asked the one question that changes nothing (GET /v1/config).
"""

from __future__ import annotations

from appliance.doctor.patient import Patient
from appliance.doctor.result import Result, State, failed, ok
from appliance.errors import ApplianceError
from appliance.identity import Answer, CollectorUrl, LinkError
from appliance.wire.codes import SessionCode
from appliance.wire.session import ConfigAnswer, Refusal, SessionError


def check(patient: Patient) -> Result:
    """By its dates, and by each collector's answer."""
    identity = patient.identity()
    if identity is None:
        return Result(State.WARNING, "not enrolled yet", "enroll: vedette enroll")
    identity.certificate.life.check(patient.clock.wall_ns())
    for url in patient.urls:
        try:
            answer = patient.own_answer(url, identity)
        except LinkError as error:
            if not _answers(patient, url):
                continue  # which way is cut is told by other checks
            came = f"{url} answers, but not to our certificate: {error}"
            return failed(came, "check the clock; vedette enroll --renew; else enroll with a new token")
        refusal = refusal_of(answer)
        if refusal is None and (why := _quarantine(answer)):
            held = SessionCode.SENSOR_QUARANTINED
            return failed(f"{url}: {held}: {why}", held.do)
        if refusal is not None and refusal.status != 429:
            code = SessionCode.of(refusal.code)
            return failed(f"{url}: {refusal.code}: {code.doc if code else refusal.came}", refusal.do)
    certificate = identity.certificate
    if certificate.life.state(patient.clock.wall_ns()) == "renew":
        return ok(f"{certificate.sensor_id}, renewal is due")
    return ok(f"{certificate.sensor_id}, assurance {certificate.assurance}")


def _quarantine(answer: Answer) -> str:
    """Why our alerts are not taken though our certificate is; empty when they are, or when that cannot be read."""
    try:
        return ConfigAnswer.from_json(answer.body).quarantine
    except SessionError:
        return ""


def _answers(patient: Patient, url: CollectorUrl) -> bool:
    try:
        patient.handshake(url, name=True)
    except ApplianceError:
        return False
    return True


def refusal_of(answer: Answer) -> Refusal | None:
    """What the collector refused with; None when it did not."""
    if answer.status == 200:
        return None
    try:
        return Refusal.from_answer(answer.status, answer.headers, answer.body)
    except SessionError:
        came = f"HTTP status {answer.status}"
        return Refusal(500, "40550 COLLECTOR_FAILED", came, "200", "is a proxy in between? see the collector's log")
