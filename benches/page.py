"""What the benchmarks in Python write into docs/benchmarks.md."""

from __future__ import annotations

import os
import subprocess
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def write(page: Path, name: str, table: str) -> None:
    """Prints a table with when and where it was measured, and puts it between the marks of that name."""
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, cwd=ROOT)
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    head = f"`make bench-{name}`, {now}, commit {commit.stdout.strip()}; {os.cpu_count()} cores."
    text = f"{head}\n\n{table}\n"
    print(text)
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, rest = page.read_text().split(begin)
    page.write_text(f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}")
