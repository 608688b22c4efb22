"""Lines for other programs: the journal's own bytes (jsonl) or a table (csv). Writes the file the operator names."""

import csv
import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from desk.base.errors import BadInput
from desk.journal import search
from desk.journal.chain import Line

Found = Iterable[tuple[bytes, Line]]


def as_jsonl(found: Found) -> tuple[str, int]:
    """The journal's own bytes, so that hashes can be checked from them."""
    rows = [raw.decode() for raw, _ in found]
    return "".join(rows), len(rows)


def as_csv(found: Found) -> tuple[str, int]:
    """One row a line; data, group and reason codes as JSON."""
    out, count = io.StringIO(), 0
    writer = csv.DictWriter(out, search.FIELDS, lineterminator="\n")
    writer.writeheader()
    for _, line in found:
        values = search.row(line)
        writer.writerow(
            {k: v if isinstance(v, str | int) else json.dumps(v, sort_keys=True) for k, v in values.items()}
        )
        count += 1
    return out.getvalue(), count


def write(path: str, text: str) -> None:
    """Put an export where the operator wants it.

    Raises:
        BadInput: it cannot be written there.
    """
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"cannot be written ({error.strerror})", path, "choose another --out") from None


FORMATS: Final[dict[str, Callable[[Found], tuple[str, int]]]] = {
    "jsonl": as_jsonl,
    "csv": as_csv,
}
