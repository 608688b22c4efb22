"""Keys never show: not in a repr, not in an error, not through Settings."""

import pytest

from desk.base.errors import ConfigError
from desk.base.paths import Home
from desk.config.load import load
from desk.config.secrets import keys_of

KEY, SECRET = "FAKEKEY0123456789", "FAKESECRET9876543210"


def environment() -> dict[str, str]:
    return {"BINANCE_API_KEY": KEY, "BINANCE_API_SECRET": SECRET}


def test_a_key_pair_shows_its_venue_only():
    keys = keys_of("binance", environment())
    for shown in (repr(keys), str(keys), f"{keys}", repr([keys]), repr({"a": keys}), str(keys.__rich_repr__())):
        assert KEY not in shown
        assert SECRET not in shown
    assert keys.present


def test_the_mark_tells_keys_apart_and_gives_none_away():
    mark = keys_of("binance", environment()).mark
    assert mark != keys_of("binance", {"BINANCE_API_KEY": KEY + "x"}).mark
    assert KEY[:4] not in mark
    assert keys_of("binance", {}).mark == ""


@pytest.mark.parametrize(("name", "half"), [("BINANCE_API_KEY", KEY), ("BINANCE_API_SECRET", SECRET)])
def test_a_missing_half_is_named_without_the_other(name: str, half: str):
    present = {key: value for key, value in environment().items() if key != name}
    with pytest.raises(ConfigError) as caught:
        keys_of("binance", present).need()
    assert name in caught.value.line()
    assert KEY not in caught.value.line()
    assert SECRET not in caught.value.line()


def test_settings_do_not_print_the_environment(place: Home, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BINANCE_API_KEY", KEY)
    monkeypatch.setenv("BINANCE_API_SECRET", SECRET)
    settings = load(place)
    shown = f"{settings!r} {settings.__rich_repr__()}"
    assert KEY not in shown
    assert SECRET not in shown
