"""How a bench says what it measured: one table, each row with its target and PASS or MISS. Asserts nothing."""

from collections.abc import Sequence

from tabulate import tabulate


def word(measured: float, target: float, *, at_least: bool = False) -> str:
    """PASS or MISS, with how far a miss is off."""
    if measured >= target if at_least else measured <= target:
        return "PASS"
    off = target / measured - 1 if at_least else measured / target - 1
    return f"MISS by {off:.0%}"


def show(title: str, headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print the table under its title."""
    print(f"\n{title}\n" + tabulate(rows, headers=headers, floatfmt=".2f"))
