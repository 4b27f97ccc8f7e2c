"""The containers of the emulator's tasks, which it does not start: a thread stands for each worker
container, takes messages until its queue is empty, and ends.

As with ECS, what a container is comes from its task definition, and the agent tells ECS of its end.
The emulator knows what follows for the task (`ministack_rules.py`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from stack import CLUSTER, Stack, StackError

QUEUE = "QUEUE"
"""What a worker container's environment names its queue by."""
AWAITED = "WORKERS"
"""What the environment of the scaler's watcher names the containers by with which it ends."""

WAIT_SECONDS = 1
EMPTY_RECEIVES = 2
# Far longer than any job here: a message that is seen twice was not deleted.
VISIBILITY_SECONDS = 600
STOP_SECONDS = 5
# Every container may wait for a message at the same time.
CONNECTIONS = Config(max_pool_connections=100, retries={"total_max_attempts": 1})

Job = Callable[[str], None]
"""Does what a message's body says; whatever it raises ends the container with exit code 1."""


@dataclass(frozen=True)
class Taken:
    """A message that a container received."""

    queue: str
    body: str


@dataclass(frozen=True)
class Container:
    """A worker container that runs."""

    sqs: Any
    queue_url: str
    job: Job
    told_to_stop: threading.Event
    taken: list[Taken]
    """By all containers."""

    def run(self) -> int:
        """Works until the queue was empty twice in a row; gives its exit code."""
        empty = 0
        while empty < EMPTY_RECEIVES and not self.told_to_stop.is_set():
            messages = self.receive()
            for message in messages:
                queue = self.queue_url.rpartition("/")[2]
                self.taken.append(Taken(queue, message["Body"]))
                try:
                    self.job(message["Body"])
                except Exception:  # its message stays in flight, as in any worker that crashes
                    return 1
                self.sqs.delete_message(
                    QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"]
                )
            empty = 0 if messages else empty + 1
        return 0

    def receive(self) -> list[dict[str, Any]]:
        """A message, if there is one."""
        answer = self.sqs.receive_message(
            QueueUrl=self.queue_url,
            MaxNumberOfMessages=1,
            WaitTimeSeconds=WAIT_SECONDS,
            VisibilityTimeout=VISIBILITY_SECONDS,
        )
        found: list[dict[str, Any]] = answer.get("Messages", [])
        return found


@dataclass
class Agent:
    """Runs the containers of tasks."""

    stack: Stack
    job: Job
    taken: list[Taken] = field(default_factory=list)
    containers: int = 0
    """Worker containers that were started."""
    _queue_urls: dict[str, str] = field(default_factory=dict)
    _tasks: dict[str, threading.Thread] = field(default_factory=dict)
    _errors: list[Exception] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._sqs = self.stack.client("sqs", CONNECTIONS)
        self._ecs = self.stack.client("ecs", CONNECTIONS)

    def start(self, tasks: list[dict[str, Any]]) -> None:
        """Starts the containers of those tasks whose containers it has not started yet."""
        for task in tasks:
            if task["taskArn"] not in self._tasks:
                workers, watchers = self._definition(task)
                self.containers += len(workers)
                thread = begun(self._run, task, workers, watchers)
                self._tasks[task["taskArn"]] = thread

    def check(self) -> None:
        """Raises what has kept a container from its work."""
        for error in self._errors:
            raise StackError(f"a local worker could not go on: {error}") from error

    def stop(self) -> None:
        """Ends all containers where they are: their tasks are left as they stand. A job that hangs
        ends with the process."""
        self._stop.set()
        deadline = time.monotonic() + STOP_SECONDS
        for thread in self._tasks.values():
            thread.join(max(0, deadline - time.monotonic()))

    def _definition(self, task: dict[str, Any]) -> tuple[dict[str, str], list[str]]:
        """Where each worker container, by its name, has its messages from; and the watchers' names."""
        reference = task["taskDefinitionArn"]
        described = self._ecs.describe_task_definition(taskDefinition=reference)
        environments = {
            container["name"]: {each["name"]: each["value"] for each in container["environment"]}
            for container in described["taskDefinition"]["containerDefinitions"]
            if "environment" in container
        }
        queues = {name: env[QUEUE] for name, env in environments.items() if QUEUE in env}
        workers = {name: self._queue_url(queue) for name, queue in queues.items()}
        return workers, [name for name, env in environments.items() if AWAITED in env]

    def _queue_url(self, queue: str) -> str:
        """Looked up once, as each call is in the emulator's short record."""
        if queue not in self._queue_urls:
            self._queue_urls[queue] = self.stack.queue_url(queue)
        return self._queue_urls[queue]

    def _run(self, task: dict[str, Any], workers: dict[str, str], watchers: list[str]) -> None:
        """One task: its workers side by side, and its watcher, which ends with the last of them."""
        threads = [begun(self._run_worker, task, name, url) for name, url in workers.items()]
        for thread in threads:
            thread.join()
        for name in watchers:
            with self._errors_kept():
                self._tell_end(task, name, exit_code=0)

    def _run_worker(self, task: dict[str, Any], name: str, queue_url: str) -> None:
        with self._errors_kept():
            container = Container(self._sqs, queue_url, self.job, self._stop, self.taken)
            self._tell_end(task, name, container.run())

    def _tell_end(self, task: dict[str, Any], name: str, exit_code: int) -> None:
        if self._stop.is_set():
            return
        self._ecs.submit_container_state_change(
            cluster=CLUSTER,
            task=task["taskArn"],
            containerName=name,
            status="STOPPED",
            exitCode=exit_code,
        )

    @contextmanager
    def _errors_kept(self) -> Iterator[None]:
        """An error of AWS is told by the main thread (`check`)."""
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            self._errors.append(error)


def begun(work: Callable[..., None], *arguments: Any) -> threading.Thread:
    """A thread that does not outlive the process."""
    thread = threading.Thread(target=work, args=arguments, daemon=True)
    thread.start()
    return thread


@contextmanager
def running_agent(stack: Stack, job: Job) -> Iterator[Agent]:
    """An agent, and its containers, for as long as the block runs."""
    agent = Agent(stack, job)
    try:
        yield agent
    finally:
        agent.stop()
