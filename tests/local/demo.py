"""`make demo`: the whole story on a local AWS, for a person to watch."""

from __future__ import annotations

import sys
import time
from typing import Any

from scenario import MESSAGES, Tick
from stack import StackError, built_binary, local_aws
from story import Audience, Look, Story, mistakes, play
from terminal import Terminal


class Spectator(Audience):
    """Tells a person what is done and what came of it."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._last_look: Look | None = None

    def step(self, text: str) -> None:
        self._terminal.heading(text)

    def tick(self, tick: Tick) -> None:
        workers, totals = tick.invocation.payload["workers"], tick.invocation.payload["totals"]
        self._terminal.say("worker      visible  in flight  alive  outcome    started now")
        for worker in workers:
            self._terminal.say(row(worker))
        for worker in workers:
            name = f"{worker['worker']}: "
            self._terminal.say(f"{name}{why(worker)}", hang=2 + len(name))
        if tick.registered:
            self._terminal.aside(f"registered: {', '.join(sorted(tick.registered))}")
        if tick.batches:
            batches = (f"{count} x {revision}" for revision, count in sorted(tick.batches))
            self._terminal.aside(f"RunTask calls: {', '.join(batches)}")
        self._terminal.aside(f"{totals['apiCalls']} calls of AWS, {totals['milliseconds']} ms")

    def look(self, look: Look) -> None:
        if look == self._last_look:
            return
        self._last_look = look
        queues = [
            f"{queue}: {look.waiting[queue]:>2} waiting, {look.in_work[queue]:>2} in work,"
            f" {look.done(queue):>2} done;"
            for queue in MESSAGES
        ]
        self._terminal.say(f"{'  '.join(queues)}  {look.tasks:>2} tasks")


def row(worker: dict[str, Any]) -> str:
    depth, alive, launched = worker["depth"], worker.get("alive"), worker["launched"]
    tasks = sum(group["count"] for group in launched)
    containers = sum(group["count"] * group["containersPerTask"] for group in launched)
    return (
        f"{worker['worker']:<11} {depth['visible']:>7} {depth['inFlight']:>10}"
        f" {alive['containers'] if alive else '-':>6}  {worker['outcome']:<10}"
        + (f" {containers} containers in {tasks} tasks" if launched else " -")
    )


def why(worker: dict[str, Any]) -> str:
    """The arithmetic, where any was needed."""
    nothing = "no message waits, so its tasks are not even looked at"
    return str(worker["decision"]["why"]) if "decision" in worker else nothing


def in_a_sentence(story: Story) -> str:
    return (
        f"{story.containers} containers in {len(story.ended)} tasks did {len(story.taken)} messages,"
        " each once, and nothing runs any more"
    )


def main(path: str | None) -> int:
    began = time.monotonic()
    terminal = Terminal()
    try:
        binary = built_binary(path)
        terminal.heading("Starting a local AWS: an emulator that only this machine can reach")
        with local_aws() as stack:
            terminal.aside(stack.endpoint)
            story = play(stack, binary, Spectator(terminal))
            found = mistakes(story)
    except StackError as error:
        found = [str(error)]
    except KeyboardInterrupt:
        found = ["interrupted; the emulator is stopped"]
    for mistake in found:
        terminal.failed(mistake)
    if not found:
        seconds = time.monotonic() - began
        terminal.succeeded(f"{in_a_sentence(story)} ({seconds:.0f} s).")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else None))
