"""A conversation with a TPM: opened by TCTI string, every handle flushed, every failure named.

Rules of this file: nothing of tpm2-pytss leaves `appliance.identity.tpm` as an exception. A TPM without a resource
manager has three slots for loaded objects, and using a child of a persistent key takes one more for the moment, so a
handle lives in a `with` and no longer. A conversation is short: some TPMs (swtpm's socket) serve one at a time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tpm2_pytss import ESAPI, ESYS_TR, TPM2B_PUBLIC, TPM2B_SENSITIVE_CREATE, TSS2_Exception

from appliance.identity.errors import TpmError, TpmMissingError, TpmRefusedError
from appliance.identity.keystore import NO_TPM

DEFAULT_TCTI = "device:/dev/tpmrm0"

# TSS2_RC layers (TCG TSS 2.0 Overview, section 3.10): 10 is the way to the TPM, 0 the TPM itself.
_LAYER_SHIFT, _TCTI_LAYER = 16, 10
_OUT_OF_SLOTS = 0x902
"""TPM_RC_OBJECT_MEMORY (TPM 2.0 Library part 2, section 6.6)."""
_LOCKOUT = 0x921
"""TPM_RC_LOCKOUT (as above)."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """An object in the TPM: its handle, good within the `with` that gave it, and its public area."""

    handle: ESYS_TR
    public: TPM2B_PUBLIC

    @property
    def public_bytes(self) -> bytes:
        """TPM2B_PUBLIC as the TPM marshals it."""
        return bytes(self.public.marshal())

    @property
    def name(self) -> bytes:
        """The TPM's name of the object: name algorithm and digest of the public area."""
        return bytes(self.public.get_name())


class Tpm:
    """An open conversation; made by `open_tpm`."""

    def __init__(self, esapi: ESAPI) -> None:
        self.esapi = esapi

    @contextmanager
    def flushing(self, handle: ESYS_TR) -> Iterator[ESYS_TR]:
        """Hold a transient object or session, and let it go at the end whatever happens."""
        try:
            yield handle
        finally:
            self.esapi.flush_context(handle)

    @contextmanager
    def primary(self, hierarchy: ESYS_TR, template: TPM2B_PUBLIC) -> Iterator[Loaded]:
        """The primary object that this template gives in this hierarchy: the same one each time."""
        handle, public, *_ = self.esapi.create_primary(TPM2B_SENSITIVE_CREATE(), template, hierarchy)
        with self.flushing(handle):
            yield Loaded(handle, public)

    @contextmanager
    def persistent(self, at: int) -> Iterator[Loaded | None]:
        """The object at a persistent handle, or None when there is none."""
        try:
            handle = self.esapi.tr_from_tpmpublic(at)
        except TSS2_Exception as exc:
            if exc.rc >> _LAYER_SHIFT == _TCTI_LAYER:
                raise
            yield None
            return
        try:
            public, *_ = self.esapi.read_public(handle)
            yield Loaded(handle, public)
        finally:
            # Metadata on our side only; the object stays in the TPM.
            self.esapi.tr_close(handle)


@contextmanager
def open_tpm(tcti: str) -> Iterator[Tpm]:
    """A conversation with the TPM that a TCTI string names, `DEFAULT_TCTI` when it is empty.

    Raises:
        TpmMissingError: it cannot be opened, or stops answering.
        TpmRefusedError: it answered a command with an error.
    """
    name = tcti or DEFAULT_TCTI
    # The library writes to stderr what is named here; who wants to read it sets the variable.
    os.environ.setdefault("TSS2_LOG", "all+NONE")
    try:
        esapi = ESAPI(name)
    except RuntimeError as exc:
        raise _missing(name, exc) from exc
    try:
        with esapi:
            yield Tpm(esapi)
    except TSS2_Exception as exc:
        raise named(name, exc) from exc


def named(name: str, error: TSS2_Exception) -> TpmError:
    """What a return code means to an operator."""
    if error.rc >> _LAYER_SHIFT == _TCTI_LAYER:
        return _missing(name, error)
    if error.rc & 0xFFFF == _OUT_OF_SLOTS:
        return TpmRefusedError(
            f"TPM {name}: all its slots for loaded objects are taken",
            advice="use it through a resource manager (device:/dev/tpmrm0), or end who else uses it",
        )
    if error.rc & 0xFFFF == _LOCKOUT:
        return TpmRefusedError(
            f"TPM {name}: it is in lock-out, as after several power cuts, and has a password against ending that",
            advice="leave the box on, the TPM forgets in time; or: tpm2_dictionarylockout -c -p PASSWORD",
        )
    return TpmRefusedError(
        f"TPM {name}: {error} (code {error.rc:#x})",
        advice="was an owner or endorsement password set, or the TPM locked? clear it in the firmware's set-up",
    )


def _missing(name: str, error: Exception) -> TpmMissingError:
    return TpmMissingError(
        f"TPM {name}: does not answer: {error}",
        advice="check that the TPM is on in the firmware's set-up, that this user may open it (group tss),"
        f" and [identity] tcti; {NO_TPM}",
    )
