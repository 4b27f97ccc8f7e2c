"""Records, one JSON object a line, become a CSV file for people with spreadsheets."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from worker.failure import Unfit
from worker.kinds import Document, Product


def work(_subject: str, document: Document) -> Product:
    return Product("csv", "text/csv; charset=utf-8", rows(document))


def rows(document: Document) -> Iterator[bytes]:
    """Columns come in the order in which the records first name them. So the document is read twice,
    and never held as a whole."""
    columns = list(dict.fromkeys(name for one in records(document) for name in one))
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, columns, restval="")
    table.writeheader()
    yield taken(text)
    for one in records(document):
        table.writerow({name: cell(value) for name, value in one.items()})
        yield taken(text)


def taken(text: io.StringIO) -> bytes:
    """What was written since the last time."""
    written = text.getvalue().encode()
    text.seek(0)
    text.truncate()
    return written


def records(document: Document) -> Iterator[dict[str, Any]]:
    with document() as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield record(number, line)


def record(number: int, line: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(line)
    except ValueError as error:
        raise Unfit(f"line {number} is no JSON") from error
    if not isinstance(parsed, dict):
        raise Unfit(f"line {number} is no JSON object")
    return parsed


def cell(value: Any) -> str:
    """Text as it is, nothing for null, and JSON for all the rest."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
