"""A terminal of tmux's, on which somebody types and looks."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Callable

from shells import program, said


class Screen:
    """A terminal of tmux's, of its own server."""

    def __init__(self, home: Path, path: str) -> None:
        self.home, self.path = home, path
        self.run("new-session", "-d", "-x", "110", "-y", "30", "bash --norc")
        self.run("set-option", "-g", "status", "off")

    def run(self, *arguments: str) -> str:
        command = [program("tmux"), "-S", str(self.home / "tmux"), "-f", "/dev/null", *arguments]
        return said(command, self.home, PATH=self.path, TERM="xterm-256color", PS1="$ ")

    def type(self, line: str) -> None:
        self.run("send-keys", line, "Enter")

    def shown(self) -> str:
        return self.run("capture-pane", "-p")

    def until(self, is_there: Callable[[str], bool]) -> str:
        """What is shown when that is so."""
        end = time.monotonic() + 40
        while time.monotonic() < end:
            shown = self.shown()
            if is_there(shown):
                return shown
            time.sleep(0.2)
        raise AssertionError(self.shown())
