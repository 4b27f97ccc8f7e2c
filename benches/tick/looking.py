"""`make bench-looking`: what `top` and `console` take, against the fake of AWS that `tick --serve` is, and in a browser.

    looking.py TERMINAL PAGE COMMAND..      COMMAND starts the fake
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import pyte

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "benches"), str(ROOT / "tests" / "local")]

import page  # noqa: E402
from browser import Page, browser  # noqa: E402
from many_workers import many_workers  # noqa: E402

WORKERS = 500
TIMES = 5
COLUMNS, LINES = 160, 50
# So long the processor is watched, in seconds.
WATCHED = 60
TABS = 20
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Figure:
    what: str
    measured: float
    goal: float
    unit: str

    def line(self) -> str:
        reached = "yes" if self.measured <= self.goal else "**no**"
        return f"| {self.what} | ≤ {self.goal:g} {self.unit} | {self.measured:.4g} {self.unit} | {reached} |"


class Fake:
    """The fake of AWS, with so many workers that each have a task and hold messages."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.environment: dict[str, str] = json.loads(self._line())

    def calls(self) -> dict[str, int]:
        """Those since it was asked last."""
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return json.loads(self._line())

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline()

    def end(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(timeout=20)


def of_ecs(calls: dict[str, int]) -> int:
    return sum(count for name, count in calls.items() if name.startswith(("List", "Describe")))


class Screen:
    """`top` on a pseudo-terminal. What it shows is found out afterwards, as that takes longer than what is measured."""

    def __init__(self, terminal: str, environment: dict[str, str]) -> None:
        self.began = time.monotonic()
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            more = {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]}
            os.execve(terminal, [terminal, "top"], environment | more)
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self._screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self._screen)

    def type(self, keys: str) -> float:
        """When that was."""
        os.write(self._terminal, keys.encode())
        return time.monotonic()

    def until(self, shows: str) -> float:
        """When it did."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            parts = []
            # All that comes at once, each part with its time.
            while select.select([self._terminal], [], [], 0.05)[0]:
                parts.append((os.read(self._terminal, 65536), time.monotonic()))
            for part, at in parts:
                self._stream.feed(part)
                if shows in "\n".join(self._screen.display):
                    return at
        raise AssertionError("\n".join([f"{shows} is not on the screen", *self._screen.display]))

    def drain(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self._terminal], [], [], left)[0]:
                self._stream.feed(os.read(self._terminal, 65536))

    def end(self) -> None:
        os.kill(self.pid, signal.SIGTERM)
        os.waitpid(self.pid, 0)
        os.close(self._terminal)


def processor(pid: int) -> float:
    """Seconds that a process has had of it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(pid: int) -> float:
    """The most that it has had, in MB."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1000 if found else float("nan")


def share(pid: int, wait: Callable[[float], None]) -> float:
    """Of one core, in %."""
    before = processor(pid)
    wait(WATCHED)
    return (processor(pid) - before) / WATCHED * 100


def of_top(terminal: str, fake: Fake) -> list[Figure]:
    firsts, fulls, keys = [], [], []
    for _ in range(TIMES):
        screen = Screen(terminal, fake.environment)
        firsts.append(screen.until("reading all workers") - screen.began)
        fulls.append(screen.until(f"of {WORKERS} busy") - screen.began)
        # The calls so far have to be paid for, before a key is heard that asks for more.
        screen.drain(4)
        fake.calls()
        screen.type("r")
        while not fake.calls():
            time.sleep(0.01)
        # 500 queues are asked now, 10 ms each.
        pressed = screen.type("?")
        keys.append(screen.until("any key goes on") - pressed)
        assert fake.calls(), "it read meanwhile"
        screen.end()
    screen = Screen(terminal, fake.environment)
    screen.until(f"of {WORKERS} busy")
    fake.calls()
    used = share(screen.pid, screen.drain)
    rate = of_ecs(fake.calls()) / WATCHED
    held = memory(screen.pid)
    screen.end()
    return [
        Figure("`top`: something is on the screen", statistics.median(firsts), 0.1, "s"),
        Figure(f"`top`: {WORKERS} workers are on the screen", statistics.median(fulls), 1.5, "s"),
        Figure("`top`: a key, while it reads", statistics.median(keys) * 1000, 50, "ms"),
        Figure(f"`top`: of a core, {WORKERS} workers at 5 s", used, 3, "%"),
        Figure("`top`: calls of ECS a second", rate, 5, ""),
        Figure("`top`: memory in a minute", held, 80, "MB"),
    ]


class Server:
    """A console."""

    def __init__(self, terminal: str, environment: dict[str, str]) -> None:
        command = [terminal, "console", "--port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        assert self.process.stdout
        self.address = self.process.stdout.readline().split()[0]
        self._tabs: list[socket.socket] = []

    def open(self, workers: list[str]) -> None:
        """A tab for each, which reads all that comes."""
        port, key = int(self.address.split(":")[2].split("/")[0]), self.address.split("#k=")[1]
        for worker in workers:
            tab = socket.create_connection(("127.0.0.1", port))
            head = f"GET /api/live?worker={worker} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n\r\n"
            tab.sendall(head.encode())
            self._tabs.append(tab)

    def listen(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            for tab in select.select(self._tabs, [], [], left)[0]:
                assert tab.recv(1 << 20), "the server has ended"

    def end(self) -> None:
        for tab in self._tabs:
            tab.close()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=20)


def of_console(terminal: str, fake: Fake) -> list[Figure]:
    server = Server(terminal, fake.environment)
    server.open([""])
    server.listen(10)
    fake.calls()
    used = share(server.process.pid, server.listen)
    one = sum(fake.calls().values())
    server.open([""] * (TABS - 1))
    server.listen(5)
    fake.calls()
    server.listen(WATCHED)
    twenty = sum(fake.calls().values())
    server.end()
    # Each of them with a worker of its own.
    server = Server(terminal, fake.environment)
    server.open([f"worker-{number:04}" for number in range(TABS)])
    server.listen(10)
    fake.calls()
    server.listen(WATCHED)
    rate = of_ecs(fake.calls()) / WATCHED
    held = memory(server.process.pid)
    server.end()
    return [
        Figure(f"`console`: of a core, {WORKERS} workers at 5 s", used, 3, "%"),
        Figure(f"`console`: calls of {TABS} tabs, of those of one", twenty / one, 1.1, "×"),
        Figure(f"`console`: calls of ECS a second, {TABS} tabs with a worker each", rate, 5, ""),
        Figure("`console`: its memory after three minutes", held, 80, "MB"),
    ]


# When the table is there, by the page's own clock.
FIRST = """new MutationObserver((_, observer) => {
    if (document.querySelector("#workers tbody tr")) { window.first = performance.now(); observer.disconnect(); }
}).observe(document, { childList: true, subtree: true });"""

LONGEST = """window.tasks = [];
new PerformanceObserver((list) => window.tasks.push(...list.getEntries().map((it) => it.duration)))
    .observe({ type: "longtask" });"""


def of_page(window: Page) -> list[Figure]:
    files = ROOT / "src" / "cli" / "console" / "page"
    size = sum(file.stat().st_size for file in files.iterdir())
    window.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": FIRST})
    firsts, longest = [], []
    with many_workers(WORKERS) as (many, address):
        for _ in range(TIMES):
            window.open(address)
            window.until(lambda: len(window.rows()) == WORKERS)
            firsts.append(float(str(window.run("return window.first"))))
        window.run(LONGEST)
        for _ in range(3 * TIMES):
            before = window.row("worker-250")
            many.advance()
            window.until(lambda: window.row("worker-250") != before)
            # What takes less than 50 ms is no long task, and is not told.
            longest.append(float(str(window.run("return Math.max(0, ...window.tasks.splice(0))"))))
    return [
        Figure("page: all bytes", size / 1000, 200, "KB"),
        Figure(f"page: {WORKERS} workers are in the table", statistics.median(firsts) / 1000, 0.3, "s"),
        Figure(f"page: longest task of {3 * TIMES} updates of {WORKERS} rows (less than 50 is 0)", max(longest), 50, "ms"),
    ]


def main() -> None:
    terminal, path, command = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    fake = Fake(command)
    figures = of_top(terminal, fake) + of_console(terminal, fake)
    fake.end()
    with tempfile.TemporaryDirectory() as profile:
        opened = browser(Path(profile))
        figures += of_page(next(opened))
        opened.close()
    lines = ["| what | goal | measured | reached |", "|---|---:|---:|---|", *(figure.line() for figure in figures)]
    page.write(path, "looking", "\n".join(lines))


if __name__ == "__main__":
    main()
