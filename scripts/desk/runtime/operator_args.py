"""What operator doors share on the command line: one-line errors, durations, who asks. Prints usage errors only."""

import argparse
import getpass
import json
import re
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

from desk.base import exit_codes

ACK: Final = "I_UNDERSTAND"
UNITS_MS: Final = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
DURATION_MS_MAX: Final = 30 * UNITS_MS["d"]
TEXT_CHARS_MAX: Final = 500


class OneLineParser(argparse.ArgumentParser):
    """A parser whose errors are one line, exit 2; under --json one document on stdout. Bytes no text has become `?`."""

    def parse_args(  # type: ignore[override]  # the overloads of argparse say the same
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """As argparse; what could be neither printed nor journalled is replaced first."""
        given = sys.argv[1:] if args is None else args
        return super().parse_args([word.encode("utf-8", "replace").decode() for word in given], namespace)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and end.

        Raises:
            SystemExit: always, exit 2.
        """
        refuse(self.prog, f"{message}; see {self.prog} --help")


def refuse(prog: str, line: str) -> NoReturn:
    """One clear line and exit 2.

    Raises:
        SystemExit: always.
    """
    if "--json" in sys.argv:
        document = {"door": prog.partition(".")[0], "exit_code": exit_codes.FAIL, "verdict": line, "error": line}
        sys.stdout.write(json.dumps(document) + "\n")
    else:
        sys.stderr.write(f"{prog}: {line}\n")
    raise SystemExit(exit_codes.FAIL)


def reason(text: str) -> str:
    """An operator's reason: not empty, one line, bounded."""
    flat = " ".join(text.split())
    if not flat:
        raise argparse.ArgumentTypeError("is empty: say why")
    return flat[:TEXT_CHARS_MAX]


def acknowledged(text: str) -> str:
    """The acknowledgement, letter by letter."""
    if text != ACK:
        raise argparse.ArgumentTypeError(f"write {ACK}")
    return text


def duration_ms(text: str) -> int:
    """`90s`, `30m`, `4h`, `2d` in milliseconds; more than zero, at most 30 days."""
    found = re.fullmatch(r"(\d{1,7})([smhd])", text.strip())
    length = int(found[1]) * UNITS_MS[found[2]] if found else 0
    if not 0 < length <= DURATION_MS_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration: write 90s, 30m, 4h or 2d, at most 30d")
    return length


def who() -> str:
    """The operator, by OS user."""
    try:
        return f"operator:{getpass.getuser()}"
    except (OSError, KeyError):  # no such user entry
        return "operator"
