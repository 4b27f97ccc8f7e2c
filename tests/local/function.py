"""The function's binary as Lambda runs it, for an emulator that has no Lambda: one process, which
asks the Lambda Runtime API for events.
Source: Lambda developer guide, "Using the Lambda runtime API for custom runtimes".
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loopback import Exchange, Loopback, serving
from stack import REGION, SCALER, Invocation, StackError

TIMEOUT_SECONDS = 60
LAST_LINES = 20
JSON = "application/json"


@dataclass(frozen=True)
class Function:
    """A warm function: what it remembers, it remembers from one invocation to the next."""

    process: subprocess.Popen[bytes]
    log: Path
    events: queue.Queue[str] = field(default_factory=queue.Queue)
    answers: queue.Queue[Invocation] = field(default_factory=queue.Queue)

    def invoke(self, event: dict[str, Any]) -> Invocation:
        """Gives it an event and waits for the answer."""
        self.events.put(json.dumps(event))
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                return self.answers.get(timeout=0.2)
            except queue.Empty:
                continue
        last_lines = "\n".join(self.log.read_text(errors="replace").splitlines()[-LAST_LINES:])
        raise StackError(f"the function gave no answer:\n{last_lines}")

    def log_lines(self) -> list[dict[str, Any]]:
        """What it has logged so far, oldest first."""
        lines = self.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


@contextmanager
def started_cold(
    binary: Path, endpoint: str, config: dict[str, Any], log: Path
) -> Iterator[Function]:
    """A new process of the function, for as long as the block runs; it calls the AWS of the
    endpoint."""
    with runtime_api() as api, log.open("wb") as output:
        host, port = api.server_address[:2]
        process = subprocess.Popen(
            [binary],
            cwd=log.parent,
            env={**os.environ, **environment(endpoint, config, f"{host!s}:{port}")},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        api.function = Function(process, log)
        api.ready.set()
        try:
            yield api.function
        finally:
            process.kill()
            process.wait()


def environment(endpoint: str, config: dict[str, Any], runtime: str) -> dict[str, str]:
    """What Lambda sets, where AWS is, and the configuration."""
    return {
        "AWS_LAMBDA_RUNTIME_API": runtime,
        "AWS_LAMBDA_FUNCTION_NAME": SCALER,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{SCALER}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "local",
        "AWS_ENDPOINT_URL": endpoint,
        "SCALER_NAME": SCALER,
        "SCALER_CONFIG": json.dumps(config),
    }


class RuntimeApi(Loopback):
    """The Runtime API of one function; its connections wait until the process is known."""

    def __init__(self) -> None:
        super().__init__(Conversation)
        self.ready = threading.Event()
        self.function: Function


class Conversation(Exchange):
    server: RuntimeApi

    def do_GET(self) -> None:
        """The next event. A function that is killed leaves its last question open."""
        self.server.ready.wait()
        event = self.server.function.events.get()
        deadline = int((time.time() + TIMEOUT_SECONDS) * 1000)
        self.answer(
            200,
            JSON,
            event.encode(),
            **{
                "Lambda-Runtime-Aws-Request-Id": str(uuid.uuid4()),
                "Lambda-Runtime-Deadline-Ms": str(deadline),
                "Lambda-Runtime-Invoked-Function-Arn": (
                    f"arn:aws:lambda:{REGION}:123456789012:function:{SCALER}"
                ),
            },
        )

    def do_POST(self) -> None:
        """The result of an event, or its error."""
        body = json.loads(self.body())
        failed = not self.path.endswith("/response")
        self.server.ready.wait()
        self.answer(202, JSON, b'{"status": "OK"}')
        self.server.function.answers.put(Invocation(body, failed))


@contextmanager
def runtime_api() -> Iterator[RuntimeApi]:
    with serving(RuntimeApi()) as api:
        yield api
