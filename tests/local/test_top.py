"""`queue-scaler top` on a terminal, as somebody types on it."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

import pytest

from scenario import observed
from stack import REGION, SCALER, Stack, built_binary
from tmux import Screen

QUEUE_SCALER = built_binary().with_name("queue-scaler")


@contextmanager
def terminal(folder: Path) -> Iterator[Screen]:
    """A shell that finds the program, in this folder and with our credentials; it has noted how its terminal is."""
    (folder / "bin").mkdir()
    (folder / "bin" / "queue-scaler").symlink_to(QUEUE_SCALER)
    screen = Screen(folder, f"{folder / 'bin'}:{os.environ['PATH']}")
    try:
        screen.type(f"cd {folder}; PS1='$ '; stty -g > before; export LC_ALL=C.UTF-8")
        for name in os.environ:
            if name.startswith("AWS_"):
                screen.type(f"export {name}={shlex.quote(os.environ[name])}")
        yield screen
    finally:
        screen.run("kill-server")


def given_back(screen: Screen, folder: Path) -> str:
    """The exit code of what has ended; the terminal is as it was."""
    # What is typed before belongs to what ends.
    screen.until(lambda _: screen.run("display-message", "-p", "#{alternate_on}").strip() == "0")
    screen.type("echo $? > code; stty -g > after; clear; echo it has ended")
    screen.until(lambda shown: shown.startswith("it has ended"))
    assert screen.run("display-message", "-p", "#{cursor_flag} #{alternate_on}").strip() == "1 0"
    assert (folder / "after").read_text() == (folder / "before").read_text()
    return (folder / "code").read_text().strip()


WHERE = f"--endpoint-url {{}} --region {REGION} --function {SCALER}"


def test_all_workers_are_on_a_screen_that_gives_the_terminal_back(stack: Stack, tmp_path: Path) -> None:
    """With messages that come while somebody looks, a window that is made tiny, the shell in between, and its end by
    a key and by a signal."""
    with terminal(tmp_path) as screen:
        screen.type(f"clear; echo before it; queue-scaler top --allow-stop {WHERE.format(stack.endpoint)}")
        page = screen.until(lambda shown: "2 workers" in shown or "of 2 busy" in shown)
        assert "before it" not in page, "it has a screen of its own"
        stack.send("export", 7)
        screen.until(lambda shown: re.search(r"export +\d+", shown) is not None)

        screen.run("send-keys", "r")
        for keys, words in (
            ("?", "any key goes on"),
            ("x", "RUNNING/CAP"),
            ("s", "WORKER*"),
            ("S", "WORKER^"),
            ("a", "thumbnail"),
            ("p", "paused, "),
            ("pw", "nothing has to be done about it"),
            ("c", "copied "),
        ):
            screen.run("send-keys", *keys)
            screen.until(lambda shown, words=words: words in shown)
        screen.run("send-keys", "/expo", "Enter")
        screen.until(lambda shown: "WORKER" in shown and "thumbnail" not in shown)
        screen.run("send-keys", "Enter")
        screen.until(lambda shown: "visible" in shown and "esc back" in shown)
        screen.run("send-keys", "Escape")
        screen.run("resize-window", "-x", "20", "-y", "5")
        screen.until(lambda shown: all(len(line) <= 20 for line in shown.splitlines()) and "WAITING" in shown)
        screen.run("resize-window", "-x", "110", "-y", "30")
        screen.until(lambda shown: "RUNNING/CAP" in shown)

        screen.run("send-keys", "C-z")
        screen.until(lambda shown: "Stopped" in shown)
        assert screen.run("display-message", "-p", "#{cursor_flag}").strip() == "1", "the shell has its cursor"
        screen.type("clear; fg")
        screen.until(lambda shown: "RUNNING/CAP" in shown)
        screen.run("send-keys", "q")
        assert given_back(screen, tmp_path) == "0"

        screen.type("clear; queue-scaler top --demo")
        screen.until(lambda shown: "of 52 busy" in shown)
        shell = screen.run("display-message", "-p", "#{pane_pid}").strip()
        [program_id] = Path(f"/proc/{shell}/task/{shell}/children").read_text().split()
        os.kill(int(program_id), signal.SIGTERM)
        assert given_back(screen, tmp_path) == "1"


def test_a_task_is_stopped_by_a_key_after_a_question(stack: Stack, tmp_path: Path) -> None:
    stack.send("thumbnail", 3)
    observed(stack, minute=0)
    before = {task["taskArn"] for task in stack.tasks()}
    with terminal(tmp_path) as screen:
        screen.type(f"clear; queue-scaler top --allow-stop {WHERE.format(stack.endpoint)}")
        screen.until(lambda shown: re.search(r"thumbnail +\d+", shown) is not None)
        screen.run("send-keys", "/thumb", "Enter")
        screen.run("send-keys", "Enter")
        page = screen.until(lambda shown: re.search(r"^>[0-9a-f]{8} ", shown, re.M) is not None)
        chosen = re.search(r"^>([0-9a-f]{8}) ", page, re.M)
        assert chosen
        screen.run("send-keys", "x")
        screen.until(lambda shown: "Stop it? `y` stops it" in shown and "SIGTERM" in shown)
        screen.run("send-keys", "n")
        screen.until(lambda shown: "nothing was stopped" in shown)
        assert {task["taskArn"] for task in stack.tasks()} == before
        screen.run("send-keys", "x")
        screen.until(lambda shown: "Stop it? `y` stops it" in shown)
        screen.run("send-keys", "y")
        screen.until(lambda shown: "stopped it; its reason is" in shown)
        [stopped] = before - {task["taskArn"] for task in stack.tasks()}
        assert stopped.split("/")[-1].startswith(chosen[1]), "the chosen one, and no other"
        screen.run("send-keys", "q")
        screen.run("send-keys", "q")
        assert given_back(screen, tmp_path) == "0"


def test_without_unicode_only_ascii_is_drawn(tmp_path: Path) -> None:
    with terminal(tmp_path) as screen:
        screen.type("clear; LC_ALL=C queue-scaler top --demo")
        page = screen.until(lambda shown: "of 52 busy" in shown)
        assert page.isascii() and "WAITING" in page, page
        screen.run("send-keys", "q")
        assert given_back(screen, tmp_path) == "0"


@pytest.mark.parametrize("place", ["a pipe", "TERM=dumb"])
def test_where_nothing_can_be_drawn_it_says_what_to_use_instead(tmp_path: Path, place: str) -> None:
    if place == "a pipe":
        ended = subprocess.run([QUEUE_SCALER, "top", "--demo"], capture_output=True, text=True, timeout=60)
        assert (ended.returncode, ended.stdout) == (2, "") and "`status --watch 5`" in ended.stderr, ended.stderr
        return
    with terminal(tmp_path) as screen:
        screen.type("clear; TERM=dumb queue-scaler top --demo")
        screen.until(lambda shown: "`status --watch 5`" in shown)
        assert given_back(screen, tmp_path) == "2"
