"""Signatures over exactly the bytes that were sent, and the two-sided timestamp check. Holds the account's keys."""

import base64
import binascii
import hashlib
import hmac
import re
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from lab.sim.rejections import SimConfigError

AHEAD_MS_MAX = 1000
RECV_WINDOW_DEFAULT_MS = 5000
RECV_WINDOW_MAX_MS = 60_000
_SIGNATURE = re.compile(r"(?:^|&)signature=([^&]*)")
_MICROSECONDS_FROM = 10**15


class Keys:
    """API key with its secret, or with an Ed25519 public key."""

    def __init__(self, api_key: str, api_secret: str, ed25519_public: Path | None = None) -> None:
        self.api_key = api_key
        self._secret = api_secret.encode()
        self._public = _load_public(ed25519_public) if ed25519_public else None

    @property
    def has_public_key(self) -> bool:
        """True when an Ed25519 key signs (then session.logon is open to it)."""
        return self._public is not None

    def accepts_base64(self, payload: str, signature: str) -> bool:
        """True when `signature` is the base64 form, made with the base64-decoded secret."""
        expected = sign_base64(decoded_secret(self._secret.decode()), payload)
        return hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace"))

    def accepts(self, payload: str, signature: str) -> bool:
        """True when `signature` (as sent, still percent-encoded) fits the payload."""
        if self._public is not None:
            return _ed25519_fits(self._public, payload.encode(), unquote(signature))
        return hmac.compare_digest(sign_hmac(self._secret, payload).encode(), signature.encode())


def sign_hmac(secret: bytes, payload: str) -> str:
    """HMAC-SHA256, lower-case hex."""
    return hmac.new(secret, payload.encode(), hashlib.sha256).hexdigest()


def sign_base64(secret: bytes, payload: str) -> str:
    """HMAC-SHA256, base64 (BTCTurk)."""
    return base64.b64encode(hmac.new(secret, payload.encode(), hashlib.sha256).digest()).decode()


def decoded_secret(text: str) -> bytes:
    """The bytes a base64 secret stands for; a text that is no base64, such as the default, is taken as the bytes."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return text.encode()


def split_signature(query: str, body: str) -> tuple[str, str | None]:
    """(signed payload, signature) of a request: query directly followed by body, signature parameter taken out."""
    signature: str | None = None
    parts = []
    for text in (query, body):
        found = _SIGNATURE.search(text)
        if found and signature is None:
            signature = found.group(1)
        parts.append(_SIGNATURE.sub("", text).removeprefix("&"))
    return "".join(parts), signature


def timestamp_problem(timestamp: str, recv_window: str | None, now_ms: int) -> str | None:
    """'malformed', 'recv_window', 'ahead' or 'old' when a signed request must be refused, else None.

    A timestamp of 16 digits is in microseconds; recvWindow may have 3 decimals.
    """
    if not timestamp.isdigit():
        return "malformed"
    try:
        window = Decimal(recv_window) if recv_window else Decimal(RECV_WINDOW_DEFAULT_MS)
    except InvalidOperation:
        return "recv_window"
    if not 0 < window <= RECV_WINDOW_MAX_MS:
        return "recv_window"
    sent = Decimal(timestamp) / 1000 if int(timestamp) >= _MICROSECONDS_FROM else Decimal(timestamp)
    if sent >= now_ms + AHEAD_MS_MAX:
        return "ahead"
    return "old" if now_ms - sent > window else None


def _load_public(path: Path) -> Any:
    try:
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError:
        raise SimConfigError(
            "--ed25519-public: the package cryptography is missing; pip install cryptography"
        ) from None
    try:
        return load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise SimConfigError(f"--ed25519-public {path}: {error.strerror or error}; check the path") from None
    except ValueError:
        raise SimConfigError(
            f"--ed25519-public {path}: not a PEM public key; export it with openssl pkey -pubout"
        ) from None


def _ed25519_fits(public: Any, payload: bytes, signature: str) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        public.verify(base64.b64decode(signature, validate=True), payload)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True
