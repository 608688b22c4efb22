"""Signing and encoding against the published vectors, and what reaches the wire."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

import binance_client
import btcturk_client
import mexc_client
from desk.base.errors import BadInput, ConfigError
from desk.base.paths import find_home
from desk.config.load import load
from desk.config.secrets import Keys
from desk.venues.caller import encode, json_body
from venue.kit import CONTRACTS, needs_contracts

SIGN = {"binance": binance_client.sign, "mexc": mexc_client.sign}


@needs_contracts
@pytest.mark.parametrize("venue", SIGN)
def test_published_vectors(venue: str) -> None:
    rows = json.loads((CONTRACTS / venue / "signatures.json").read_text())
    assert rows
    for row in rows:
        assert SIGN[venue](row["payload"], row.get("secret") or row["private_key_pem"]) == row["signature"]


@needs_contracts
def test_the_documented_request_is_encoded_as_documented() -> None:
    row = json.loads((CONTRACTS / "binance" / "signatures.json").read_text())[0]
    assert encode(dict(row["params"])) == row["payload"]


@needs_contracts
def test_an_ed25519_key_may_be_a_file_or_one_line(tmp_path: Path) -> None:
    row = next(r for r in json.loads((CONTRACTS / "binance" / "signatures.json").read_text()) if "private_key_pem" in r)
    path = tmp_path / "key.pem"
    path.write_text(row["private_key_pem"])
    for secret in (str(path), row["private_key_pem"].replace("\n", "\\n")):
        assert binance_client.sign(row["payload"], secret) == row["signature"]


def test_a_broken_pem_is_one_line_without_the_key(tmp_path: Path) -> None:
    body = "bm90IGEga2V5"
    marks = [f"-----{word} PRIVATE KEY-----" for word in ("BEGIN", "END")]
    for secret in (f"{marks[0]}\n{body}\n{marks[1]}", str(tmp_path / "absent.pem")):
        with pytest.raises(ConfigError, match="BINANCE_API_SECRET: is no usable Ed25519 key") as caught:
            binance_client.sign("a=1", secret)
        assert body not in str(caught.value)


def test_values_are_encoded_once_and_plainly() -> None:
    params = {"symbol": "币安USDT", "q": Decimal("1E-7"), "flag": True, "none": None}
    params |= {"list": ["A", "B&C"], "s": "a b+~"}
    assert encode(params) == (
        "symbol=%E5%B8%81%E5%AE%89USDT&q=0.0000001&flag=true&list=%5B%22A%22%2C%22B%26C%22%5D&s=a%20b%2B~"
    )


@pytest.mark.parametrize("value", [0.1, b"x", {"a": 1}])
@pytest.mark.parametrize("write", [encode, json_body])
def test_a_float_is_refused_money_is_text(value: object, write: Callable[[dict[str, object]], object]) -> None:
    with pytest.raises(BadInput, match="parameter price"):
        write({"price": value})


@needs_contracts
def test_btcturk_signs_key_and_stamp_in_headers() -> None:
    rows = json.loads((CONTRACTS / "btcturk" / "signatures.json").read_text())
    assert len(rows) == 2
    for row in rows:
        assert btcturk_client.sign(row["payload"], row["secret_base64"]) == row["signature"]
        keys = Keys("btcturk", row["public_key"], row["secret_base64"])
        assert btcturk_client.signed_headers(keys, int(row["stamp"])) == row["headers"]


@pytest.mark.parametrize("secret", ["wrong-secret-1", "two words", "YWJ"])
def test_a_secret_that_is_no_base64_is_one_line_without_it(secret: str) -> None:
    with pytest.raises(ConfigError, match="BTCTURK_API_SECRET: is no base64 text") as caught:
        btcturk_client.sign("a", secret)
    assert secret not in caught.value.line()


@pytest.mark.parametrize(("given", "read"), [("simsecret", "c2ltc2VjcmV0"), ("c2ltc2VjcmV0", "c2ltc2VjcmV0")])
def test_the_simulators_own_secret_counts_there_and_only_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, read: str
) -> None:
    for name, value in {
        "SANAD_HOME": str(tmp_path), "SYSTEM_MODE": "PAPER", "VENUES": "btcturk", "UNIVERSE_SYMBOLS": "BTCTRY",
        "BTCTURK_REST_URL": "http://127.0.0.1:1", "BTCTURK_API_KEY": "simkey", "BTCTURK_API_SECRET": given,
        "VENUE_ENV": "sim",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    headers = btcturk_client.make_client(load(find_home().ensure())).caller.signed_headers(1)
    assert headers == btcturk_client.signed_headers(Keys("btcturk", "simkey", read), 1)
    monkeypatch.setenv("VENUE_ENV", "mainnet")
    if given != read:
        with pytest.raises(ConfigError, match="is no base64 text"):
            btcturk_client.make_client(load(find_home().ensure())).caller.signed_headers(1)


def test_a_body_holds_exact_numbers() -> None:
    params = {"pairSymbol": "BTCTRY", "quantity": Decimal("1E-8"), "price": Decimal("460000.10"), "stopPrice": None}
    assert json_body(params) == b'{"pairSymbol":"BTCTRY","quantity":0.00000001,"price":460000.1}'


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=20), max_size=6))
def test_encoding_loses_nothing(params: dict[str, str]) -> None:
    assert dict(parse_qsl(encode(params), keep_blank_values=True)) == params
