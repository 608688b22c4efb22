"""Money arithmetic of the simulator: Decimal only, 8 places on the wire. Holds no state."""

from decimal import ROUND_DOWN, ROUND_UP, Decimal

ZERO = Decimal(0)
ONE = Decimal(1)
SATOSHI = Decimal("0.00000001")


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """Largest multiple of `step` not above `value` (value >= 0, step > 0)."""
    return (value // step) * step


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    """Smallest multiple of `step` not below `value` (value >= 0, step > 0)."""
    down = floor_to(value, step)
    return down if down == value else down + step


def is_multiple(value: Decimal, step: Decimal) -> bool:
    """True when `value` is a whole number of steps; a step of 0 allows anything."""
    return step == 0 or value % step == 0


def down8(value: Decimal) -> Decimal:
    """Cut to 8 decimal places towards zero (fees)."""
    return value.quantize(SATOSHI, rounding=ROUND_DOWN)


def up8(value: Decimal) -> Decimal:
    """Round to 8 decimal places away from zero (amounts to lock)."""
    return value.quantize(SATOSHI, rounding=ROUND_UP)


def text8(value: Decimal) -> str:
    """Fixed 8 places, as Binance prints prices and quantities."""
    return f"{value:.8f}"


def plain(value: Decimal) -> str:
    """Shortest plain notation, as MEXC prints prices and quantities (no exponent, no trailing zeros)."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def places(step: Decimal) -> int:
    """Number of decimal places of a step such as 0.001 (3); 0 for whole steps."""
    exponent = step.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
