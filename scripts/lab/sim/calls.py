"""One HTTP call as the dialects see it, and the answer they give. Parsing of parameters, nothing venue-specific."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from lab.sim.faults import Hit


@dataclass(slots=True)
class Call:
    """A request; `query` and `body` are the raw text as sent, `params` both of them decoded (query wins)."""

    method: str
    path: str
    query: str
    body: str
    headers: Mapping[str, str]
    hit: Hit = field(default_factory=Hit)
    params: dict[str, str] = field(default_factory=dict)
    duplicate_param: bool = False

    def __post_init__(self) -> None:
        pairs = parse_qsl(self.query, keep_blank_values=True)
        self.duplicate_param = len({name for name, _ in pairs}) != len(pairs)
        self.params = _body_params(self.body) | dict(pairs)


def _body_params(body: str) -> dict[str, str]:
    """A form, or a JSON object whose numbers keep their text; what is neither has no parameters."""
    if not body.lstrip().startswith("{"):
        return dict(parse_qsl(body, keep_blank_values=True))
    try:
        raw = json.loads(body, parse_float=str, parse_int=str)
    except (ValueError, RecursionError):
        return {}
    return {str(name): value for name, value in raw.items() if isinstance(value, str)}


@dataclass(slots=True)
class Reply:
    """An answer; `payload` is JSON material, or ready text when `content_type` is not JSON."""

    status: int
    payload: Any
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


class ApiError(Exception):
    """A refusal in a venue's own words."""

    def __init__(self, status: int, code: int, message: str, **extra: Any) -> None:
        super().__init__(f"{code} {message}")
        self.status = status
        self.body: dict[str, Any] = {"code": code, "msg": message, **extra}
        self.headers: dict[str, str] = {}


Handler = Callable[[Call], Any]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A row of a dialect's table. `allowed` parameters beside the signing ones; `weight` by parameters."""

    handler: Handler
    weight: Callable[[dict[str, str]], int]
    signed: bool = False
    allowed: frozenset[str] = frozenset()
    is_order: bool = False  # POST of an order: counted, modifiers of faults apply
    free_when_accepted: bool = False  # placing and cancelling: weight is given back on success


def names(text: str) -> frozenset[str]:
    """A set of parameter names from a blank-separated list."""
    return frozenset(text.split())


def fixed(weight: int) -> Callable[[dict[str, str]], int]:
    """A weight that does not depend on parameters."""
    return lambda params: weight
