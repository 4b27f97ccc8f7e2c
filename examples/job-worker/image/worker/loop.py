"""Takes messages until the queue is empty, or until ECS tells the container to stop.

A message is deleted when its job is done, and only then. A job that fails leaves its message to the
queue: SQS shows it again after a while, and moves it to the dead-letter queue when it was received
`maxReceiveCount` times. So a job may run more than once, and has to come to the same result again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from botocore.exceptions import BotoCoreError, ClientError

from worker.failure import described
from worker.log import log
from worker.queue import Message, Queue
from worker.stop import Interrupted, Stop

Job = Callable[[str], None]
"""Does what a message's body says; whatever it raises is a failure of that message."""


@dataclass
class Heartbeat:
    """Keeps messages from others until they are released, however long that is (SQS ends it after
    12 hours). When the process dies the heart stops, and the messages are back soon. When a beat
    does not get through for too long, the running job is told."""

    queue: Queue
    messages: list[Message]
    stop: Stop
    _ended: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _thread: threading.Thread = field(init=False)

    def __enter__(self) -> Heartbeat:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._ended.set()
        self._thread.join()

    def release(self, message: Message) -> None:
        """Waits for a beat that is under way: a late one would undo what is done next."""
        with self._lock:
            self.messages.remove(message)

    def _run(self) -> None:
        # A third: one beat may fail, and the next still comes in time.
        while not self._ended.wait(self.queue.visibility_seconds / 3):
            for message in list(self.messages):
                with self._lock:
                    if message in self.messages:
                        self._beat(message)
            self.stop.look_again()

    def _beat(self, message: Message) -> None:
        if not message.held:
            return  # A beat now might take it away from who has it.
        try:
            self.queue.keep(message)
        except (BotoCoreError, ClientError) as error:
            log("a heartbeat failed", message=message.id, error=described(error))


def run(queue: Queue, job: Job, stop: Stop, empty_receives: int = 3) -> None:
    """Works until the queue was empty so many times in a row, or until told to stop. Several times,
    because one empty answer proves little, and a container that ends too early is started again."""
    empty = 0
    while empty < empty_receives and not stop.asked:
        messages = queue.receive()
        with Heartbeat(queue, list(messages), stop) as heartbeat:
            for message in messages:
                handle(message, job, heartbeat)
        empty = 0 if messages else empty + 1
    log("ended", why="told to stop" if stop.asked else "the queue is empty")


def handle(message: Message, job: Job, heartbeat: Heartbeat) -> None:
    """Does one message's job, and tells SQS what came of it: of this message alone, so that of a
    batch only those come back that are not done."""
    began = time.monotonic()
    done, error = False, None
    try:
        with heartbeat.stop.interrupting(lambda: message.held):
            job(message.body)
            done = True
    except Interrupted:
        pass
    except (Exception, SystemExit) as raised:
        error = described(raised)
    # Not inside `except`: beside what SQS raises there, Python would print the job's own error.
    outcome = settled(message, heartbeat, done=done, failed=error is not None)
    if error:
        outcome["error"] = error
    seconds = round(time.monotonic() - began, 3)
    log("message", message=message.id, receives=message.receives, seconds=seconds, **outcome)


def settled(
    message: Message, heartbeat: Heartbeat, *, done: bool, failed: bool
) -> dict[str, object]:
    """What came of the message."""
    queue = heartbeat.queue
    heartbeat.release(message)
    if not message.held:
        why = "another container may have it" + (", and its result may be double" if done else "")
        return {"outcome": "lost", "why": why}
    if done:
        queue.delete(message)
        return {"outcome": "done"}
    if failed:
        return {"outcome": "failed", "again_in_seconds": queue.put_off(message)}
    queue.give_back(message)
    return {"outcome": "given back"}
