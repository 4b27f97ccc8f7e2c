"""The worker of examples/job-worker as a process: the emulator starts no containers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

from stack import ROOT, Stack

IMAGE = ROOT / "examples/job-worker/image"

# Short, so that nobody waits. SQS counts visibility in whole seconds.
PACE = {
    "WAIT_SECONDS": "1",
    "VISIBILITY_SECONDS": "1",
    "BACK_OFF_SECONDS": "1",
    "EMPTY_RECEIVES": "2",
    "BATCH": "1",
}
ENDS_WITHIN = 30

# A job that takes so many seconds, or fails, as its message says; it tells when it begins,
# and when it was not broken off.
SLEEPER = """
import os, sys, time, boto3
from worker.log import log
from worker.loop import run
from worker.queue import CLIENT, Queue
from worker.stop import Stop

def sleep(body):
    log("began", body=body)
    if body == "exit":
        sys.exit(body)
    time.sleep(float(body))
    log("slept")

def number(name):
    return int(os.environ[name])

stop = Stop.on_sigterm()
sqs = boto3.client("sqs", config=CLIENT)
queue = Queue(sqs, os.environ["QUEUE_URL"], 1, number("VISIBILITY_SECONDS"),
              number("BACK_OFF_SECONDS"), number("BATCH"))
run(queue, sleep, stop, number("EMPTY_RECEIVES"))
"""

T = TypeVar("T")


def started(
    stack: Stack, command: list[str], stderr: int | None = None, **environment: str
) -> subprocess.Popen[str]:
    """Python in the place of a container."""
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=IMAGE,
        env={**os.environ, "AWS_ENDPOINT_URL": stack.endpoint, **PACE, **environment},
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )


def ended(worker: subprocess.Popen[str]) -> list[dict[str, Any]]:
    """Waits for exit code 0, and gives what was logged."""
    try:
        output, _ = worker.communicate(timeout=ENDS_WITHIN)
    finally:
        worker.kill()
    assert worker.returncode == 0, output
    return [json.loads(line) for line in output.splitlines()]


def outcomes(log: list[dict[str, Any]]) -> list[str]:
    return [line["outcome"] for line in log if line["event"] == "message"]


def eventually(look: Callable[[], T], seconds: int = ENDS_WITHIN) -> T:
    """What it sees as soon as it sees something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError(f"nothing within {seconds} s")
