"""Every identifier, as a pure function of its inputs (design 4, Client ids). No clock, no random, no path.

The same inputs give the same id on every machine, so a tick run twice proposes the same decision and the
same client order id, which the journal then refuses to send again.
"""

import base64
import hashlib
from typing import Final

CLIENT_ID_LEN_MAX: Final = 32  # the shortest limit among the venues (MEXC)
_PREFIX_LEN: Final = 4
_SEP: Final = "\x1f"  # cannot occur in names, so ("ab","c") and ("a","bc") differ


def digest(*parts: str) -> str:
    """Lower-case base32 of SHA-256 over the parts, 52 characters of [a-z2-7]."""
    raw = hashlib.sha256(_SEP.join(parts).encode()).digest()
    return base64.b32encode(raw).decode().rstrip("=").lower()


def instance_id(configured: str, mode: str, venues: tuple[str, ...], key_fingerprints: tuple[str, ...]) -> str:
    """The account instance: the configured name, else derived from mode, venues and keys; never from a path."""
    return configured or digest("instance", mode, *venues, *key_fingerprints)[:12]


def decision_id(strategy: str, version: str, venue: str, symbol: str, side: str, occasion: str) -> str:
    """One decision for one occasion: the closed bar's open time in ms, or a signal id with its creation time."""
    return "d" + digest("decision", strategy, version, venue, symbol, side, occasion)[:19]


def position_id(venue: str, symbol: str, decision: str) -> str:
    """The position an entry decision opens."""
    return "p" + digest("position", venue, symbol, decision)[:19]


def client_order_id(instance: str, position: str, leg: str, attempt: int) -> str:
    """The client order id of one leg's attempt, at most 32 of [a-z0-9]; the same inputs, the same id."""
    prefix = digest("prefix", instance)[:_PREFIX_LEN]
    return prefix + digest("order", instance, position, leg, str(attempt))[: CLIENT_ID_LEN_MAX - _PREFIX_LEN]


def is_ours(client_id: str, instance: str) -> bool:
    """True when the id carries this account instance's prefix."""
    return client_id.startswith(digest("prefix", instance)[:_PREFIX_LEN]) and len(client_id) == CLIENT_ID_LEN_MAX


def run_id(instance: str, door: str, tick_ms: int, ordinal: int) -> str:
    """One run of a door: instance, door, tick time and how many runs of it that tick time has seen."""
    return "r" + digest("run", instance, door, str(tick_ms), str(ordinal))[:15]


def fingerprint(secret: str) -> str:
    """A short one-way mark of a key, safe to show and to compare; empty for an empty key."""
    return hashlib.sha256(b"sanad-key:" + secret.encode()).hexdigest()[:12] if secret else ""
