"""Can a key be had where the configuration says, and is that a place it cannot be copied from?

Rules of this file: one function. It asks the TPM before the enrollment; afterwards the certificate's check says whether
the key can be used.
"""

from __future__ import annotations

from appliance.doctor.patient import Patient
from appliance.doctor.result import Result, State, ok


def check(patient: Patient) -> Result:
    """By the store that is configured; what is not there is an error of its own name."""
    keys, enrolled = patient.folder.keys, patient.folder.certificate_path.exists()
    if not enrolled:
        keys.check_present()
    if keys.assurance == "software":
        return Result(
            State.WARNING,
            "the key is a file, which can be copied",
            'a collector in production refuses it; on a box with a TPM: [identity] key_store = "tpm"',
        )
    return ok("a key in the TPM" if enrolled else "the TPM answers")
