"""The tables under docs/, written from the code that rules them: state, reasons, events, config; `--check` compares.

Owns the four pages named in PAGES and their wording; everything in them comes from the registry, the two enums, the
schema and the shipped configuration file.
"""

from desk.runtime import bootstrap

bootstrap.ensure_packages()

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from desk.base import exit_codes
from desk.base.paths import CHECKOUT
from desk.base.reasons import Reason
from desk.config import env
from desk.config.schema import Config, Job, Profile, Venue
from desk.journal.events import Event
from desk.state.registry import ROWS, Kind

DOCS: Final = CHECKOUT / "docs"
TOML: Final = CHECKOUT / "config" / "sanad.toml"
MADE: Final = "<!-- made by `python scripts/make_docs.py`; edit the code it names, not this page -->"
UNITS: Final = {
    "_ms": "milliseconds", "_s": "seconds", "_min": "minutes", "_h": "hours", "_days": "days", "_bytes": "bytes",
    "_frac": "fraction, 0 to 1", "_quote": "quote currency", "_bps": "basis points",
}  # fmt: skip
FREE_TABLES: Final[dict[str, type[msgspec.Struct]]] = {"venues": Venue, "schedule": Job, "profiles": Profile}
SWITCH_MEANINGS: Final = {
    "SYSTEM_MODE": "PAPER or LIVE; required, no default",
    "VENUE_ENV": "mainnet (default), testnet or sim",
    "SANAD_HOME": "folder holding state/ execution-logs/ config/ signals/; default the checkout",
    "SANAD_CLOCK": "the simulator's clock, `{admin_url}/sim/clock`; VENUE_ENV=sim only",
    "KILL_SWITCH": "true engages like the command; false never releases",
    "SAFE_MODE": "true sends nothing; unset in LIVE: true",
    "DRY_RUN": "true sends nothing; unset in LIVE: true",
    "LIVE_TRADING": "an arming factor of LIVE entries",
    "LIVE_TRADING_ACK": "an arming factor of LIVE entries; exactly I_UNDERSTAND",
}


def state_page() -> str:
    """Every file under state/, by kind."""
    parts = ["# State files", "Every file under `state/`, from `scripts/desk/state/registry.py`."]
    for kind in Kind:
        rows = [
            (
                f"`{row.file}`", row.what, ", ".join(row.writers), row.if_missing, row.if_corrupt,
                f"{row.stale_after_s} s" if row.stale_after_s else "",
            )
            for row in ROWS
            if row.kind is kind
        ]  # fmt: skip
        parts += [
            f"## {str(kind).capitalize()}s",
            table(("file", "what", "written by", "missing", "corrupt", "stale after"), rows),
        ]
    return page(parts)


def reasons_page() -> str:
    """Every reason code, by room."""
    parts = ["# Reason codes", "From `scripts/desk/base/reasons.py`. A runbook's name for a code is its alias."]
    for room in dict.fromkeys(str(reason).partition(":")[0] for reason in Reason):
        rows = [
            (f"`{reason}`", reason.alias and f"`{reason.alias}`", reason.severity, reason.meaning, reason.action)
            for reason in Reason
            if str(reason).startswith(room + ":")
        ]
        parts += [f"## {room}", table(("code", "alias", "severity", "meaning", "what to do"), rows)]
    return page(parts)


def events_page() -> str:
    """Every event of the journal."""
    rows = [
        (f"`{event}`", event.meaning, " ".join(sorted(event.needs)), " ".join(f"`{alias}`" for alias in event.aliases))
        for event in Event
    ]
    intro = (
        "From `scripts/desk/journal/events.py`. `data` always has these keys; `audit.py tail --event` takes aliases."
    )
    return page(["# Journal events", intro, table(("event", "meaning", "data", "aliases"), rows)])


