"""The system mode: strictest wins, DEGRADE ends after two good heartbeats of a minute, PAUSE only by its latch."""

from hypothesis import given
from hypothesis import strategies as st

from desk.base.reasons import Reason
from desk.config.schema import Health
from desk.risk.latch_file import PauseView
from desk.risk.system_mode import RANK, SIGNALS, ModeState, next_mode, to_latch, wanted

OPEN = PauseView("NORMAL")
PAUSED = PauseView("PAUSE", (str(Reason.MANUAL_PAUSE),))
DEGRADED = PauseView("DEGRADE", (str(Reason.MANUAL_DEGRADE),))
LIMITS = Health()
DISK = frozenset({str(Reason.DISK_DEGRADE)})
NONE: frozenset[str] = frozenset()
T = 1_767_571_200_000


def walk(*steps: tuple[frozenset[str], int]) -> ModeState:
    """Heartbeats: (active codes, seconds)."""
    state = ModeState()
    for active, at_s in steps:
        state = next_mode(state, active, OPEN, T + at_s * 1000, LIMITS)
    return state


def test_normal_stays_normal_and_keeps_its_time() -> None:
    assert walk((NONE, 0), (NONE, 60)) == ModeState(mode="NORMAL", since_ms=T)


def test_a_signal_degrades_at_once() -> None:
    state = walk((NONE, 0), (DISK, 60))
    assert (state.mode, state.reasons, state.since_ms) == ("DEGRADE", (str(Reason.DISK_DEGRADE),), T + 60_000)


def test_two_good_heartbeats_of_a_minute_end_it() -> None:
    assert walk((DISK, 0), (NONE, 60)).mode == "DEGRADE"
    assert walk((DISK, 0), (NONE, 60), (NONE, 120)).mode == "NORMAL"
    assert walk((DISK, 0), (NONE, 60), (NONE, 119)).mode == "DEGRADE"  # too close together
    assert walk((DISK, 0), (NONE, 60), (NONE, 119), (NONE, 121)).mode == "NORMAL"
    assert walk((DISK, 0), (NONE, 60), (NONE, 60)).mode == "DEGRADE"  # the same moment twice is one look
    assert walk((DISK, 0), (NONE, 300)).mode == "DEGRADE"  # one look is one look, however late


def test_a_bad_heartbeat_starts_the_count_again() -> None:
    assert walk((DISK, 0), (NONE, 60), (DISK, 120), (NONE, 180)).mode == "DEGRADE"
    assert walk((DISK, 0), (NONE, 60), (DISK, 120), (NONE, 180), (NONE, 240)).mode == "NORMAL"


def test_a_clock_that_steps_back_starts_the_count_again() -> None:
    assert walk((DISK, 0), (NONE, 600), (NONE, 60), (NONE, 100)).mode == "DEGRADE"
    assert walk((DISK, 0), (NONE, 600), (NONE, 60), (NONE, 120)).mode == "NORMAL"


def test_reasons_stay_shown_until_it_ends() -> None:
    state = walk((DISK, 0), (frozenset({str(Reason.CLOCK_DRIFT)}), 60), (NONE, 120))
    assert set(state.reasons) == {str(Reason.DISK_DEGRADE), str(Reason.CLOCK_DRIFT)}
    assert state.since_ms == T


def test_pause_lasts_as_long_as_its_latch() -> None:
    state = next_mode(ModeState(), NONE, PAUSED, T, LIMITS)
    for minute in range(1, 5):
        state = next_mode(state, NONE, PAUSED, T + minute * 60_000, LIMITS)
        assert (state.mode, state.reasons) == ("PAUSE", (str(Reason.MANUAL_PAUSE),))
    assert next_mode(state, NONE, OPEN, T + 600_000, LIMITS).mode == "NORMAL"


def test_a_signal_under_pause_still_needs_its_two_good_heartbeats() -> None:
    state = next_mode(ModeState(), DISK, PAUSED, T, LIMITS)
    assert state.mode == "PAUSE"
    assert next_mode(state, NONE, OPEN, T + 60_000, LIMITS).mode == "DEGRADE"
    for minute in (1, 2):
        state = next_mode(state, NONE, PAUSED, T + minute * 60_000, LIMITS)
    assert next_mode(state, NONE, OPEN, T + 180_000, LIMITS).mode == "NORMAL"


def test_a_pause_signal_pauses_before_it_is_latched() -> None:
    state = next_mode(ModeState(), frozenset({str(Reason.DISK_PAUSE), *DISK}), OPEN, T, LIMITS)
    assert (state.mode, state.reasons) == ("PAUSE", (str(Reason.DISK_PAUSE),))
    assert to_latch([*DISK, str(Reason.DISK_PAUSE)]) == (str(Reason.DISK_PAUSE),)


def test_a_manual_degrade_ends_with_its_latch() -> None:
    state = next_mode(ModeState(), NONE, DEGRADED, T, LIMITS)
    assert (state.mode, state.reasons) == ("DEGRADE", (str(Reason.MANUAL_DEGRADE),))
    assert next_mode(state, NONE, OPEN, T + 1000, LIMITS).mode == "NORMAL"


def test_exit_outranks_everything_while_it_is_asked_for() -> None:
    leaving = frozenset({str(Reason.MODE_EXIT)})
    state = next_mode(ModeState(), leaving, PAUSED, T, LIMITS)
    assert (state.mode, state.reasons) == ("EXIT", (str(Reason.MODE_EXIT),))
    assert next_mode(state, NONE, OPEN, T + 60_000, LIMITS).mode == "DEGRADE"


def test_an_unknown_signal_is_never_fine() -> None:
    assert wanted("health:never_heard_of") == "DEGRADE"
    assert set(SIGNALS.values()) <= set(RANK) and all(isinstance(code, Reason) for code in SIGNALS)


@given(st.lists(st.tuples(st.sampled_from([NONE, DISK]), st.sampled_from([OPEN, PAUSED, DEGRADED])), max_size=30))
def test_the_mode_is_never_milder_than_its_inputs(steps: list[tuple[frozenset[str], PauseView]]) -> None:
    state, last_bad_ms = ModeState(), None
    for minute, (active, pause) in enumerate(steps):
        now_ms = T + minute * 60_000
        state = next_mode(state, active, pause, now_ms, LIMITS)
        assert RANK[state.mode] >= RANK[pause.state]
        last_bad_ms = now_ms if active else last_bad_ms
        is_recent = last_bad_ms is not None and now_ms - last_bad_ms < 120_000
        assert (RANK[state.mode] >= RANK["DEGRADE"]) == (is_recent or pause.state != "NORMAL")
