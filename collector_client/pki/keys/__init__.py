"""Where an issuing CA's key may be: a file, a PKCS#11 token, or behind a command of the operator's.

Front door: `open_key`, `make_key`, `KeyPlaces`.
"""

from collector_client.pki.keys.open import KeyPlaces, make_key, open_key
from collector_client.pki.keys.remote import KeyFault, RemoteKey, RemoteSigner

__all__ = ["KeyFault", "KeyPlaces", "RemoteKey", "RemoteSigner", "make_key", "open_key"]
