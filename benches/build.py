"""`make bench-build`: how long a first build takes, without the command line and with it.

    build.py PAGE
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import page
from page import ROOT

# Minutes of the command line, beyond what the function needs.
GOAL = 3
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")


def built(*arguments: str) -> float:
    """Minutes, from nothing but the crates' sources."""
    command = ["cargo", "build", "--locked", *arguments]
    with tempfile.TemporaryDirectory(dir=TARGET) as target:
        began = time.monotonic()
        subprocess.run(command, check=True, cwd=ROOT, env=os.environ | {"CARGO_TARGET_DIR": target})
        return (time.monotonic() - began) / 60


def crates(*arguments: str) -> int:
    command = ["cargo", "tree", "--locked", "--edges", "normal,build", "--prefix", "none", *arguments]
    tree = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True).stdout
    return len({line.removesuffix(" (*)") for line in tree.splitlines() if line})


def main() -> None:
    path = Path(sys.argv[1])
    subprocess.run(["cargo", "fetch", "--locked"], check=True, cwd=ROOT)
    cli = ("--features", "cli")
    without, within = built(), built(*cli)
    few, many = crates(), crates(*cli)
    reached = "yes" if within - without <= GOAL else "**no**"
    table = f"""| build | crates | minutes |
|---|---:|---:|
| `cargo build`: the function | {few} | {without:.1f} |
| `cargo build --features cli`: with the command line | {many} | {within:.1f} |
| beyond what the function needs; at most {GOAL}: {reached} | {many - few} | {within - without:.1f} |"""
    page.write(path, "build", table)


if __name__ == "__main__":
    main()
