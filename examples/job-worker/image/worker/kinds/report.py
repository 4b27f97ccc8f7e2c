"""A CSV file becomes a page that somebody reads: how much of the last column falls to each value of
the first."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from decimal import Decimal, InvalidOperation

from worker.kinds import Product


def work(subject: str, document: bytes) -> Product:
    """Sums are exact: money is decimal. The largest come first."""
    rows = csv.reader(io.StringIO(document.decode("utf-8-sig"), newline=""))
    header = next(rows, [])
    if len(header) < 2:
        raise ValueError("the first line does not name two columns")
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in filter(None, rows):
        sums[row[0]] += amount(rows.line_num, row[-1])
    page = "\n".join([f"{subject}: {header[-1]} by {header[0]}", "", *table(sums), ""])
    return Product("txt", "text/plain; charset=utf-8", page.encode())


def amount(number: int, text: str) -> Decimal:
    try:
        parsed = Decimal(text)
    except InvalidOperation as error:
        raise ValueError(f"line {number}: {text!r} is no number") from error
    if not parsed.is_finite():
        raise ValueError(f"line {number}: {text!r} is no number to add")
    return parsed


def table(sums: dict[str, Decimal]) -> list[str]:
    """One line for each, and the total below."""
    largest_first = sorted(sums.items(), key=lambda entry: (-entry[1], entry[0]))
    lines = [*largest_first, ("total", sum(sums.values(), Decimal()))]
    left = max(len(name) for name, _ in lines)
    right = max(len(str(number)) for _, number in lines)
    return [f"{name:<{left}}  {number!s:>{right}}" for name, number in lines]
