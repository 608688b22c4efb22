"""What a probe of the streams has shown, and the verdict on it. Pure."""

from desk.base import exit_codes
from desk.config.schema import Config
from desk.runtime.tick import Outcome
from desk.venues.streamer import Streamer


class Ages:
    """The worst age of each symbol's book; -1 for one that showed none."""

    def __init__(self, desk: Streamer) -> None:
        self._desk = desk
        self.ms = dict.fromkeys(desk.picture.symbols, -1)

    def note(self, now_ms: int) -> None:
        """After a message: how old each book is now."""
        for symbol, known in self._desk.picture.symbols.items():
            if known.book_ms:
                self.ms[symbol] = max(self.ms[symbol], now_ms - known.book_ms)


def judged(limits: Config, desk: Streamer, ages_ms: dict[str, int], problem: str) -> Outcome:
    """0: every symbol showed a book, none too old. 1: some did not, or were late, or something could not be read."""
    counts, limit_ms = desk.counts, 1000 * limits.streams.stale_warn_s
    silent = [symbol for symbol, age_ms in ages_ms.items() if age_ms < 0]
    worst_ms = max(ages_ms.values(), default=-1)
    document = {**counts, "worst_age_ms": worst_ms, "silent": silent, "problem": problem}
    shown = f"{counts['messages']} messages, {counts['unusable']} unusable, worst age {worst_ms} ms"
    if len(silent) == len(ages_ms):
        return Outcome(exit_codes.FAIL, f"MARKET_STREAM probe — FAIL (no data: {problem or shown})", document)
    if silent or problem or counts["unusable"] or worst_ms > limit_ms:
        why = problem or (f"silent: {', '.join(silent)}" if silent else shown)
        return Outcome(exit_codes.WARN, f"MARKET_STREAM probe — WARNING ({why})", document)
    return Outcome(exit_codes.OK, f"MARKET_STREAM probe — OK ({shown})", document)
