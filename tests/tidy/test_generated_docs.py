"""The pages under docs/ that are made from code are what the code makes; nothing they name is missing."""

import pytest

import make_docs
from desk.base.reasons import Reason
from desk.config import env
from desk.journal.events import Event
from desk.state.registry import ROWS


@pytest.mark.parametrize("name", make_docs.PAGES)
def test_the_page_is_current(name: str):
    assert name not in make_docs.stale(make_docs.DOCS), "run: python scripts/make_docs.py"


def test_a_changed_page_is_noticed(tmp_path):
    for name, make in make_docs.PAGES.items():
        (tmp_path / name).write_text(make())
    assert make_docs.stale(tmp_path) == []
    (tmp_path / "events.md").write_text(make_docs.events_page() + " ")
    (tmp_path / "state.md").unlink()
    assert make_docs.stale(tmp_path) == ["state.md", "events.md"]


def test_every_row_is_named():
    assert [str(r) for r in Reason if f"`{r}`" not in make_docs.reasons_page()] == []
    assert [str(e) for e in Event if f"`{e}`" not in make_docs.events_page()] == []
    assert [row.file for row in ROWS if f"`{row.file}`" not in make_docs.state_page()] == []
    page = make_docs.config_page()
    names = [*env.SETTINGS, *env.SWITCHES, *env.NOT_NEEDED]
    assert [name for name in names if f"`{name}`" not in page] == []
    assert [alias for alias in env.TRY_ALIASES if alias not in page] == []


def test_every_key_of_the_shipped_file_is_in_the_page():
    page, section = make_docs.config_page(), ""
    missing = []
    for line in make_docs.TOML.read_text().splitlines():
        if line.startswith("["):
            section = line.partition("]")[0].strip("[")
        elif " = " in line and not line.startswith("#") and f"`{line.partition(' = ')[0]}`" not in page:
            missing.append(f"{section}.{line.partition(' = ')[0]}")
    assert missing == []


def test_comments_of_the_shipped_file_reach_the_page():
    found = dict(make_docs.commented(make_docs.TOML.read_text()))
    assert found["capital", "drawdown_kill_frac"] == "cannot be set above 0.20"
    assert found["system", "profile"] == "standard | canary"
    page = make_docs.config_page()
    assert [c for (section, _), c in found.items() if "." not in section and c.replace("|", "\\|") not in page] == []


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("skew_max_ms", "milliseconds"), ("read_timeout_s", "seconds"), ("total_frac", "fraction, 0 to 1"),
        ("weight_per_min_default", "per minute"), ("enabled", ""),
    ],
)  # fmt: skip
def test_units_come_from_names(name: str, unit: str):
    assert make_docs.unit(name) == unit
