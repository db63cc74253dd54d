"""TPMs for virtual machines: swtpm's state with endorsement keys and their certificates by a maker of our own.

Rules of this file: the TPM is real (libtpms), only its maker is played. Drills list that maker at their collector like
one whose TPMs are chips; nobody else may.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from image.tools import Tools

_OPTIONS = '--platform-manufacturer "Development"\n--platform-version 1\n--platform-model "Box"\n'


def manufacture(tools: Tools, state: Path, maker: Path) -> None:
    """A new TPM in `state`, in the place of the one that was there; `maker` is made with the first.

    Raises:
        StepError: swtpm_setup failed.
    """
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir(parents=True)
    maker.mkdir(parents=True, exist_ok=True)
    settings: dict[str, dict[str, str | Path]] = {
        "localca.conf": {
            "statedir": maker,
            "signingkey": maker / "signkey.pem",
            "issuercert": maker / "issuercert.pem",
            "certserial": maker / "certserial",
        },
        "setup.conf": {
            "create_certs_tool": "/usr/bin/swtpm_localca",
            "create_certs_tool_config": state / "localca.conf",
            "create_certs_tool_options": state / "localca.options",
            "active_pcr_banks": "sha256",
        },
    }
    for name, values in settings.items():
        text = "".join(f"{key} = {value}\n" for key, value in values.items())
        (state / name).write_text(text, encoding="ascii")
    (state / "localca.options").write_text(_OPTIONS, encoding="ascii")
    tools.run(
        *("swtpm_setup", "--tpm2", "--tpmstate", state, "--config", state / "setup.conf", "--create-ek-cert"),
        # One bank: the firmware measures the kernel file once for each.
        *("--ecc", "--pcr-banks", "sha256", "--lock-nvram", "--vmid", state.parent.name),
    )


def roots(maker: Path) -> bytes:
    """The maker's certificates, PEM."""
    names = ("swtpm-localca-rootca-cert.pem", "issuercert.pem")
    return b"".join((maker / name).read_bytes() for name in names)
