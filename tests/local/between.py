"""What stands between the program and a local AWS: it hears every call, and may answer itself, keep a call
waiting, or tell another time."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from ecs_rules import forwarded
from loopback import Exchange, Loopback, serving

CHANGING = ("RegisterTaskDefinition", "RunTask", "StartTask")

SIGNED = re.compile(r"Credential=([^/]+)/(\d+)/([^/]+)/")

Answer = tuple[int, str, bytes]
"""Status, type, body."""


class Between(Loopback):
    """Stands between the program and an AWS: it may answer itself, or keep a call waiting."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(Conversation)
        self.behind = endpoint
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


class Conversation(Exchange):
    server: Between

    def do_POST(self) -> None:
        body = self.body()
        self.action = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        self.server.heard.append(self.action)
        key, _, region = SIGNED.findall(self.headers["Authorization"])[0]
        self.server.signed.add(f"{key} {region}")
        answer = self.server.replies(self)
        behind = self.server.behind
        self.answer(*(answer or forwarded(behind, self.path, dict(self.headers), body)))

    def date_time_string(self, timestamp: float | None = None) -> str:
        return self.server.now().strftime("%a, %d %b %Y %H:%M:%S GMT")


@contextmanager
def between(endpoint: str) -> Iterator[Between]:
    with serving(Between(endpoint)) as server:
        yield server


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
