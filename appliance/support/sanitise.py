"""Taking secrets and addresses out of text that leaves the box.

Rules of this file: pure. Secrets go by what they are (every one that the box knows of is replaced wherever it stands)
and by what they look like (keys in PEM, tokens, passwords in addresses, `password = ...`), because a log may hold one
that the box has forgotten. Masking too much is right; an address becomes a keyed, prefix-preserving pseudonym, the same
in all of one bundle, so that who talks to whom can still be followed. The key is thrown away with the bundle.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import quote, unquote

from appliance.engine.pseudonym import CryptoPan

MASK = "<secret>"
# What is shorter is a word, and would be masked out of every sentence.
SHORTEST_SECRET = 4

# Every repetition is bounded: a log may be made to hold anything, and must not hold the bundle up.
_PEM_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|\Z)", re.DOTALL
)
_PEM_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----")
# More than the largest key has; what is further away is not of it.
_PEM_CHARACTERS = 8192
_TOKEN = re.compile(r"(t-[a-z2-7]{12})\.[A-Za-z0-9_-]+")
_USERINFO = re.compile(rf"://(?:{MASK}|[^\s\"'<>]){{0,256}}@")
_HEADER = re.compile(r"((?:proxy-)?authorization|(?:set-)?cookie)\s{0,8}[:=].*", re.IGNORECASE)
_NAMED = re.compile(
    r"((?:(?:password|passwd|passphrase)(?:[\"']?\s{0,8}[=:]|\s{1,8}(?:is|was)\s)"
    r"|(?:secret|api[_-]?key|private[_-]?key|recovery[_-]?key|token|psk)[\"']?\s{0,8}[=:])\s{0,8})"
    r"(\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'|[^\s,;]+)",
    re.IGNORECASE,
)
# systemd-cryptenroll(1): eight times eight letters of modhex.
_RECOVERY = re.compile(r"\b[cbdefghijklnrtuv]{8}(?:-[cbdefghijklnrtuv]{8}){7}\b")
_CONTROL = re.compile(r"\x1b\[[0-9;?]{0,32}[ -/]{0,8}[@-~]|[\x00-\x08\x0b-\x1f\x7f]")

_MAC = r"(?<![0-9A-Fa-f:-])[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}(?![0-9A-Fa-f:-])"
_MAC_NAME = r"(?<=\benx)[0-9a-f]{12}\b"
# 45 characters is the longest form, with an IPv4 address at its end.
_V6 = r"(?<![\w:.])(?=[0-9A-Fa-f]{0,4}:)[0-9A-Fa-f:.]{2,46}(?![\w:])"
_V4 = r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\w)"
_ADDRESS = re.compile(f"(?P<mac>{_MAC}|{_MAC_NAME})|(?P<ip>{_V6}|{_V4})")

_CONFIG_SECRET = re.compile(
    r"^\s*(?:token|proxy|[\w-]*(?:password|secret))\s*=\s*(?:\"([^\"\n]*)\"|'([^'\n]*)')", re.MULTILINE
)


class Sanitiser:
    """Text in, text without secrets and, unless they are kept, without addresses out."""

    def __init__(self, secrets: Iterable[str], key: bytes, *, keep_addresses: bool = False) -> None:
        """`key`: 32 octets, fresh for each bundle."""
        known = {form for secret in secrets for form in _forms(secret) if len(form) >= SHORTEST_SECRET}
        # The longest first: a token before the half of it.
        ordered = sorted(known, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, ordered))) if ordered else None
        self._pseudonym = CryptoPan(key)
        self._key = key
        self._keep_addresses = keep_addresses

    def __call__(self, text: str) -> str:
        """What may leave the box."""
        text = _CONTROL.sub("", text.replace("\r\n", "\n"))
        if self._known is not None:
            text = self._known.sub(MASK, text)
        text = _PEM_KEY.sub(MASK, text)
        text = _without_ends(text)
        text = _TOKEN.sub(rf"\1.{MASK}", text)
        text = _USERINFO.sub(f"://{MASK}@", text)
        text = _HEADER.sub(rf"\1: {MASK}", text)
        text = _NAMED.sub(rf"\1{MASK}", text)
        text = _RECOVERY.sub(MASK, text)
        return text if self._keep_addresses else _ADDRESS.sub(self._address, text)

    def _address(self, found: re.Match[str]) -> str:
        text = found[0]
        if found["mac"]:
            return self._mac(text)
        # A sentence may end behind an address.
        stem = text.rstrip(".")
        tail = text[len(stem) :]
        if stem.endswith(":") and not stem.endswith("::"):
            stem, tail = stem[:-1], ":" + tail
        try:
            address = ipaddress.ip_address(stem)
        except ValueError:
            return text
        if address.is_loopback or address.is_unspecified or address.is_multicast or stem.startswith("255."):
            return text
        return self._pseudonym(stem) + tail

    def _mac(self, text: str) -> str:
        """The maker stays, which tells the card; the rest goes."""
        digits = re.sub("[:-]", "", text).lower()
        if digits in ("0" * 12, "f" * 12):
            return text
        hidden = digits[:6] + hmac.new(self._key, digits.encode(), hashlib.sha256).hexdigest()[:6]
        if len(text) == len(digits):
            return hidden
        return text[2].join(hidden[at : at + 2] for at in range(0, 12, 2))


def _without_ends(text: str) -> str:
    """The ends of keys whose beginnings were cut off."""
    pieces, at = [], 0
    for found in _PEM_END.finditer(text):
        pieces += [text[at : max(at, found.start() - _PEM_CHARACTERS)], MASK]
        at = found.end()
    return "".join([*pieces, text[at:]])


def secrets_in(config_text: str) -> list[str]:
    """The secrets that a configuration or setup file names, also one that is no TOML any more."""
    return [first or second for first, second in _CONFIG_SECRET.findall(config_text) if first or second]


def _forms(secret: str) -> Iterable[str]:
    """The parts of a secret that give it away, in the spellings they come in."""
    name, dot, half = secret.partition(".")
    if dot and name.startswith("t-"):
        # The half before the dot is the token's name; support asks for it.
        yield half
        return
    if "://" not in secret:
        yield secret
        return
    userinfo, at, _ = secret.partition("://")[2].rpartition("@")
    password = userinfo.partition(":")[2]
    if at and password:
        yield from (password, unquote(password), quote(unquote(password), safe=""))