def config_page() -> str:
    """Every key with its unit, default, comment and environment names."""
    comments = dict(commented(TOML.read_text(encoding="utf-8")))
    named: dict[tuple[str, str], list[str]] = {}
    for name, (section, key, _) in env.SETTINGS.items():
        named.setdefault((section, key), []).append(name)
    for alias, name in env.TRY_ALIASES.items():
        named[env.SETTINGS[name][:2]].append(alias + " (TRY quotes)")
    intro = (
        "`config/sanad.toml`, typed by `scripts/desk/config/schema.py`. Precedence: command line > environment > "
        "`.env` > file > default. Unknown keys are an error; two limits for one thing: the strictest wins."
    )
    parts = ["# Configuration", intro]
    for section, struct in sections():
        rows = [
            (
                f"`{field.name}`", shown(field.default), unit(field.name), comments.get((section, field.name), ""),
                " ".join(f"`{name}`" for name in named.get((section, field.name), ())),
            )
            for field in msgspec.structs.fields(struct)
            if not (isinstance(field.default, type) and issubclass(field.default, msgspec.Struct))
            and not isinstance(field.default, msgspec.Struct)
        ]  # fmt: skip
        parts += [f"## [{section}]", table(("key", "default", "unit", "meaning", "environment"), rows)] if rows else []
    switches = [(f"`{name}`", SWITCH_MEANINGS[name]) for name in env.SWITCHES]
    switches += [(f"`<VENUE>{suffix}`", "per venue, as BINANCE" + suffix) for suffix in env.VENUE_SUFFIXES]
    switches += [(f"`{name}`", "accepted and not needed") for name in env.NOT_NEEDED]
    return page([*parts, "## Environment only", table(("name", "meaning"), switches)])


PAGES: Final[dict[str, Callable[[], str]]] = {
    "state.md": state_page, "reasons.md": reasons_page, "events.md": events_page, "config.md": config_page,
}  # fmt: skip


def sections() -> Iterator[tuple[str, type[msgspec.Struct]]]:
    """(section, its struct) in the file's order; named tables as `venues.<name>`."""
    for field in msgspec.structs.fields(Config):
        if field.name in FREE_TABLES:
            yield f"{field.name}.<name>", FREE_TABLES[field.name]
            continue
        struct = type(field.default)
        yield field.name, struct
        for inner in msgspec.structs.fields(struct):
            if isinstance(inner.default, msgspec.Struct):
                yield f"{field.name}.{inner.name}", type(inner.default)


def commented(text: str) -> Iterator[tuple[tuple[str, str], str]]:
    """((section, key), comment) of every line of the file that has one."""
    section = ""
    for line in text.splitlines():
        head = re.match(r"\[([\w.]+)\]", line)
        if head:
            section = head[1]
        found = re.match(r"(\w+) = (?:\"[^\"]*\"|[^#\"])*?\s*# (.+)", line)
        if found:
            yield (section, found[1]), found[2]


def unit(name: str) -> str:
    """The unit a key's last part names."""
    ending = next((ending for ending in sorted(UNITS, key=len, reverse=True) if name.endswith(ending)), "")
    if not ending and "_per_min" in name:
        return "per minute"
    return UNITS.get(ending, "")


def shown(value: Any) -> str:
    """A default as the file would write it."""
    if value is None or value is msgspec.NODEFAULT:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(shown, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value) if value != {} else ""


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def page(parts: list[str]) -> str:
    """The parts with blank lines between them."""
    return "\n\n".join([parts[0], MADE, *parts[1:]]) + "\n"


def stale(folder: Path) -> list[str]:
    """The pages that are not what they would be made as."""
    return [
        name for name, make in PAGES.items() if not (folder / name).is_file() or (folder / name).read_text() != make()
    ]


def main(argv: list[str] | None = None) -> int:
    """Write the pages, or say which are out of date."""
    parser = argparse.ArgumentParser(prog="make_docs.py", description="Write docs/ tables from the code.")
    parser.add_argument("--check", action="store_true", help="only compare; exit 1 when a page is out of date")
    args = parser.parse_args(argv)
    old = stale(DOCS)
    if not args.check:
        for name in old:
            (DOCS / name).write_text(PAGES[name](), encoding="utf-8")
    word = "out of date" if args.check else "written"
    print(f"DOCS — {word if old else 'current'}: {', '.join(old) or ', '.join(PAGES)}")
    return exit_codes.WARN if old and args.check else exit_codes.OK


if __name__ == "__main__":
    sys.exit(main())
