"""CFB mode, wherever this version of the cryptography library keeps it.

Rules of this file: one name. TPM 2.0 fixes CFB for credential protection; the library moved it among its old ciphers.
"""

from __future__ import annotations

try:
    from cryptography.hazmat.decrepit.ciphers.modes import CFB
except ImportError:  # cryptography before 47
    from cryptography.hazmat.primitives.ciphers.modes import CFB  # type: ignore[assignment,no-redef,unused-ignore]

__all__ = ["CFB"]
