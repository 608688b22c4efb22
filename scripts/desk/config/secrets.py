"""API keys. Owns reading and hiding them; no key ever enters a repr, a log, an event or an exception.

Keys come from the environment (or `.env`): `<VENUE>_API_KEY` and `<VENUE>_API_SECRET`. An Ed25519 private
key (PEM text, or the path of a PEM file) in `<VENUE>_API_SECRET` selects Ed25519 signing on Binance.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from desk.base.errors import ConfigError
from desk.base.ids import fingerprint


class Keys(msgspec.Struct, frozen=True):
    """One venue's key pair; prints as its fingerprint only."""

    venue: str
    api_key: str
    api_secret: str

    def __repr__(self) -> str:
        return f"Keys(venue={self.venue!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("venue", self.venue)]

    @property
    def present(self) -> bool:
        """Both halves are set."""
        return bool(self.api_key and self.api_secret)

    @property
    def mark(self) -> str:
        """One-way fingerprint of the public half."""
        return fingerprint(self.api_key)

    def need(self) -> "Keys":
        """Self, when both halves are set.

        Raises:
            ConfigError: a half is missing, or the key cannot stand in a header; names the variable, never a value.
        """
        upper = self.venue.upper()
        for value, suffix in ((self.api_key, "_API_KEY"), (self.api_secret, "_API_SECRET")):
            if not value:
                raise ConfigError("is not set", upper + suffix, "put it in .env (mode 0600) or the environment")
        if not (self.api_key.isascii() and self.api_key.isprintable()):
            raise ConfigError("has a character no key has", upper + "_API_KEY", "paste the key again, on one line")
        return self


def keys_of(venue: str, environment: Mapping[str, str]) -> Keys:
    """The key pair of a venue, halves possibly empty."""
    upper = venue.upper()
    return Keys(venue, environment.get(upper + "_API_KEY", ""), environment.get(upper + "_API_SECRET", ""))
