"""Can a key be had where the configuration says, and is that a place it cannot be copied from?

Rules of this file: one function. It asks the TPM itself before the enrollment. Afterwards OpenSSL has the only line to
it, and who made that line has asked before: here is said what was found.
"""

from __future__ import annotations

from appliance.doctor.patient import Patient
from appliance.doctor.result import Result, State, ok


def check(patient: Patient) -> Result:
    """By the store that is configured.

    Raises:
        KeyFileError: there is no such place, or it does not know the key, by the name of the reason.
    """
    if patient.key_fault is not None:
        raise patient.key_fault
    keys, enrolled = patient.folder.keys, patient.folder.certificate_path.exists()
    if not enrolled:
        keys.check_present()
    if keys.assurance == "secure-element":
        return ok("a key of the day, which the secure element has signed for" if enrolled else "the element answers")
    if keys.assurance == "software":
        return Result(
            State.WARNING,
            "the key is a file, which can be copied",
            'a collector in production refuses it; on a box with a TPM: [identity] key_store = "tpm"',
        )
    return ok("a key in the TPM" if enrolled else "the TPM answers")
