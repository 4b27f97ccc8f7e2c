"""A server that stands in for a console, with as many workers as asked and names as bad as they come: the page's own
files, and updates that this file makes up."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Iterator
from urllib.parse import parse_qsl, urlparse

from stack import ROOT

FILES = ROOT / "src" / "cli" / "console" / "page"
KINDS = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}

EVIL = (
    "<img src=x onerror=alert(1)>",
    "../../etc/passwd",
    "\u202eright-to-left\u202c",
    "\u001b[31mred\u0007",
    "n" * 128,
    "名前 e\u0301",
)


def row(name: str, waiting: int) -> dict[str, Any]:
    return {
        "worker": name,
        "waiting": waiting,
        "inFlight": waiting // 3,
        "oldestSeconds": waiting,
        "tasks": 3,
        "running": waiting % 100,
        "starting": waiting % 7,
        "cap": 100,
        "launches": 0,
        "failed": 0,
        "hourlyMicroDollars": waiting * 1000,
        "urgency": "ok" if waiting else "idle",
        "words": "ok" if waiting else "idle",
        "tone": "plain" if waiting else "aside",
        "rank": 9,
        "growsOlder": False,
        "note": f"<b>{name}</b>",
        "why": f"<script>alert('{name}')</script>",
    }


def ended(reason: str, seconds: int) -> dict[str, Any]:
    return {"tasks": 2, "code": reason, "reason": reason, "exits": [f"exit 1 {reason}"], "secondsAgo": seconds}


def look(name: str, tasks: int) -> dict[str, Any]:
    """A worker closely: what AWS and its tasks say of it is as bad as its name."""
    task = {
        "state": EVIL[0],
        "ageSeconds": 90,
        "containers": 1,
        "running": 1,
        "stopped": 0,
        "states": [{"name": EVIL[0], "state": "stopped", "exitCode": 137}],
        "cpu": 256,
        "memory": 512,
        "capacity": EVIL[2],
        "revision": f"{EVIL[0]}:7",
    }
    view = row(name, 9) | {
        "at": "2026-09-21T10:00:00Z",
        "alive": [task | {"task": f"{number:08x}", "arn": EVIL[1]} for number in range(tasks)],
        "ended": [ended(f"{EVIL[0]} {number}", 60 * number) for number in range(12)],
        "endedBefore": [ended(EVIL[3], 7200)],
        "decisions": [{"tick": EVIL[0], "outcome": EVIL[0], "started": 1, "why": EVIL[0]}],
        "deadLetters": {"queue": EVIL[0], "messages": 3, "maxReceiveCount": 5},
        "logs": [f"aws logs tail {EVIL[0]}"],
        "notes": [EVIL[0]],
        "base": {"revision": f"{EVIL[0]}:8", "registered": "2026-09-21T09:00:00Z", "isNew": True},
    }
    times = list(range(1_790_000_000, 1_790_000_600, 5))
    kinds = ("waiting", "inFlight", "running", "starting", "cap", "launched", "failed", "oldest")
    history = {"times": times} | {kind: [number % 9 for number in range(len(times))] for kind in kinds}
    links = [{"title": EVIL[0], "address": "https://console.aws.amazon.com/"}]
    return {"worker": name, "view": view, "history": history, "links": links, "settings": EVIL[0]}


class Many:
    """What the server sends: each step changes all rows."""

    tasks = 5000
    """Of the worker that is looked at closely."""

    def __init__(self, workers: int) -> None:
        self.names = [*EVIL, *(f"worker-{number:03}" for number in range(workers - len(EVIL)))]
        self.step = 0
        self.moved = threading.Condition()

    def advance(self) -> None:
        with self.moved:
            self.step += 1
            self.moved.notify_all()

    def update(self, whole: bool, worker: str) -> dict[str, Any]:
        at = 1_790_000_000 + 5 * self.step
        rows = [row(name, (number * 37 + self.step * 11) % 900 + 1) for number, name in enumerate(self.names)]
        busy = len(self.names)
        sums = dict.fromkeys(("inTrouble", "waiting", "running", "starting", "hourlyMicroDollars", "unread"), 1)
        head = {
            "version": "0",
            "mayStop": False,
            "isSaved": False,
            "callsOfEcs": 4,
            "pauseSeconds": 5,
            "scaler": EVIL[0],
            "region": "eu-central-1",
            "at": f"2026-09-21T{(at // 3600) % 24:02}:{at // 60 % 60:02}:{at % 60:02}Z",
            "ageSeconds": 0,
            "tasksAgeSeconds": 14,
            "notes": [EVIL[0]],
            "totals": {"workers": busy, "busy": busy} | sums,
        }
        # The order of all changes, too.
        order = self.names[self.step % 50 :] + self.names[: self.step % 50]
        update = {"whole": whole, "head": head, "rows": rows, "order": order}
        if whole:
            times = list(range(at - 600, at, 10))
            waiting = {name: [number % 90 for number in range(len(times))] for name in self.names}
            update["sparks"] = {"times": times, "waiting": waiting}
        if worker:
            update["look"] = look(worker, self.tasks)
        return update


@contextmanager
def many_workers(workers: int) -> Iterator[tuple[Many, str]]:
    """The server's model, and the page's address."""
    many = Many(workers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.split("?")[0].lstrip("/") or "index.html"
            if path == "api/live":
                return self.live()
            file = FILES / path
            content = file.read_bytes()
            self.send_response(200)
            self.send_header("Content-Type", KINDS[file.suffix])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def live(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            sent = -1
            worker = dict(parse_qsl(urlparse(self.path).query)).get("worker", "")
            try:
                while True:
                    with many.moved:
                        many.moved.wait_for(lambda: many.step != sent, timeout=5)
                        step, update = many.step, many.update(sent < 0, worker)
                    if step != sent:
                        self.wfile.write(f"id: 1-{step}\ndata: {json.dumps(update)}\n\n".encode())
                    else:
                        self.wfile.write(b":\n\n")
                    self.wfile.flush()
                    sent = step
            except (BrokenPipeError, ConnectionResetError):
                pass

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield many, f"http://127.0.0.1:{server.server_port}/#k=1"
    finally:
        server.shutdown()
        server.server_close()
