"""`make image-bundle`: the root, its hash tree and the kernel file of an image as one signed file for its boxes.

Rules of this file: it packs what was built and builds nothing. The signature is over the manifest, which has the hash
of every part, and is made by OpenSSL: the key
may lie in a token.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from appliance.wire.bundle import (
    IMAGE_ID,
    PART_NAMES,
    WINDOW_LOG,
    BundleError,
    Manifest,
    Part,
    write_head,
)
from image.cache import sha256
from image.errors import InputError
from image.keys import UPDATE, Keys
from image.layout import MIB, SECURITY_FLOOR, Slot
from image.tools import Tools

_LEVEL = 12


def bundle_name(version: str, architecture: str) -> str:
    """File name of a bundle; also what a box looks for on a stick."""
    return f"{IMAGE_ID}-update_{version}_{architecture}.bundle"


def make_bundle(tools: Tools, keys: Keys, made: Path, *, version: str, architecture: str, epoch: int) -> Path:
    """Pack the image in the folder `made`; returns the bundle beside it.

    Raises:
        InputError: there is no whole image of that version, or the version is none that boxes can compare.
        StepError: a program failed.
    """
    slot = Slot(version, _root_hash(made))
    files = {"verity": made / slot.verity_file, "root": made / slot.root_file, "uki": made / slot.uki_file}
    if missing := [path.name for path in files.values() if not path.is_file()]:
        raise InputError(f"{made}: {', '.join(missing)} missing", advice="Make it: make image")
    work = tools.cache.folder / "work" / f"bundle-{made.name}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        packed = {name: _pack(tools, files[name], work) for name in PART_NAMES}
        parts = tuple(
            Part(name, files[name].stat().st_size, packed[name].stat().st_size, sha256(files[name]))
            for name in PART_NAMES
        )
        manifest = _manifest(Manifest(architecture, version, SECURITY_FLOOR, slot.root_hash, epoch * 10**9, parts))
        signature = sign_manifest(tools, keys, manifest, work)
        target = made / bundle_name(version, architecture)
        with target.open("wb") as file:
            file.write(write_head(manifest, signature))
            for name in PART_NAMES:
                with packed[name].open("rb") as part:
                    shutil.copyfileobj(part, file, MIB)
    finally:
        shutil.rmtree(work)
    return target


def sign_manifest(tools: Tools, keys: Keys, manifest: bytes, work: Path) -> bytes:
    """ECDSA with SHA-256 over the manifest, DER.

    Raises:
        StepError: OpenSSL failed.
    """
    plain, signed = work / "manifest", work / "signature"
    plain.write_bytes(manifest)
    signer, in_token = keys.signer(UPDATE)
    engine = ("-engine", "pkcs11", "-keyform", "engine") if in_token else ()
    argv = ("-sha256", "-sign", signer, "-out", signed, plain)
    tools.run("openssl", "dgst", *engine, *argv, environment=keys.environment())
    return signed.read_bytes()


def _manifest(manifest: Manifest) -> bytes:
    try:
        return manifest.to_json()
    except BundleError as error:
        raise InputError(str(error)) from error


def _pack(tools: Tools, source: Path, work: Path) -> Path:
    target = work / f"{source.name}.zst"
    # The window is what a box sets aside for unpacking.
    zstd = ("zstd", "-q", f"-{_LEVEL}", f"--zstd=wlog={WINDOW_LOG}", "--no-content-size")
    tools.run(*zstd, "-T2", "-o", target, source)
    return target


def _root_hash(made: Path) -> str:
    try:
        return str(json.loads((made / "parts.json").read_text(encoding="ascii"))["root hash"])
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{made}: no image is there ({error})", advice="Make it: make image") from error
