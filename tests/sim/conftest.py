"""Fixtures of the simulator's tests: a stepped simulator, and a small signing client that shares no code with desk."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests

from lab.sim.server import SimHandle, running_sim

SHARED = Path(__file__).parents[2].parent / "shared"


class Client:
    """Signs like the documentation says and talks to one simulator."""

    def __init__(self, sim: SimHandle, key: str = "simkey", secret: str = "simsecret") -> None:
        self.sim = sim
        self.key = key
        self.secret = secret
        self.header = "X-MEXC-APIKEY" if sim.exchange.venue == "mexc" else "X-MBX-APIKEY"
        self.session = requests.Session()
        self.session.trust_env = False

    def public(self, path: str, **params: Any) -> requests.Response:
        return self.session.get(f"{self.sim.rest_url}{path}", params=params, timeout=10)

    def signed(self, method: str, path: str, **params: Any) -> requests.Response:
        params.setdefault("timestamp", self.sim.now_ms)
        query = urlencode(params)
        query += f"&signature={hmac.new(self.secret.encode(), query.encode(), hashlib.sha256).hexdigest()}"
        return self.send(method, f"{path}?{query}")

    def send(self, method: str, target: str, body: str = "", key: str | None = None) -> requests.Response:
        headers = {self.header: self.key if key is None else key, "Content-Type": "application/x-www-form-urlencoded"}
        url = f"{self.sim.rest_url}{target}"
        return self.session.request(method, url, data=body, headers=headers, timeout=10, allow_redirects=False)

    def order(self, side: str, kind: str, **params: Any) -> requests.Response:
        params.setdefault("symbol", next(iter(self.sim.exchange.markets)))
        return self.signed("POST", "/api/v3/order", side=side, type=kind, **params)

    def limit(self, side: str, price: Any, quantity: Any, **params: Any) -> requests.Response:
        if self.sim.exchange.venue == "binance":
            params.setdefault("timeInForce", "GTC")
        return self.order(side, "LIMIT", price=price, quantity=quantity, **params)

    def best(self) -> tuple[float, float]:
        symbol = next(iter(self.sim.exchange.markets))
        shown = self.public("/api/v3/ticker/bookTicker", symbol=symbol).json()
        return float(shown["bidPrice"]), float(shown["askPrice"])


@pytest.fixture
def make() -> Iterator[Callable[..., Client]]:
    """Start simulators (stepped, seeded BTCUSDT unless told otherwise); all are stopped at the end."""
    with ExitStack() as stack:
        yield lambda **options: Client(stack.enter_context(running_sim(**options)))


@pytest.fixture
def client(make: Callable[..., Client]) -> Client:
    return make()


@pytest.fixture
def write_market(tmp_path: Path) -> Callable[..., Path]:
    """Write a market file from (open, high, low, close, volume) rows, one bar a minute; None leaves a gap."""

    def write(rows: list[tuple[Any, ...] | None], name: str = "m.csv", start_ms: int = 1_700_000_040_000) -> Path:
        lines = ["open_time_ms,open,high,low,close,volume"]
        for place, row in enumerate(rows):
            if row is not None:
                lines.append(",".join([str(start_ms + place * 60_000), *(str(cell) for cell in row)]))
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


@pytest.fixture
def shared_json() -> Callable[[str], Any]:
    """A recorded example below shared/data/contracts; skips visibly where the material is absent."""

    def read(name: str) -> Any:
        path = SHARED / "data" / "contracts" / name
        if not path.exists():
            pytest.skip(f"recorded material not here: ../shared/data/contracts/{name}")
        return json.loads(path.read_text())

    return read


@pytest.fixture
def shared_market() -> Callable[[str], Path]:
    """A recorded market file; skips visibly where it is absent."""

    def find(name: str) -> Path:
        path = SHARED / "data" / "market" / name
        if not path.exists():
            pytest.skip(f"recorded market not here: ../shared/data/market/{name}")
        return path

    return find


@pytest.fixture
def ed25519_pair(tmp_path: Path) -> tuple[Path, Callable[[str], str]]:
    """(public key file, signer) of a fresh Ed25519 key."""
    ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    private = ed25519.Ed25519PrivateKey.generate()
    path = tmp_path / "public.pem"
    formats = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    path.write_bytes(private.public_key().public_bytes(*formats))
    return path, lambda payload: base64.b64encode(private.sign(payload.encode())).decode()
