"""Keeping secrets out of what latches write down: notes, snapshots. Pure (P9)."""

from collections.abc import Mapping
from typing import Final

ENDINGS: Final = ("_API_KEY", "_API_SECRET", "_SECRET", "_TOKEN", "_PASSWORD")
SECRET_CHARS_MIN: Final = 4  # a shorter value would blank out ordinary words
HIDDEN: Final = "***"


def without_secrets(text: str, environment: Mapping[str, str]) -> str:
    """The text with every configured secret replaced; longest first, so that none is left in pieces."""
    secrets = {value for name, value in environment.items() if name.endswith(ENDINGS)}
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= SECRET_CHARS_MIN:
            text = text.replace(secret, HIDDEN)
    return text
