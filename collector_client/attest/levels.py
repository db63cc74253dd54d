"""The words for what was proved about where a key lives; they travel in certificates and stand in records.

Rules of this file: words only, appended to and never reused. None of them is ever taken from what a sensor says.
"""

from __future__ import annotations

from typing import Final

TPM: Final = "tpm"
"""Proved to be in a TPM whose endorsement key a pinned manufacturer root or the operator's list vouches for."""
SECURE_ELEMENT: Final = "secure-element"
"""The sensor's name is a key that the operator has said is in a secure element; it signs for keys that live a day. That
it is one is the operator's word (or the maker's, who read it there): no element of this class can prove it."""
TPM_UNLISTED: Final = "tpm-unlisted"
"""Proved to be held by what answers like a TPM; nobody vouches that it is one."""
SOFTWARE: Final = "software"
"""Not proved to be in hardware: a file, or a software TPM of a development root."""

WEAKEST_FIRST: Final = (SOFTWARE, TPM_UNLISTED, SECURE_ELEMENT, TPM)
