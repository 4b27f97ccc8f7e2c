"""What stands between the program and a local AWS: it hears every call, and may answer itself, keep a call
waiting, or tell another time."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ecs_rules import forwarded

CHANGING = ("RegisterTaskDefinition", "RunTask", "StartTask")

SIGNED = re.compile(r"Credential=([^/]+)/(\d+)/([^/]+)/")

Answer = tuple[int, str, bytes]
"""Status, type, body."""


class Between(ThreadingHTTPServer):
    """Stands between the program and an AWS: it may answer itself, or keep a call waiting."""

    daemon_threads = True

    def __init__(self, endpoint: str) -> None:
        super().__init__(("127.0.0.1", 0), Conversation)
        self.behind = endpoint
        self.here = f"http://127.0.0.1:{self.server_address[1]}"
        self.ahead = timedelta()
        """Of our clock, its own."""
        self.heard: list[str] = []
        """The calls so far, by their names."""
        self.signed: set[str] = set()
        """As whom, and for which Region."""
        self.replies: Callable[[Conversation], Answer | None] = lambda _: None
        """What it answers itself."""

    def now(self) -> datetime:
        return datetime.now(timezone.utc) + self.ahead

    def changes(self) -> list[str]:
        """The calls that start something."""
        return [name for name in self.heard if name in CHANGING]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A program that is interrupted leaves its connections as they are."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Conversation(BaseHTTPRequestHandler):
    """One connection of the program."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Between

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.action = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        self.server.heard.append(self.action)
        key, _, region = SIGNED.findall(self.headers["Authorization"])[0]
        self.server.signed.add(f"{key} {region}")
        answer = self.server.replies(self)
        status, kind, body = answer or forwarded(self.server.behind, self.path, dict(self.headers), body)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def date_time_string(self, timestamp: float | None = None) -> str:
        return self.server.now().strftime("%a, %d %b %Y %H:%M:%S GMT")

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the calls are kept."""


@contextmanager
def between(endpoint: str) -> Iterator[Between]:
    server = Between(endpoint)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def refused(kind: str, message: str) -> Answer:
    return 403, "application/x-amz-json-1.1", json.dumps({"__type": kind, "message": message}).encode()


@dataclass
class Held:
    """A call that gets its answer only when somebody says so."""

    action: str
    may_go: threading.Event = field(default_factory=threading.Event)

    def __call__(self, call: Conversation) -> None:
        if call.action == self.action:
            self.may_go.wait(4)  # the program gives up after 4.5 s
