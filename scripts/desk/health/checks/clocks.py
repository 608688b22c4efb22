"""ntp_sync: each listed exchange's clock against ours, measured and nothing else (rules.md, Clock)."""

from collections.abc import Iterator

from desk.base.reasons import Reason
from desk.health.facts import ClockLook, HealthFacts
from desk.health.result import Cause, CheckResult, Status, judged


def ntp_sync(facts: HealthFacts) -> CheckResult:
    """PAPER: at most 2000 ms OK, more or unmeasurable WARNING. LIVE: more or unmeasurable CRITICAL, no entries."""
    causes = [cause for venue in facts.venues for cause in _venue(facts, venue, facts.clocks.get(venue))]
    skews = {venue: abs(look.skew_ms) for venue, look in facts.clocks.items() if look.skew_ms is not None}
    if not skews:
        return judged("ntp_sync", causes, "", {"abs_skew_ms": None})
    worst_ms = max(skews.values())
    each = " (" + ", ".join(f"{venue} {skew_ms}" for venue, skew_ms in sorted(skews.items())) + ")"
    noted = " above 500, noted" if facts.is_live and worst_ms > facts.limits.clock.skew_note_ms else ""
    data = {"abs_skew_ms": worst_ms, "venues": skews}
    return judged("ntp_sync", causes, f"abs_skew_ms={worst_ms}{each if len(skews) > 1 else ''}{noted}", data)


def _venue(facts: HealthFacts, venue: str, look: ClockLook | None) -> Iterator[Cause]:
    limits = facts.limits.clock
    if look is None or look.skew_ms is None:
        why = look.problem if look is not None and look.problem else "not measured"
        text = f"{venue} unmeasurable: {why}"
        yield Cause(reason=Reason.CLOCK_UNKNOWN, text=text, status=facts.unknown, signal=facts.is_live, venue=venue)
        return
    if abs(look.skew_ms) > limits.skew_max_ms:
        text = f"{venue} abs_skew_ms={abs(look.skew_ms)} above {limits.skew_max_ms}"
        yield Cause(reason=Reason.CLOCK_SKEW, text=text, status=facts.unknown, signal=facts.is_live, venue=venue)
    if look.stored_offset_ms is not None:
        residual_ms = abs(look.skew_ms - look.stored_offset_ms)
        if residual_ms > limits.drift_warn_ms:
            text = f"{venue} drifted {residual_ms} ms from the offset in use"
            yield Cause(reason=Reason.CLOCK_DRIFT, text=text, status=Status.WARNING, signal=True, venue=venue)
