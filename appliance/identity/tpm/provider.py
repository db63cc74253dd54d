"""OpenSSL of this process, made to use keys in a TPM through tpm2-openssl, so that TLS can be stdlib `ssl`.

Rules of this file: only the process that needs it gets the configuration, by its environment (OPENSSL_CONF,
TPM2OPENSSL_TCTI); the system's openssl.cnf is never touched. OpenSSL reads both once, long before a program knows its
own configuration, so the way in is to start the same program again (`enter`). While the provider is active, the process
keeps its line to the TPM open.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from appliance.identity.errors import KeyFileError, ProviderMissingError
from appliance.identity.tpm.session import DEFAULT_TCTI

LEAST_VERSION = (1, 3, 0)
"""1.1.1 (Debian 12) gives its public half to the default provider, which then "signs" without a private key."""
_MODULE = "tpm2.so"

# The default provider comes first and nothing prefers the other one: hashes, verification and key exchange stay in
# software, and only what a TSS2 key must do itself goes to the TPM.
_CONFIGURATION = """\
openssl_conf = openssl_init
[openssl_init]
providers = provider_sect
[provider_sect]
default = default_sect
tpm2 = tpm2_sect
[default_sect]
activate = 1
[tpm2_sect]
activate = 1
module = {module}
"""
_ADVICE = "install Debian's tpm2-openssl >= 1.3.0 (package of Debian 13); in a source tree: make setup-test"


def find_module() -> Path:
    """The provider: the one that set-up put beside this Python, or the system's.

    Raises:
        ProviderMissingError: neither is there.
    """
    ours = Path(sys.prefix) / "lib" / "tpm2-openssl" / _MODULE
    system = Path("/usr/lib") / (sysconfig.get_config_var("MULTIARCH") or "") / "ossl-modules" / _MODULE
    for path in (ours, system):
        if path.is_file():
            return path
    raise ProviderMissingError(f"no OpenSSL provider for the TPM: looked for {ours} and {system}", advice=_ADVICE)


def environment(tcti: str, configuration_path: Path) -> dict[str, str]:
    """What the environment must say for OpenSSL to use the provider, by a configuration at that path."""
    return {"OPENSSL_CONF": str(configuration_path), "TPM2OPENSSL_TCTI": tcti or DEFAULT_TCTI}


def write_configuration(path: Path) -> None:
    """Write OpenSSL's configuration.

    Raises:
        ProviderMissingError: there is no provider.
        KeyFileError: the file cannot be written.
    """
    text = _CONFIGURATION.format(module=find_module())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise KeyFileError(f"{path}: cannot write: {exc.strerror}", advice="check sensor.state_dir") from exc


def is_entered(wanted: Mapping[str, str]) -> bool:
    """Whether this process was started with that environment."""
    return all(os.environ.get(name) == value for name, value in wanted.items())


def enter(wanted: Mapping[str, str], configuration_path: Path) -> NoReturn:
    """Start this program again, as the same process, with that environment.

    Raises:
        ProviderMissingError: there is no provider.
        KeyFileError: OpenSSL's configuration cannot be written.
    """
    write_configuration(configuration_path)
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **wanted})  # noqa: S606


def check_active() -> None:
    """See that the OpenSSL which `ssl` uses has the provider, and a version that works.

    Raises:
        ProviderMissingError: it has not.
    """
    version = _active_version()
    if version is None:
        raise ProviderMissingError(
            "OpenSSL in this process cannot use keys in a TPM: its tpm2 provider is not active", advice=_ADVICE
        )
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:3])
    if numbers < LEAST_VERSION:
        least = ".".join(map(str, LEAST_VERSION))
        raise ProviderMissingError(f"tpm2-openssl {version} came, {least} or later was allowed", advice=_ADVICE)


class _Param(ctypes.Structure):
    """OSSL_PARAM (openssl/core.h)."""

    _fields_ = (
        ("key", ctypes.c_char_p),
        ("data_type", ctypes.c_uint),
        ("data", ctypes.c_void_p),
        ("data_size", ctypes.c_size_t),
        ("return_size", ctypes.c_size_t),
    )


_UTF8_PTR = 6
"""OSSL_PARAM_UTF8_PTR."""


def _active_version() -> str | None:
    """The version of the provider "tpm2" when it is active, by OSSL_PROVIDER_get_params(3)."""
    try:
        # The same library that `ssl` is linked with; it is loaded already.
        crypto = ctypes.CDLL("libcrypto.so.3")
        available, load = crypto.OSSL_PROVIDER_available, crypto.OSSL_PROVIDER_load
        get_params, unload = crypto.OSSL_PROVIDER_get_params, crypto.OSSL_PROVIDER_unload
    except (OSError, AttributeError):
        return None
    load.restype = ctypes.c_void_p
    load.argtypes = available.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
    get_params.argtypes = (ctypes.c_void_p, ctypes.POINTER(_Param))
    unload.argtypes = (ctypes.c_void_p,)
    if not available(None, b"tpm2"):
        return None
    provider = load(None, b"tpm2")
    if not provider:
        return None
    try:
        text = ctypes.c_char_p()
        params = (_Param * 2)()
        params[0] = _Param(b"version", _UTF8_PTR, ctypes.cast(ctypes.byref(text), ctypes.c_void_p), 8, 0)
        if not get_params(provider, params) or text.value is None:
            return None
        return text.value.decode("ascii", errors="replace")
    finally:
        unload(provider)
