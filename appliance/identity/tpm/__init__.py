"""Keys in a TPM 2.0. Needs tpm2-pytss, so only `identity.keystore` imports it, when a TPM is asked for."""

from appliance.identity.tpm.signer import TpmKeyStore, TpmSigner

__all__ = ["TpmKeyStore", "TpmSigner"]
