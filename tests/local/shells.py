"""Shells, tmux and mandoc: those that `make tools` unpacks below .tools/shells, else the machine's own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from stack import ROOT

UNPACKED = ROOT / ".tools" / "shells"


def _libraries() -> list[Path]:
    return sorted(UNPACKED.glob("usr/lib/*-linux-gnu*"))


def program(name: str) -> str:
    """The path of one of them."""
    for folder in ("usr/bin", "bin"):
        unpacked = UNPACKED / folder / name
        if unpacked.is_file():
            return str(unpacked)
    found = shutil.which(name)
    assert found, f"there is no {name}: run `make tools`, or install it"
    return found


def environment(home: Path, **more: str) -> dict[str, str]:
    """What they need beside, and nothing of the settings of whoever runs the tests."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TZ") if name in os.environ}
    libraries = ":".join(str(folder) for folder in _libraries())
    return kept | {"HOME": str(home), "LC_ALL": "C.UTF-8", "LD_LIBRARY_PATH": libraries} | more


def zsh_start() -> str:
    """The lines with which an unpacked zsh finds its own functions and modules."""
    modules = [str(path) for folder in _libraries() for path in folder.glob("zsh/*") if path.is_dir()]
    functions = [str(path) for path in (UNPACKED / "usr/share/zsh/functions").rglob("*") if path.is_dir()]
    if not modules:
        return ""
    return f"module_path=({' '.join(modules)})\nfpath=({' '.join(functions)})\n"


def said(command: list[str], home: Path, text: str = "", **more: str) -> str:
    """What a program prints, which has to end well."""
    ended = subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=60, env=environment(home, **more)
    )
    assert ended.returncode == 0, f"{command}: {ended.stdout}{ended.stderr}"
    return ended.stdout
