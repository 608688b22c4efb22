"""websocket: the age of streamed data, judged only where MARKET_DATA_MODE=ws asks for it (rules.md, Health signals)."""

from collections.abc import Iterator
from typing import Final

from desk.base.reasons import Reason
from desk.health import rest_life
from desk.health.facts import HealthFacts, StreamLook
from desk.health.result import Cause, CheckResult, Kill, Status, judged

WS_KILL: Final = "ws_stale_60s"
HOUR_MS: Final = 3_600_000


def websocket(facts: HealthFacts) -> CheckResult:
    """Old data is a WARNING while REST is fresh and may stand in, else DEGRADE; with REST stale too it pauses, and
    engages the kill switch when positions are open."""
    if not facts.streams:
        return judged("websocket", (), "not asked for (MARKET_DATA_MODE=rest)")
    causes: list[Cause] = []
    kills: list[Kill] = []
    for venue, look in facts.streams.items():
        found = [*_data(facts, venue, look)]
        if any(cause.reason is Reason.WS_PAUSE for cause in found) and _is_held(facts, venue):
            text = f"{venue} WebSocket and REST stale with positions open"
            found.append(Cause(reason=Reason.KILL_WS, text=text, status=Status.CRITICAL, venue=venue))
            kills.append(Kill(reason=WS_KILL, text=text))
        causes += [*found, *_reconnects(facts, venue, look)]
    ages_ms = {venue: _age_ms(facts, look) for venue, look in facts.streams.items() if not look.no_stream}
    data = {venue: _row(facts.streams[venue], age_ms) for venue, age_ms in ages_ms.items()}
    shown = ", ".join(f"{name} {facts.streams[name].phase} {ms} ms" for name, ms in ages_ms.items() if ms >= 0)
    return judged("websocket", causes, shown, data, tuple(kills[:1]))


def _data(facts: HealthFacts, venue: str, look: StreamLook) -> Iterator[Cause]:
    fallback, limits = facts.limits.market_data.ws_rest_fallback, facts.limits.streams
    if look.no_stream:
        status = Status.WARNING if fallback else facts.unknown
        text = f"{venue}: {look.no_stream}: " + ("REST is read" if fallback else "and REST is off")
        yield Cause(reason=Reason.WS_OFF, text=text, status=status, signal=not fallback, venue=venue)
        return
    if not look.written_ms and facts.is_pending(facts.interval_ms("router")):
        yield Cause(reason=Reason.WS_OFF, text=f"{venue} no stream yet", status=Status.PENDING, venue=venue)
        return
    age_ms = facts.now_ms - max(look.data_ms, facts.since_ms)
    if facts.is_future(look.data_ms):
        yield Cause(reason=Reason.TIME_FUTURE, text=f"{venue} streamed data is from the future", status=facts.unknown,
                    signal=True, venue=venue)  # fmt: skip
    elif age_ms > 1000 * limits.stale_warn_s:
        yield _stale(facts, venue, look, age_ms)


def _stale(facts: HealthFacts, venue: str, look: StreamLook, age_ms: int) -> Cause:
    why = f" ({look.why})" if look.why else "" if look.written_ms else " (market_stream.py has not run)"
    text = f"{venue} WebSocket data is {age_ms // 1000} s old{why}"
    rest_fresh = rest_life.is_fresh(facts, venue)
    if age_ms > 1000 * facts.limits.streams.stale_pause_s and not rest_fresh:
        return Cause(
            reason=Reason.WS_PAUSE, text=f"{text}, REST stale too", status=Status.CRITICAL, signal=True, venue=venue
        )
    if rest_fresh and facts.limits.market_data.ws_rest_fallback:
        return Cause(reason=Reason.WS_STALE, text=f"{text}, REST is read", venue=venue)
    off = "" if facts.limits.market_data.ws_rest_fallback else ", REST fallback is off"
    return Cause(reason=Reason.WS_DEGRADE, text=text + off, signal=True, venue=venue)


def _reconnects(facts: HealthFacts, venue: str, look: StreamLook) -> Iterator[Cause]:
    limits = facts.limits.streams
    hour = sum(1 for at_ms in look.reconnects if 0 <= facts.now_ms - at_ms < HOUR_MS)
    burst = sum(1 for at_ms in look.reconnects if 0 <= facts.now_ms - at_ms < 1000 * limits.burst_window_s)
    if burst >= limits.reconnects_burst:
        text = f"{venue} {burst} reconnects in {limits.burst_window_s} s"
        yield Cause(reason=Reason.WS_RECONNECTS, text=text, signal=True, venue=venue)
    elif hour > limits.reconnects_per_hour_warn:
        yield Cause(reason=Reason.WS_RECONNECTS, text=f"{venue} {hour} reconnects in an hour", venue=venue)
    reconciled_ms = facts.reconciled.last_success_ms if facts.reconciled is not None else 0
    if look.gap_ms > reconciled_ms:
        text = f"{venue} user data was interrupted; the next reconcile reads what was missed"
        yield Cause(reason=None, text=text, status=Status.OK)


def _is_held(facts: HealthFacts, venue: str) -> bool:
    """Positions are open there; a journal that cannot tell counts as yes."""
    if facts.fold is None:
        return True
    return any(position.venue == venue and position.quantity for position in facts.fold.positions.positions.values())


def _age_ms(facts: HealthFacts, look: StreamLook) -> int:
    return facts.now_ms - look.data_ms if look.data_ms else -1


def _row(look: StreamLook, age_ms: int) -> dict[str, str | int]:
    return {"phase": look.phase or "off", "age_ms": age_ms, "reconnects": len(look.reconnects)}
