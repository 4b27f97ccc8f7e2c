"""What a person reads of the demo and of the local stack: at most 100 columns, and colours only where
they are seen."""

from __future__ import annotations

import os
import sys
import textwrap

COLUMNS = 100

PLAIN, BOLD, FAINT, RED, GREEN = "0", "1", "2", "31", "32"


class Terminal:
    """Standard output. Made before `sealed_off` hides what the person's environment asks for."""

    def __init__(self) -> None:
        is_dumb = os.environ.get("TERM") == "dumb"
        is_asked_not_to = bool(os.environ.get("NO_COLOR"))  # https://no-color.org
        self._has_colours = sys.stdout.isatty() and not is_dumb and not is_asked_not_to

    def heading(self, text: str) -> None:
        self._print(f"\n{filled(f'== {text}', hang=3)}", BOLD)

    def say(self, text: str, hang: int = 4) -> None:
        """A paragraph under a heading; its further lines begin in the given column."""
        self._print(filled(f"  {text}", hang), PLAIN)

    def aside(self, text: str) -> None:
        """What one may skip."""
        self._print(filled(f"  {text}", hang=4), FAINT)

    def succeeded(self, text: str) -> None:
        self._print(f"\n{filled(f'OK: {text}', hang=4)}", GREEN)

    def failed(self, text: str) -> None:
        self._print(f"\n{filled(f'FAILED: {text}', hang=8)}", RED)

    def _print(self, text: str, style: str) -> None:
        print(f"\033[{style}m{text}\033[0m" if self._has_colours else text, flush=True)


def filled(text: str, hang: int) -> str:
    """Lines that fit; the spaces at its begin and between its words are kept."""
    return textwrap.fill(text, COLUMNS, subsequent_indent=" " * hang, break_on_hyphens=False)
