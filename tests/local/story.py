"""What the demo shows and the end-to-end test checks: messages come, containers start, take them and
end, and then there is nothing to do."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent import Agent, Taken, running_agent
from scenario import CONFIG, MESSAGES, Tick, by_revision, observed, prepare, queue_urls, send
from stack import Stack, StackError

JOB_SECONDS = 0.3
LOOK_SECONDS = 0.5
PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Look:
    """The queues and the tasks at one moment."""

    waiting: dict[str, int]
    """Messages that nobody has taken, by queue."""
    in_work: dict[str, int]
    """Messages that a container holds, by queue."""
    tasks: int

    def done(self, queue: str) -> int:
        return MESSAGES[queue] - self.waiting[queue] - self.in_work[queue]

    def __str__(self) -> str:
        waiting, in_work = sum(self.waiting.values()), sum(self.in_work.values())
        done = sum(map(self.done, MESSAGES))
        return f"{waiting} messages wait, {in_work} are in work, {done} are done, {self.tasks} tasks run"


@dataclass(frozen=True)
class Story:
    """What came of it."""

    burst: Tick
    at_work: Tick
    over: Tick
    containers: int
    """Worker containers that ran."""
    taken: list[Taken]
    """Each time that one of them received a message."""
    ended: list[dict[str, Any]]
    """The tasks that have stopped."""
    last: Look


class Audience:
    """Who watches the story; this one does not look."""

    def step(self, text: str) -> None:
        """Something is about to be done."""

    def tick(self, tick: Tick) -> None:
        """A tick was done."""

    def look(self, look: Look) -> None:
        """So far the workers are."""


def play(stack: Stack, binary: Path, audience: Audience) -> Story:
    """Plays the story. What came of it is for the caller to judge, but it ends where a tick fails
    or the workers do not get on."""

    def tick(number: int) -> Tick:
        done = observed(stack, minute=number - 1)
        if done.invocation.failed:
            raise StackError(f"tick {number} failed: {done.invocation.payload}")
        audience.tick(done)
        return done

    audience.step("Two queues, a task definition for the workers of each, and an ECS cluster")
    prepare(stack)
    sent = " and ".join(f"{count} messages to queue {queue}" for queue, count in MESSAGES.items())
    audience.step(f"Sending {sent}")
    send(stack)
    audience.step("Deploying the function to the emulator's Lambda")
    stack.deploy(binary, CONFIG)
    audience.step("Tick 1: the schedule wakes the function, which starts what the messages need")
    burst = tick(1)

    go_on = threading.Event()
    with ExitStack() as at_the_end:
        agent = at_the_end.enter_context(running_agent(stack, lambda _: work(go_on)))
        at_the_end.callback(go_on.set)  # or the agent would wait for jobs that wait
        audience.step("The containers start: a local worker for each takes its first message")
        agent.start(burst.tasks)
        watch = Watch(stack, agent, audience, queue_urls(stack))
        watch.until("each container has a message", lambda look: holds_all(look, agent))
        audience.step("Tick 2, a minute later: all are at work, so nothing is started twice")
        at_work = tick(2)
        audience.step("The workers go on until their queue is empty, and then they end")
        go_on.set()
        last = watch.until("all tasks have ended", lambda look: look.tasks == 0)

    audience.step("Tick 3, another minute later: nothing waits, so nothing is started")
    over = tick(3)
    return Story(
        burst, at_work, over, agent.containers, agent.taken, stack.tasks("STOPPED"), last
    )


def work(go_on: threading.Event) -> None:
    """A job: the first one of each container ends when all have one."""
    go_on.wait(PATIENCE_SECONDS)
    time.sleep(JOB_SECONDS)


def holds_all(look: Look, agent: Agent) -> bool:
    return sum(look.in_work.values()) == agent.containers


@dataclass(frozen=True)
class Watch:
    """Looks at queues and tasks until something is so."""

    stack: Stack
    agent: Agent
    audience: Audience
    queue_urls: dict[str, str]

    def until(self, what: str, is_so: Callable[[Look], bool]) -> Look:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            self.agent.check()
            look = self.look()
            self.audience.look(look)
            if is_so(look):
                return look
            if look.tasks == 0:
                raise StackError(f"all tasks have ended before {what}: {look}")
            if deadline < time.monotonic():
                raise StackError(f"waited {PATIENCE_SECONDS} s in vain until {what}: {look}")
            time.sleep(LOOK_SECONDS)

    def look(self) -> Look:
        depths = {queue: self.stack.depth(url) for queue, url in self.queue_urls.items()}
        return Look(
            waiting={queue: visible for queue, (visible, _) in depths.items()},
            in_work={queue: in_flight for queue, (_, in_flight) in depths.items()},
            tasks=len(self.stack.tasks()),
        )


def mistakes(story: Story) -> list[str]:
    """What is not as the arithmetic says, a sentence each; none when all is well."""
    found = []

    def expect(what: str, seen: object, wanted: object) -> None:
        if seen != wanted:
            found.append(f"{what}: {seen}, not {wanted}")

    tasks = {"thumbnail--x4:1": 7, "thumbnail--x2:1": 1, "export:1": 12}
    batches = [("export:1", 2), ("export:1", 10), ("thumbnail--x2:1", 1), ("thumbnail--x4:1", 7)]
    expected = [
        (story.burst, 20, batches, ["thumbnail--x2", "thumbnail--x4"], tasks),
        (story.at_work, 0, [], [], tasks),
        (story.over, 0, [], [], {}),
    ]
    for n, (tick, launched, calls, families, alive) in enumerate(expected, start=1):
        reported = tick.invocation.payload["totals"]["launchedTasks"]
        expect(f"tasks that tick {n} reports as launched", reported, launched)
        expect(f"RunTask calls of tick {n}", sorted(tick.batches), calls)
        expect(f"families that tick {n} registered", sorted(tick.registered), families)
        expect(f"tasks after tick {n}", dict(by_revision(tick.tasks)), alive)
    owed = story.burst.invocation.payload["totals"]["launchedContainers"]
    expect("worker containers that ran", story.containers, owed)
    return found + mistakes_of_workers(story)


def mistakes_of_workers(story: Story) -> list[str]:
    """Each message is taken once and done, and each task ends well."""
    found = []
    sent = {(queue, f"job {n}") for queue, count in MESSAGES.items() for n in range(count)}
    taken = Counter((each.queue, each.body) for each in story.taken)
    if never := sent - set(taken):
        found.append(f"messages that no worker took: {sorted(never)}")
    if twice := [message for message, times in taken.items() if times != 1]:
        found.append(f"messages that were taken more than once: {sorted(twice)}")
    if story.last.done("thumbnail") + story.last.done("export") != len(sent):
        found.append(f"messages are left when all tasks have ended: {story.last}")
    if len(story.ended) != len(story.burst.tasks):
        found.append(f"{len(story.ended)} tasks have stopped, of {len(story.burst.tasks)}")
    for task in story.ended:
        exits = {each["name"]: each["exitCode"] for each in task["containers"]}
        failed = {name for name, code in exits.items() if name != "log" and code != 0}
        if failed or task["stopCode"] != "EssentialContainerExited":
            found.append(f"{task['taskArn']} ended by {task['stopCode']}, with {exits}")
    return found
