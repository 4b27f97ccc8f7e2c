"""A CSV file becomes a page that somebody reads: how much of the last column falls to each value of
the first."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation

from worker.failure import Unfit
from worker.kinds import Document, Product


def work(subject: str, document: Document) -> Product:
    return Product("txt", "text/plain; charset=utf-8", page(subject, document))


def page(subject: str, document: Document) -> Iterator[bytes]:
    """Sums are exact: money is decimal. The largest come first."""
    with document() as opened:
        rows = csv.reader(io.TextIOWrapper(opened, "utf-8-sig", newline=""))
        header = next(rows, [])
        if len(header) < 2:
            raise Unfit("the first line does not name two columns")
        sums: defaultdict[str, Decimal] = defaultdict(Decimal)
        for row in filter(None, rows):
            sums[row[0]] += amount(rows.line_num, row[-1])
    lines = [f"{subject}: {header[-1]} by {header[0]}", "", *table(sums), ""]
    yield "\n".join(lines).encode()


def amount(number: int, text: str) -> Decimal:
    try:
        parsed = Decimal(text)
    except InvalidOperation as error:
        raise Unfit(f"the last column of line {number} is no number") from error
    if not parsed.is_finite():
        raise Unfit(f"the last column of line {number} is no number to add")
    return parsed


def table(sums: dict[str, Decimal]) -> list[str]:
    """One line for each, and the total below."""
    largest_first = sorted(sums.items(), key=lambda entry: (-entry[1], entry[0]))
    lines = [*largest_first, ("total", sum(sums.values(), Decimal()))]
    left = max(len(name) for name, _ in lines)
    right = max(len(str(number)) for _, number in lines)
    return [f"{name:<{left}}  {number!s:>{right}}" for name, number in lines]
