"""A home with its own copy of the shipped configuration, and a way to change one line of it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from desk.base.paths import CHECKOUT, Home

Write = Callable[[str, str], None]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """SYSTEM_MODE=PAPER and an empty .env, so that the checkout's own is not read."""
    monkeypatch.setenv("SYSTEM_MODE", "PAPER")
    home = Home(tmp_path / "home").ensure()
    (home.root / ".env").write_text("")
    (home.config / "sanad.toml").write_bytes((CHECKOUT / "config" / "sanad.toml").read_bytes())
    return home


@pytest.fixture
def change(place: Home) -> Write:
    """`change(old, new)`: one edit of the file, which must be there."""

    def edit(old: str, new: str) -> None:
        path = place.config / "sanad.toml"
        text = path.read_text()
        assert old in text, f"{old!r} is not in the shipped file"
        path.write_text(text.replace(old, new, 1))

    return edit
