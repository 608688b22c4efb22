"""What may be appended: our commands raise when they break the table, the exchange's evidence never does."""

from decimal import Decimal

import pytest

import journalkit as kit
from desk.base.errors import InvariantError
from desk.base.paths import Home
from desk.journal import intent_table
from desk.journal.chain import NewEvent
from desk.journal.events import Event
from desk.journal.state import Fold, Intent, is_open, is_unsettled

LOOK = kit.of_order(Event.INTENT_LOOKED, requested_ms=kit.START_MS + 1)
GONE = kit.of_order(Event.INTENT_NOT_FOUND, looks=2)
REFUSED = kit.of_order(Event.INTENT_FAILED_TERMINAL, code="-2010")
NOT_SENT = kit.of_order(Event.INTENT_NOT_SENT, why="stale")
DENIED = kit.of_order(Event.INTENT_DENIED, code="intent:never_sent")
CANCEL = kit.of_order(Event.CANCEL_REQUESTED, why="ttl")
OPEN = kit.confirmed(status="NEW", executed="0")
DONE = kit.confirmed()

TO_STATE: dict[str, list[NewEvent]] = {
    "": [],
    "CREATED": [kit.created()],
    "SENT_UNKNOWN": [kit.created(), kit.sent()],
    "CONFIRMED": [kit.created(), kit.sent(), OPEN],
    "NOT_FOUND": [kit.created(), kit.sent(), GONE],
    "FAILED_TERMINAL": [kit.created(), kit.sent(), REFUSED],
    "DENIED": [kit.created(), DENIED],
}
BY_EVENT: dict[Event, NewEvent] = {
    Event.INTENT_CREATED: kit.created(), Event.INTENT_SENT_UNKNOWN: kit.sent(), Event.INTENT_DENIED: DENIED,
    Event.CANCEL_REQUESTED: CANCEL, Event.INTENT_CONFIRMED: OPEN, Event.INTENT_NOT_FOUND: GONE,
    Event.INTENT_FAILED_TERMINAL: REFUSED, Event.INTENT_NOT_SENT: NOT_SENT, Event.INTENT_LOOKED: LOOK,
    Event.FILL: kit.fill(),
}  # fmt: skip


def in_state(house: Home, state: str) -> None:
    for new in TO_STATE[state]:
        kit.journal(house).transact(lambda fold, new=new: [new])


def appended(house: Home, *events: NewEvent) -> tuple[Fold, list[str]]:
    fold, lines = kit.journal(house).transact(lambda fold: list(events))
    return fold, [line.event for line in lines]


def the_intent(house: Home) -> Intent:
    return kit.journal(house).read_fold().intents.intents["abcd1"]


@pytest.mark.parametrize("event", sorted(intent_table.COMMANDS))
@pytest.mark.parametrize("state", TO_STATE)
def test_every_command_in_every_state(house: Home, state: str, event: Event):
    in_state(house, state)
    following = intent_table.TABLE.get((state, event))
    if following is None:
        before = len(kit.every_line(house))
        with pytest.raises(InvariantError, match="in state"):
            appended(house, BY_EVENT[event])
        assert len(kit.every_line(house)) in {before, 1}  # nothing, or the genesis of an untouched folder
    else:
        fold, events = appended(house, BY_EVENT[event])
        assert events == [event]
        assert fold.intents.intents["abcd1"].state == following


@pytest.mark.parametrize("event", sorted(intent_table.EVIDENCE))
@pytest.mark.parametrize("state", TO_STATE)
def test_every_evidence_in_every_state(house: Home, state: str, event: Event):
    in_state(house, state)
    following = intent_table.TABLE.get((state, event))
    fold, events = appended(house, BY_EVENT[event])
    intent = fold.intents.intents.get("abcd1")
    if not state:
        assert events == ["INTENT_ANOMALY", "ALERT_RAISED"]
        assert intent is None
    elif following is None:
        assert intent is not None
        assert events == [event, "INTENT_ANOMALY", "ALERT_RAISED"]
        assert (intent.state, intent.anomaly) == (state, f"{state}+{event}")
    else:
        assert intent is not None
        assert events[0] == event
        assert (intent.state, intent.anomaly) == (following, "")
        assert events[1:] == (["ALERT_RAISED"] if intent_table.is_late_appearance(state, event) else [])


@pytest.mark.parametrize("event", sorted(intent_table.EVIDENCE))
@pytest.mark.parametrize("state", ["", "CREATED", "DENIED"])
def test_the_same_surprise_again_adds_nothing(house: Home, state: str, event: Event):
    """Looked up every minute, an anomaly must not fill the journal."""
    in_state(house, state)
    appended(house, BY_EVENT[event])
    again = BY_EVENT[event]
    assert appended(house, again, again)[1] == []


