"""The pictures that README and docs/cli.md show, of the demo's day: `make pictures`.

    pictures.py FOLDER
"""

from __future__ import annotations

import html
import io
import re
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from browser import QUEUE_SCALER, Page, browser, console
from shells import program, said

BREAKER = "mail-videos"

# The terminal's sixteen colours.
COLOURS = "000 c33 3a3 a70 36c a3a 2aa bbb 777 f66 6d6 fc5 69f e6e 5dd fff".split()

# What somebody does, and how long it is looked at, in milliseconds.
STEPS = (("", 2500), ("", 900), ("j", 1500), ("Enter", 3500), ("Escape", 900), ("/state:at", 1500), ("Enter", 2000))

COLUMNS, LINES = 112, 26


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        opened = browser(Path(home) / "profile")
        page = next(opened)
        of_console(page, folder / "console.png")
        of_top(page, Path(home), folder / "top.gif")
        opened.close()


def of_console(page: Page, path: Path) -> None:
    demo = console("--demo", "--port", "0")
    page.size(1180, 1000)
    page.open(f"{demo.address}&w={BREAKER}")
    page.until(lambda: "exit 137" in page.text("#worker"))
    page.run("scrollTo(0, 0); document.activeElement.blur()")
    time.sleep(0.5)
    small(Image.open(io.BytesIO(page.driver.get_screenshot_as_png()))).save(path, optimize=True)
    demo.end()


def of_top(page: Page, home: Path, path: Path) -> None:
    def tmux(*arguments: str) -> str:
        command = [program("tmux"), "-S", str(home / "tmux"), "-f", "/dev/null", *arguments]
        return said(command, home, TERM="xterm-256color")

    page.size(COLUMNS * 8 + 16, LINES * 17 + 16)
    tmux("new-session", "-d", "-e", "COLORTERM=truecolor", "-x", str(COLUMNS), "-y", str(LINES), f"{QUEUE_SCALER} top --demo --every 5")
    frames, durations = [], []
    try:
        for keys, milliseconds in STEPS:
            if keys:
                tmux("send-keys", *([keys] if keys.isalpha() else ["-l", keys]))
            time.sleep(1 if keys else 6)
            page.driver.get("data:text/html;charset=utf-8," + quote(drawn(tmux("capture-pane", "-e", "-p"))))
            frames.append(small(Image.open(io.BytesIO(page.driver.get_screenshot_as_png()))))
            durations.append(milliseconds)
    finally:
        tmux("kill-server")
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=True)


def small(picture: Image.Image) -> Image.Image:
    return picture.convert("RGB").quantize(48, dither=Image.Dither.NONE)


def drawn(text: str) -> str:
    """What a terminal shows, as a page."""
    style = "body{margin:8px;background:#111;color:#ddd;font:13px/17px 'DejaVu Sans Mono',monospace;white-space:pre}"
    parts, codes = [], set[int]()
    for piece in re.split(r"(\x1b\[[\d;]*m)", text):
        if not piece.startswith("\x1b["):
            parts.append(f'<span style="{css(codes)}">{html.escape(piece)}</span>')
            continue
        # One of 256 colours, of which the first sixteen are these.
        piece = re.sub(r"38;5;(\d+)", lambda it: str(int(it[1]) + (30 if int(it[1]) < 8 else 82)), piece)
        for code in (int(code or 0) for code in piece[2:-1].split(";")):
            if code == 0:
                codes.clear()
            elif code in (39, 49):
                codes -= {it for it in codes if it // 10 in ((3, 9) if code == 39 else (4, 10))}
            else:
                codes.add(code)
    return f"<!doctype html><style>{style}</style>{''.join(parts)}"


def css(codes: set[int]) -> str:
    colour = next((COLOURS[code - 30 if code < 40 else code - 82] for code in codes if 30 <= code < 38 or 90 <= code < 98), "ddd")
    front, back = ("111", colour) if 7 in codes else (colour, "111")
    weight = "font-weight:bold;" if 1 in codes else ""
    line = "text-decoration:underline;" if 4 in codes else ""
    faint = "opacity:.6;" if 2 in codes else ""
    return f"color:#{front};background:#{back};{weight}{line}{faint}"


if __name__ == "__main__":
    main()
