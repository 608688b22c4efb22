"""When a stream is opened, given up, tried again, renewed. Pure: every decision is a function of the times told to it.

Alive is what has data, not what has a socket. After a loss the next try waits 1, 2, 4, 8, 16 s (five tries), then REST
serves alone and a try follows every ten minutes; only data ends that count. A connection is renewed before the
exchange's 24 hours are over (rules.md, Health signals).
"""

from enum import StrEnum

from desk.config.schema import Streams


class Phase(StrEnum):
    """How a connection stands."""

    WAITING = "waiting"  # for the time of the next try
    OPENING = "opening"  # connected, no data yet
    STREAMING = "streaming"
    REST = "rest"  # five tries failed: REST serves, tried again every ten minutes


class Watch:
    """The life of one connection. Times in ms of our clock."""

    def __init__(self, limits: Streams) -> None:
        self._limits = limits
        self.phase = Phase.WAITING
        self.next_try_ms = 0
        self.opened_ms = 0
        self.data_ms = 0  # when the last message that carried data arrived
        self.tries = 0
        self.reconnects: list[int] = []
        self.why = ""

    def may_open(self, now_ms: int) -> bool:
        """The time of the next try has come."""
        return self.phase in {Phase.WAITING, Phase.REST} and now_ms >= self.next_try_ms

    def opened(self, now_ms: int) -> None:
        """Connected; it has `stale_warn_s` to show data."""
        if self.opened_ms:
            self.reconnects = [at for at in self.reconnects if now_ms - at < 3_600_000] + [now_ms]
        self.phase, self.opened_ms, self.data_ms = Phase.OPENING, now_ms, now_ms

    def data(self, now_ms: int) -> None:
        """A message with data arrived: the connection is alive and earlier failures are forgotten."""
        self.phase, self.data_ms, self.tries, self.why = Phase.STREAMING, now_ms, 0, ""

    def lost(self, now_ms: int, why: str) -> None:
        """The connection ended or could not be made."""
        waits = self._limits.backoff_s
        self.why = why
        if self.tries < len(waits):
            self.phase, self.next_try_ms = Phase.WAITING, now_ms + 1000 * waits[self.tries]
        else:
            self.phase, self.next_try_ms = Phase.REST, now_ms + 1000 * self._limits.retry_after_s
        self.tries += 1

    def renew(self, now_ms: int) -> None:
        """Ended by us, to be opened again at once; it counts as a reconnect, not as a failure."""
        self.phase, self.next_try_ms = Phase.WAITING, now_ms

    def must_close(self, now_ms: int) -> str:
        """Why an open connection has to be given up, "" when it has not."""
        if self.phase not in {Phase.OPENING, Phase.STREAMING}:
            return ""
        if now_ms - self.data_ms > 1000 * self._limits.stale_warn_s:
            return f"no data for {(now_ms - self.data_ms) // 1000} s"
        return ""

    def must_renew(self, now_ms: int) -> bool:
        """The exchange would end it soon by itself."""
        is_open = self.phase in {Phase.OPENING, Phase.STREAMING}
        return is_open and now_ms - self.opened_ms >= 1000 * self._limits.rotate_after_s