@pytest.mark.parametrize(
    "spoilt",
    [
        kit.confirmed(executed="much"),
        kit.confirmed(executed="-1"),
        kit.of_order(Event.INTENT_CONFIRMED, status="NEW"),
        kit.fill(quantity="NaN"),
        kit.fill(price="1e99"),
        kit.fill(side="SHORT"),
        kit.fill(fee="free"),
        kit.fill(trade_id=""),
        kit.fill(trade_id="\ud800"),
        kit.fill(time_ms=-1),
        kit.fill(quantity="1.000000000000000000000001"),
        kit.of_order(Event.INTENT_LOOKED, requested_ms="now"),
        kit.of_order(Event.INTENT_NOT_FOUND, looks=0.5),
        kit.of_order(Event.INTENT_FAILED_TERMINAL, code=-2010),
    ],
    ids=lambda new: str(new.data)[:60],
)
def test_evidence_nobody_can_use_quarantines(house: Home, spoilt: NewEvent):
    in_state(house, "SENT_UNKNOWN")
    fold, events = appended(house, spoilt)
    assert events == ["INTENT_ANOMALY", "ALERT_RAISED"]
    intent = fold.intents.intents["abcd1"]
    assert (intent.state, intent.filled) == ("SENT_UNKNOWN", 0)
    assert intent.anomaly.startswith("SENT_UNKNOWN+")
    assert appended(house, spoilt)[1] == []


def test_a_command_with_a_value_nobody_can_use_is_a_bug(house: Home):
    with pytest.raises(InvariantError, match="cannot use quantity='-1'"):
        appended(house, kit.created(quantity="-1"))


def test_an_unknown_status_word_quarantines_and_is_kept(house: Home):
    in_state(house, "SENT_UNKNOWN")
    fold, events = appended(house, kit.confirmed(status="HALTED", executed="0"))
    assert events == ["INTENT_CONFIRMED", "INTENT_ANOMALY", "ALERT_RAISED"]
    intent = fold.intents.intents["abcd1"]
    assert (intent.state, intent.anomaly) == ("CONFIRMED", "CONFIRMED+status HALTED")
    assert is_open(intent)


def test_a_trade_is_booked_once(house: Home):
    in_state(house, "CONFIRMED")
    assert appended(house, kit.fill(), kit.fill())[1] == ["FILL"]
    assert appended(house, kit.fill())[1] == []
    assert the_intent(house).filled == 1


def test_the_same_trade_id_on_another_symbol_is_another_trade(house: Home):
    in_state(house, "CONFIRMED")
    other = [
        NewEvent(event=new.event, data=new.data | {"client_order_id": "abcd2"}, venue="binance", symbol="ETHUSDT")
        for new in (kit.created(), kit.sent(), kit.fill())
    ]
    assert appended(house, kit.fill(), *other)[1] == ["FILL", "INTENT_CREATED", "INTENT_SENT_UNKNOWN", "FILL"]


def test_the_same_trade_under_another_order_is_a_repeat(house: Home):
    in_state(house, "CONFIRMED")
    appended(house, kit.fill(), kit.created("abcd2", leg="stop"), kit.sent("abcd2"))
    assert appended(house, kit.fill("abcd2"))[1] == []


def test_a_late_fill_after_canceled_is_booked(house: Home):
    in_state(house, "CONFIRMED")
    appended(house, kit.confirmed(status="CANCELED", executed="0"))
    fold, events = appended(house, kit.fill(quantity="0.4"))
    assert events == ["FILL"]
    assert fold.intents.intents["abcd1"].filled == Decimal("0.4")
    assert fold.positions.positions["binance:BTCUSDT"].quantity == Decimal("0.399")


def test_a_late_appearance_is_critical_and_takes_the_symbol_back(house: Home):
    in_state(house, "NOT_FOUND")
    fold, events = appended(house, kit.fill())
    assert events == ["FILL", "ALERT_RAISED"]
    assert fold.intents.intents["abcd1"].final_ms == 0
    (alert,) = fold.portfolio.alerts.values()
    assert (alert.severity, alert.code) == ("CRIT", "intent:late_appearance")


def test_a_stale_status_changes_nothing(house: Home):
    in_state(house, "CONFIRMED")
    appended(house, kit.fill(quantity="0.6"), kit.confirmed(status="CANCELED", executed="0.6"))
    appended(house, kit.confirmed(status="PARTIALLY_FILLED", executed="0.2"))
    intent = the_intent(house)
    assert (intent.status, intent.executed) == ("CANCELED", Decimal("0.6"))


def test_executed_without_fills_is_unsettled(house: Home):
    in_state(house, "CONFIRMED")
    appended(house, kit.confirmed())
    assert is_unsettled(the_intent(house))
    appended(house, kit.fill())
    assert not is_unsettled(the_intent(house))


def test_an_id_in_the_journal_is_never_written_down_again(house: Home):
    in_state(house, "FAILED_TERMINAL")
    with pytest.raises(InvariantError, match="INTENT_CREATED on intent abcd1"):
        appended(house, kit.created())


def test_a_disowned_anomaly_ends_its_order(house: Home):
    in_state(house, "CREATED")
    appended(house, OPEN)
    appended(house, kit.of_order(Event.INTENT_ANOMALY_CLEARED, how="disown", reason="not ours"))
    intent = the_intent(house)
    assert (intent.state, intent.code, intent.anomaly) == ("FAILED_TERMINAL", "disowned", "")


def test_the_table_has_no_way_back_to_sending():
    assert {state for (state, event) in intent_table.TABLE if event is Event.INTENT_SENT_UNKNOWN} == {"CREATED"}
    assert {following for (state, _), following in intent_table.TABLE.items() if state == "DENIED"} == set()
    assert all(event in intent_table.COMMANDS | intent_table.EVIDENCE for _, event in intent_table.TABLE)
