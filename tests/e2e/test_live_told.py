"""What the user data stream tells of a settled order is a reason to look it up, never a booking (ADR 029)."""

from pathlib import Path

import livekit
from desk.base.paths import Home
from desk.state import store

TICKS_MAX = 9
HIDDEN_S = 480


def test_a_settled_order_of_which_the_stream_speaks_is_looked_up(tmp_path: Path) -> None:
    with livekit.armed(tmp_path) as rig:
        assert rig.sim is not None
        rig.fault("drop_after_accept")
        rig.fault("listing_lag", HIDDEN_S)
        rig.signal("in")
        rig.tick()
        name = rig.posts()[0]["clientOrderId"]

        def state() -> str:
            return rig.fold().intents.intents[name].state

        for _ in range(TICKS_MAX):
            if state() == "NOT_FOUND":
                break
            rig.tick()
        assert state() == "NOT_FOUND"
        rig.sim.advance(HIDDEN_S * 1000)  # it is there now, and the router alone would not ask
        rig.minute()
        rig.door("router", "--live")
        assert state() == "NOT_FOUND"
        seen = {
            "symbol": livekit.SYMBOL, "status": "FILLED", "executed": "0", "event_ms": rig.sim.now_ms, "what": "TRADE",
        }  # fmt: skip
        store.write(Home(rig.home), "user_data", {"orders": {name: seen}}, "market_stream", venue="binance")
        rig.minute()
        rig.door("router", "--live")
        assert state() == "CONFIRMED"
        assert rig.quantity == rig.owned() > 0  # booked from the look, not from the note
        assert len(rig.posts()) == len({post["clientOrderId"] for post in rig.posts()})  # nothing was sent twice
        booked = len(rig.events("FILL"))
        rig.minute()
        rig.door("router", "--live")
        assert len(rig.events("FILL")) == booked
