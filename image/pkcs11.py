"""The drill of signing with keys that are in a token: SoftHSM stands for the card or the HSM of a release.

Rules of this file: the token is a real PKCS#11 one and holds copies of the development keys. What was
signed is checked with the public parts alone.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from image.bench import Bench
from image.bundle import sign_manifest
from image.errors import DrillError, InputError
from image.keys import NAMES, POLICY, UPDATE, Keys
from image.stick import make_enrollment
from image.tools import Tools
from image.uki import make_uki, sign

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
_PIN = "12345678"


def pkcs11(bench: Bench) -> None:
    """All signatures of an image by keys in a PKCS#11 token (SoftHSM): kernel file, TPM policy, key lists, bundle.

    Raises:
        DrillError: a signature does not hold.
        InputError: the image was not made.
    """
    work = bench.tools.cache.folder / "machines" / "pkcs11"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    tools, plan = bench.tools, bench.plan
    unsigned = plan.target / "unsigned.efi"
    if not unsigned.is_file():
        raise InputError(f"{unsigned} is missing", advice="Make it: make image")
    keys = move_into_token(tools, bench.keys, work)
    signed = work / "signed.efi"
    sign(tools, keys, unsigned, signed)
    tools.run("sbverify", "--cert", bench.keys.certificate("db"), signed)
    bench.tell("           kernel file: signed by the token, sbverify accepts it")
    part = {name: work / name for name in ("linux", "initrd", "osrel")}
    tools.run(
        *("objcopy", *(f"--dump-section=.{name}={path}" for name, path in part.items())),
        *(unsigned, work / "copy.efi"),
    )
    made = []
    for name, by in (("file", bench.keys), ("token", keys)):
        made.append(work / f"by-{name}.efi")
        make_uki(
            tools,
            by,
            made[-1],
            kernel=part["linux"],
            kernel_version="0",
            initrds=(part["initrd"],),
            os_release=part["osrel"],
            command_line="x",
            epoch=plan.epoch,
        )
    policies = []
    for path in made:
        section = path.with_suffix(".json")
        tools.run("objcopy", f"--dump-section=.pcrsig={section}", path, work / "copy.efi")
        policies.append(json.loads(section.read_bytes().rstrip(b"\0")))
    # RSA with PKCS#1 v1.5 gives one signature: the same key in a file and in a token cannot differ.
    if policies[0] != policies[1]:
        raise DrillError("the token's policy differs from the one signed with the same key in a file")
    bench.tell("           TPM policy: the token's signature is the one of the same key in a file")
    make_enrollment(tools, keys, work / "auto", epoch=plan.epoch)
    bench.tell(f"           key lists: {', '.join(sorted(p.name for p in (work / 'auto').iterdir()))}")
    (work / "bundle.signature").write_bytes(sign_manifest(tools, keys, b"a manifest", work))
    (work / "bundle.manifest").write_bytes(b"a manifest")
    checked = ("-verify", bench.keys.update_public, "-signature", work / "bundle.signature", work / "bundle.manifest")
    tools.run("openssl", "dgst", "-sha256", *checked)
    bench.tell("           update bundle: signed by the token, openssl accepts it")


def move_into_token(tools: Tools, source: Keys, work: Path) -> Keys:
    """A folder of keys like `source`, with the private ones in a new token.

    Raises:
        StepError: a program failed.
    """
    folder = work / "keys"
    (folder / "tokens").mkdir(parents=True)
    keys = Keys(folder)
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\n", encoding="ascii")
    (folder / "pkcs11-module").write_text(f"{MODULE}\n", encoding="ascii")
    (folder / "pin").write_text(_PIN, encoding="ascii")
    there = keys.environment()
    tools.run(
        *("softhsm2-util", "--init-token", "--free", "--label", "release", "--pin", _PIN, "--so-pin", _PIN),
        environment=there,
    )
    for number, name in enumerate((*NAMES, POLICY, UPDATE), start=1):
        argv = ("--import", source.private(name), "--token", "release", "--label", name, "--id", f"0{number}")
        tools.run("softhsm2-util", *argv, "--pin", _PIN, environment=there)
        uri = f"pkcs11:token=release;object={name};type=private?pin-source=file:{folder / 'pin'}"
        keys.uri(name).write_text(f"{uri}\n", encoding="ascii")
    for name in NAMES:
        shutil.copyfile(source.certificate(name), keys.certificate(name))
    shutil.copyfile(source.policy_public, keys.policy_public)
    shutil.copyfile(source.update_public, keys.update_public)
    made = ("openssl", "req", "-new", "-x509", "-sha256", "-subj", "/CN=policy", "-key", source.private(POLICY))
    tools.run(*made, "-out", keys.certificate(POLICY))
    keys.check()
    return keys
