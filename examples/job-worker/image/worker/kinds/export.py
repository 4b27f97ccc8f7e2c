"""Records, one JSON object a line, become a CSV file for people with spreadsheets."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from worker.kinds import Product


def work(_subject: str, document: bytes) -> Product:
    """Columns come in the order in which the records first name them."""
    records = [record(number, line) for number, line in enumerate(document.splitlines(), 1) if line]
    columns = list(dict.fromkeys(name for one in records for name in one))
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, columns, restval="")
    table.writeheader()
    table.writerows({name: cell(value) for name, value in one.items()} for one in records)
    return Product("csv", "text/csv; charset=utf-8", text.getvalue().encode())


def record(number: int, line: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(line)
    except ValueError as error:
        raise ValueError(f"line {number} is no JSON") from error
    if not isinstance(parsed, dict):
        raise ValueError(f"line {number} is no JSON object")
    return parsed


def cell(value: Any) -> str:
    """Text as it is, nothing for null, and JSON for all the rest."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
