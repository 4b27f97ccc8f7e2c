"""`make demo` and `make local-stack` as a person runs them: what they print, and how they end."""

from __future__ import annotations

import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from container import eventually
from stack import ROOT, built_binary
from terminal import COLUMNS

BINARY = built_binary()
DEMO_SECONDS = 120
# The schedule's first tick comes within 70 s, and each further one after a minute.
SCHEDULE_SECONDS = 200
STOP_SECONDS = 30


def environment(**more: str) -> dict[str, str]:
    """Without what a `make` around these tests hands down."""
    ours = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}
    return {**ours, **more}


def recipe(target: str, **variables: str) -> list[str]:
    """The last command of a target: the one that is run when all is compiled."""
    lines = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", target],
        cwd=ROOT,
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return shlex.split(lines[-1])


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables of a person whose cargo compiles into another folder."""
    folder = tmp_path_factory.mktemp("target")
    (folder / "debug").mkdir()
    (folder / "debug/ecs-queue-scaler").symlink_to(BINARY)
    return {"CARGO_TARGET_DIR": str(folder)}


@dataclass
class LocalStack:
    """A `make local-stack` that runs."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or []:
            self.lines.append(line.rstrip("\n"))

    def has_told(self, pattern: str) -> bool:
        """Whether it has printed that, wherever lines are broken."""
        return re.search(pattern, " ".join(" ".join(self.lines).split())) is not None


@pytest.fixture(scope="module", autouse=True)
def local_stack(elsewhere: dict[str, str]) -> Iterator[LocalStack]:
    """Waits for its schedule beside the other tests of this file."""
    process = subprocess.Popen(
        recipe("local-stack", **elsewhere),
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield LocalStack(process)
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


def demo(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=DEMO_SECONDS
    )


def are_readable(lines: list[str]) -> bool:
    """They fit, and have no colours where no terminal shows them."""
    return bool(lines) and all(len(line) <= COLUMNS and line.isprintable() for line in lines)


def test_what_is_run_is_where_cargo_compiles_to() -> None:
    for target in ("demo", "local-stack"):
        assert recipe(target, CARGO_TARGET_DIR="")[-1] == str(ROOT / "target/debug/ecs-queue-scaler")
        assert recipe(target, CARGO_TARGET_DIR="/other")[-1] == "/other/debug/ecs-queue-scaler"


def test_the_demo_ends_with_an_empty_queue_and_nothing_that_runs(
    elsewhere: dict[str, str],
) -> None:
    done = demo(recipe("demo", **elsewhere))
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert are_readable(lines)
    text = " ".join(done.stdout.split())
    assert text.partition("OK: ")[2].startswith(
        "42 containers in 20 tasks did 90 messages, each once, and nothing runs any more ("
    )
    for arithmetic in (
        "30 visible + 0 in flight = 30; / 1 per container = 30 containers; - 0 alive = launch 30",
        "48 visible + 12 in flight = 60; / 5 per container = 12 containers; - 12 alive = launch 0",
    ):
        assert arithmetic in text


# A demo whose workers are not as they should be, and which does not wait long for them.
WITH = """
import sys
sys.path.insert(0, "tests/local")
import agent, demo, story
story.PATIENCE_SECONDS = 3
{}
sys.exit(demo.main(sys.argv[1]))
"""
TAKES_NOTHING = "agent.Container.receive = lambda self: self.told_to_stop.wait() and []"
ENDS_AT_ONCE = "agent.Container.receive = lambda self: []"
IS_NEVER_DONE = "story.work = lambda go_on: (go_on.wait(), story.time.sleep(60))"


@pytest.mark.parametrize(
    ("workers", "words"),
    [
        (TAKES_NOTHING, r"waited 3 s in vain until each container has a message: 90 messages wait, 0"),
        (ENDS_AT_ONCE, r"all tasks have ended before each container has a message: 90 messages wait"),
        (IS_NEVER_DONE, r"in vain until all tasks have ended: 48 messages wait, 42 are in work, 0"),
    ],
    ids=["takes nothing", "ends at once", "is never done"],
)
def test_a_demo_whose_workers_do_not_work_fails_and_says_so(workers: str, words: str) -> None:
    done = demo([sys.executable, "-c", WITH.format(workers), str(BINARY)])
    lines = done.stdout.splitlines()
    assert done.returncode == 1, done.stdout + done.stderr
    assert are_readable(lines)
    assert re.search(f"FAILED: .*{words}", " ".join(done.stdout.split()))
    assert "OK:" not in done.stdout


@pytest.mark.parametrize(
    ("variables", "has_colours"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(
    variables: dict[str, str], has_colours: bool
) -> None:
    ours, theirs = pty.openpty()
    without = {k: v for k, v in environment().items() if k not in ("NO_COLOR", "TERM")}
    command = [sys.executable, "tests/local/demo.py", "/no/binary"]
    done = subprocess.run(command, cwd=ROOT, env={**without, **variables}, stdout=theirs)
    os.close(theirs)
    told = os.read(ours, 10_000).decode()
    os.close(ours)
    assert done.returncode == 1
    assert "FAILED: there is no binary at /no/binary" in told
    assert ("\033[" in told) == has_colours


def test_what_has_to_be_compiled_is_told_where_nothing_is(
    elsewhere: dict[str, str], tmp_path: Path
) -> None:
    def told(**variables: str) -> str:
        """By the recipe up to the compiler, for which something else stands here."""
        cargo = tmp_path / "cargo"
        cargo.write_text("#!/bin/sh\nexit 7\n")
        cargo.chmod(0o755)
        path = f"{tmp_path}:{os.environ['PATH']}"
        done = subprocess.run(
            ["make", "demo"],
            cwd=ROOT,
            env=environment(PATH=path, **variables),
            capture_output=True,
            text=True,
        )
        assert "Error 7" in done.stderr
        return done.stdout

    nothing = told(CARGO_TARGET_DIR=str(tmp_path))
    assert re.search(r"Compiling the function .*\n.* about \d+ minutes", nothing)
    assert all(len(line) <= COLUMNS for line in nothing.splitlines())
    assert "Compiling" not in told(**elsewhere)


def test_the_local_stack_does_the_same_by_its_schedule_until_it_is_interrupted(
    local_stack: LocalStack,
) -> None:
    all_done = (
        r"INFO worker thumbnail: launched: 30 visible \+ 0 in flight = 30; .*"
        r"tasks: 12 x export:1, 1 x thumbnail--x2:1, 7 x thumbnail--x4:1 .*"
        r"thumbnail: 0 waiting, 0 in work; export: 0 waiting, 0 in work; tasks: none"
    )
    eventually(lambda: local_stack.has_told(all_done), SCHEDULE_SECONDS)
    local_stack.process.send_signal(signal.SIGINT)
    assert local_stack.process.wait(STOP_SECONDS) == 0
    local_stack.reader.join()
    assert local_stack.lines[-1] == "stopped"
    assert are_readable(local_stack.lines)
