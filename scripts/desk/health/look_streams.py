"""What heartbeat reads of the streams: the service's own state and the true age of what it wrote. Reads only."""

from desk.base.paths import Home
from desk.config.schema import Config
from desk.health.facts import StreamLook
from desk.health.schedule import whole
from desk.venues import stream_files
from desk.venues.stream_files import Doc


def looks(home: Home, venues: tuple[str, ...], symbols: tuple[str, ...], limits: Config) -> dict[str, StreamLook]:
    """Venue -> its streams, for every venue while MARKET_DATA_MODE=ws; one where they are switched off says so."""
    if limits.market_data.mode != stream_files.WS:
        return {}
    off = StreamLook(no_stream="BTCTURK_WS_ENABLED is not true")
    return {venue: _look(home, venue, symbols) if stream_files.is_asked(limits, venue) else off for venue in venues}


def _look(home: Home, venue: str, symbols: tuple[str, ...]) -> StreamLook:
    if venue in stream_files.NO_STREAM:
        return StreamLook(no_stream=stream_files.NO_STREAM[venue])
    shown = stream_files.market(home, venue)
    ages = [found.book.as_of_ms for symbol in symbols if (found := shown.get(symbol)) is not None and found.book]
    status: Doc = stream_files.read(home, "streams", venue=venue)
    listed = status.get("reconnects")
    return StreamLook(
        phase=str(status.get("phase", "")), why=str(status.get("why", "")),
        data_ms=min(ages) if len(ages) == len(symbols) else 0, written_ms=whole(status.get("written_ms")),
        reconnects=tuple(whole(at) for at in listed) if isinstance(listed, list) else (),
        gap_ms=whole(status.get("gap_ms")),
    )  # fmt: skip
