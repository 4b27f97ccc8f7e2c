"""Takes messages one by one until the queue is empty, or until ECS tells the container to stop.

A message is deleted when its job is done, and only then. A job that fails leaves its message alone:
SQS shows it again after the visibility timeout, and moves it to the dead-letter queue after
`maxReceiveCount` times. So a job may run more than once, and has to come to the same result again.
"""

from __future__ import annotations

import json
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

Job = Callable[[str], None]
"""Does what a message's body says; whatever it raises is a failure of that message."""

# A call has to end before SIGKILL: a poll may take its 20 s, everything else much less.
CLIENT = Config(connect_timeout=5, read_timeout=25, retries={"mode": "standard"})


class Stopped(BaseException):
    """The container is to stop. No `Exception`, so that no job takes it for an error of its own."""


@dataclass
class Stop:
    """Whether the container is to stop, as SIGTERM says: `stopTimeout` seconds before SIGKILL, on
    Fargate Spot when AWS wants its capacity back."""

    asked: bool = False
    _interrupts: bool = False

    @classmethod
    def on_sigterm(cls) -> Stop:
        stop = cls()
        signal.signal(signal.SIGTERM, stop._ask)
        return stop

    def _ask(self, _signal: int, _frame: FrameType | None) -> None:
        self.asked = True
        if self._interrupts:
            # Once: what cleans up after the first is not interrupted again.
            self._interrupts = False
            raise Stopped

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """While the block runs, being asked to stop raises `Stopped` right there. Elsewhere it
        does not: an answer of SQS that is thrown away is a message that nobody has for a while."""
        self._interrupts = True
        try:
            if self.asked:
                raise Stopped
            yield
        finally:
            self._interrupts = False


@dataclass(frozen=True)
class Message:
    """A message that was received and is invisible to others for a while."""

    id: str
    receipt: str
    body: str


@dataclass(frozen=True)
class Queue:
    """One SQS queue, in the hands of one worker. Whatever SQS refuses is raised: a worker that
    cannot take, delete or return messages has to end with an error that somebody sees."""

    sqs: Any
    url: str
    wait_seconds: int = 20
    """How long SQS looks for a message; 20 is its longest. A short poll asks only some of its
    servers, and an empty answer would say nothing."""
    visibility_seconds: int = 120
    """For how long a message that was received, or kept, is invisible to others."""

    def receive(self) -> Message | None:
        answer = self.sqs.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=1,  # the scaler counts on one message a container
            WaitTimeSeconds=self.wait_seconds,
            VisibilityTimeout=self.visibility_seconds,
        )
        for found in answer.get("Messages", []):
            return Message(found["MessageId"], found["ReceiptHandle"], found["Body"])
        return None

    def keep(self, message: Message) -> None:
        """Nobody else sees the message for another `visibility_seconds` from now."""
        self._set_visibility(message, self.visibility_seconds)

    def give_back(self, message: Message) -> None:
        """Somebody else may have the message at once."""
        self._set_visibility(message, 0)

    def delete(self, message: Message) -> None:
        self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message.receipt)

    def _set_visibility(self, message: Message, seconds: int) -> None:
        self.sqs.change_message_visibility(
            QueueUrl=self.url, ReceiptHandle=message.receipt, VisibilityTimeout=seconds
        )


@dataclass
class Heartbeat:
    """Keeps a message from others for as long as the block runs, however long that is (SQS ends it
    after 12 hours). When the process dies the heart stops, and the message is back soon."""

    queue: Queue
    message: Message
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread = field(init=False)

    def __enter__(self) -> None:
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def __exit__(self, *_exception: object) -> None:
        """Waits for a beat that is under way: a late one would undo `give_back`."""
        self._ended.set()
        self._thread.join()

    def _beat(self) -> None:
        # A third: one beat may fail, and the next still comes in time.
        while not self._ended.wait(self.queue.visibility_seconds / 3):
            try:
                self.queue.keep(self.message)
            except (BotoCoreError, ClientError) as error:
                log("a heartbeat failed", message=self.message.id, error=str(error))


def run(queue: Queue, job: Job, stop: Stop, empty_receives: int = 3) -> None:
    """Works until the queue was empty so many times in a row, or until told to stop. Several times,
    because one empty answer proves little, and a container that ends too early is started again."""
    empty = 0
    while empty < empty_receives and not stop.asked:
        message = queue.receive()
        if message:
            handle(queue, message, job, stop)
        empty = 0 if message else empty + 1
    log("ended", why="told to stop" if stop.asked else "the queue is empty")


def handle(queue: Queue, message: Message, job: Job, stop: Stop) -> None:
    """Does one message's job, and tells SQS what came of it."""
    began = time.monotonic()
    try:
        with Heartbeat(queue, message), stop.interrupting():
            job(message.body)
    except Stopped:
        queue.give_back(message)
        outcome: dict[str, object] = {"outcome": "given back"}
    except Exception as error:
        outcome = {"outcome": "failed", "error": str(error), "trace": traceback.format_exc()}
    else:
        queue.delete(message)
        outcome = {"outcome": "done"}
    log("message", message=message.id, seconds=round(time.monotonic() - began, 3), **outcome)


def log(event: str, **fields: object) -> None:
    """One line of JSON, as CloudWatch Logs Insights reads it. Never a message's body."""
    print(json.dumps({"event": event, **fields}), flush=True)
