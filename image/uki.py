"""The kernel file: kernel, initrd and command line as one EFI program, first unsigned, then signed.

Rules of this file: everything but the last step gives the same bytes each time; signing is the last step, because a
signature has a time in it. The PCR policy inside is for one moment only: after the initrd, before the services start.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from image.keys import POLICY, Keys
from image.tools import Tools

# /var is opened in this phase and in no later one: a program that runs on the box cannot have the TPM open it again.
POLICY_PHASE = "enter-initrd:leave-initrd"


def make_uki(
    tools: Tools,
    keys: Keys,
    target: Path,
    *,
    kernel: Path,
    kernel_version: str,
    initrds: Sequence[Path],
    os_release: Path,
    command_line: str,
    epoch: int,
    policy: bool = True,
) -> None:
    """Make the unsigned kernel file; without `policy`, the TPM will not open /var for it.

    Raises:
        StepError: ukify failed.
    """
    signer, in_token = keys.signer(POLICY)
    public = keys.certificate(POLICY) if in_token else keys.policy_public
    signed_policy = (
        *(("--signing-engine=pkcs11",) if in_token else ()),
        *(f"--pcr-private-key={signer}", f"--pcr-public-key={public}"),
        *(f"--phases={POLICY_PHASE}", "--pcr-banks=sha256", "--measure"),
    )
    tools.run(
        *("ukify", "build", f"--linux={kernel}", *(f"--initrd={path}" for path in initrds)),
        f"--cmdline={command_line}",
        *(f"--os-release=@{os_release}", f"--uname={kernel_version}", f"--output={target}"),
        *(signed_policy if policy else ()),
        environment={"SOURCE_DATE_EPOCH": str(epoch), **keys.environment()},
    )


def sign(tools: Tools, keys: Keys, source: Path, target: Path) -> None:
    """Sign an EFI program for Secure Boot.

    Raises:
        StepError: sbsign failed.
    """
    signer, in_token = keys.signer("db")
    engine = ("--engine", "pkcs11") if in_token else ()
    argv = ("--key", signer, "--cert", keys.certificate("db"), "--output", target, source)
    tools.run("sbsign", *engine, *argv, environment=keys.environment())
