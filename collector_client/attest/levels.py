"""The words for what was proved about where a key lives; they travel in certificates and stand in records.

Rules of this file: words only, appended to and never reused. None of them is ever taken from what a sensor says.
"""

from __future__ import annotations

from typing import Final

TPM: Final = "tpm"
"""Proved to be in a TPM whose endorsement key a pinned manufacturer root or the operator's list vouches for."""
TPM_UNLISTED: Final = "tpm-unlisted"
"""Proved to be held by what answers like a TPM; nobody vouches that it is one."""
SOFTWARE: Final = "software"
"""Not proved to be in hardware: a file, or a software TPM of a development root."""
