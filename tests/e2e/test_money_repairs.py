"""What an operator closes with `reconcile.py --repair`: a drift PAUSE, and what a reseal leaves open (P5, P11)."""

import shutil
from decimal import Decimal as D
from pathlib import Path

import livekit
from desk.journal.state import is_open
from livekit import ACK, SYMBOL, Live

WHY = ("--reason", "the owner says so")
PROJECTIONS = ("intents.json", "positions.json", "portfolio.json", "audit_head.json")


def _repair(rig: Live, how: str, handle: str, *ack: str) -> None:
    done = rig.door("reconcile", "--repair", how, handle, *WHY, *(ack or ("--yes",)))
    assert done.code == 0, done


def test_a_drift_pause_needs_the_repair_a_clean_reconcile_and_the_limits_of_then(tmp_path: Path) -> None:
    changes = {"drift_pause = 50": "drift_pause = 4"}
    with livekit.armed(tmp_path, changes=changes) as rig:
        assert rig.sim is not None
        rig.sim.transfer("USDT", "5")
        said = rig.door("reconcile")
        assert said.code == 1 and rig.fold().portfolio.pause.state == "PAUSE", said
        resume = ("resume", "--reason", "x", *ACK)
        assert rig.door(*resume).code == 1, "no clean reconcile since"
        _repair(rig, "adopt", "binance:USDT:balance")
        assert rig.door(*resume).code == 1, "the repair is no reconcile"
        rig.minute()
        assert rig.door("reconcile").code == 0
        config = rig.home / "config" / "sanad.toml"
        shutil.copy(config, tmp_path / "kept.toml")
        config.write_text(config.read_text().replace("drift_degrade = 20", "drift_degrade = 30"))
        refused = rig.door(*resume)
        assert refused.code == 1 and "the limits changed" in refused.text, refused
        shutil.copy(tmp_path / "kept.toml", config)
        assert rig.door(*resume).code == 0


def _lose(rig: Live) -> None:
    """The whole journal is gone, and sealed anew."""
    (rig.home / "execution-logs" / "audit.jsonl").write_bytes(b"\0" * 4096)
    for path in (rig.home / "execution-logs").glob("audit-*.jsonl"):
        path.unlink()
    for name in PROJECTIONS:
        (rig.home / "state" / name).unlink(missing_ok=True)
    assert rig.door("audit", "reseal", "--reason", "bad sector", *ACK).code == 0


def test_a_deposit_and_a_trade_by_hand_in_the_lost_time_are_adopted_and_the_reseal_ends(tmp_path: Path) -> None:
    with livekit.armed(tmp_path) as rig:
        early = rig.journal.read_bytes()
        rig.minute()
        told = rig.by_hand("BUY", "0.001")
        assert rig.sim is not None
        rig.sim.transfer("USDT", "250")
        rig.door("router", "--live")
        rig.journal.write_bytes(early + b"not a line\n" * 9)
        for name in PROJECTIONS[:3]:
            (rig.home / "state" / name).unlink()
        assert rig.door("audit", "reseal", "--reason", "bad sector", *ACK).code == 0
        assert rig.door("reconcile").code == 1 and rig.fold().portfolio.resealed
        _repair(rig, "adopt", f"binance:{SYMBOL}:order:{told.order_id}", *ACK)
        _repair(rig, "adopt", "binance:USDT:balance")
        assert rig.door("reconcile").code == 0
        assert not rig.fold().portfolio.resealed
        here = rig.fold().portfolio.balances["binance"]
        assert here == {asset: rig.owned(asset) for asset in here}


def test_something_bought_long_ago_becomes_a_position_again_with_its_standing_stop(tmp_path: Path) -> None:
    """ADR 013: an entry older than the list of orders, of which only the stop stands."""
    with livekit.armed(tmp_path) as rig:
        rig.signal("hold", notional_quote="100", stop_price="30000")
        rig.tick()
        held = rig.quantity
        stop = next(name for name, i in rig.fold().intents.intents.items() if i.leg == "stop" and is_open(i))
        assert held and rig.sim is not None
        rig.sim.advance(8 * 86_400_000)
        _lose(rig)
        said = rig.door("reconcile")
        assert said.code == 1 and "lost_order" in said.text, "the stop protects nothing that is known"
        assert not rig.fold().positions.positions and rig.fold().portfolio.resealed
        _repair(rig, "adopt", f"binance:{SYMBOL}:position")
        assert rig.door("reconcile").code == 0
        assert not rig.fold().portfolio.resealed
        position = rig.fold().positions.positions[f"binance:{SYMBOL}"]
        assert held - D("0.00001") < position.quantity <= held and position.stop_price == 30_000
        assert [n for n, i in rig.fold().intents.intents.items() if is_open(i)] == [stop]
        here = rig.fold().portfolio.balances["binance"]
        assert here == {asset: rig.owned(asset) for asset in here}
