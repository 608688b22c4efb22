"""The exit codes of every door (design 7). Owns the numbers, decides nothing."""

from typing import Final

OK: Final = 0
WARN: Final = 1  # a warning, or something wanted was blocked or denied
FAIL: Final = 2  # failed health, bad usage, bad configuration, unreadable state
BUSY: Final = 3  # another process holds the order lease or a lock
DEADLINE: Final = 124  # the tick deadline passed
