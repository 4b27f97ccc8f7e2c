"""`make local-stack`: template.yaml on a local AWS, with its schedule, until Ctrl-C."""

from __future__ import annotations

import random
import sys
import time
from typing import Any

from agent import Agent, running_agent
from deployment import Deployment, deploy, unsupported
from scenario import CONFIG, MESSAGES, by_revision, prepare, queue_urls, send
from stack import REGION, Stack, StackError, built_binary, local_aws
from template import read_template
from terminal import Terminal

LOOK_SECONDS = 2
JOB_SECONDS = (1, 4)
REASONS = ("plan.reason", "failures", "warnings", "error")
"""What a line of the log says beside its message."""


def watch(deployment: Deployment, agent: Agent, terminal: Terminal) -> None:
    """Tells what the function logs, and how its workers are; starts the containers of new tasks."""
    urls = queue_urls(deployment.stack)
    told, last = 0, ""
    while True:
        tasks = deployment.stack.tasks()
        agent.start(tasks)
        agent.check()
        lines = deployment.log_lines()
        for line in lines[told:]:
            if "message" in line:
                tell(line, terminal)
        told = len(lines)
        if (now := situation(deployment.stack, urls, tasks)) != last:
            terminal.aside(now)
        last = now
        time.sleep(LOOK_SECONDS)


def tell(line: dict[str, Any], terminal: Terminal) -> None:
    """What was done, and why; the time of day is enough."""
    texts = [line["message"], *(line[name] for name in REASONS if name in line)]
    terminal.say(f"{line['timestamp'][11:19]}  {line['level']:<5}  {': '.join(texts)}", hang=19)


def situation(stack: Stack, urls: dict[str, str], tasks: list[dict[str, Any]]) -> str:
    """The queues and the tasks, in one sentence."""
    depths = {queue: stack.depth(url) for queue, url in urls.items()}
    queues = (f"{queue}: {waits} waiting, {held} in work" for queue, (waits, held) in depths.items())
    revisions = (f"{count} x {revision}" for revision, count in sorted(by_revision(tasks).items()))
    return f"{'; '.join(queues)}; tasks: {', '.join(revisions) or 'none'}"


def introduce(deployment: Deployment, terminal: Terminal) -> None:
    terminal.heading("template.yaml is deployed")
    left_out = ", ".join(unsupported(read_template()))
    terminal.say(f"The emulator is at {deployment.stack.endpoint}. It does not know {left_out}.")
    for name, value in deployment.outputs.items():
        terminal.aside(f"{name}: {value}")
    terminal.heading("Two queues have messages; the schedule wakes the function every minute")
    terminal.say("The first time within 70 s. Local workers take the messages. Ctrl-C stops all.")
    terminal.say("To send another message:")
    queue = deployment.stack.queue_url(next(iter(MESSAGES)))
    for line in (
        "AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test \\",
        f"  aws --region {REGION} --endpoint-url {deployment.stack.endpoint} \\",
        f"  sqs send-message --queue-url {queue} \\",
        "  --message-body hello",
    ):
        terminal.say(f"  {line}")


def main(path: str | None) -> int:
    terminal = Terminal()
    try:
        binary = built_binary(path)
        with local_aws() as stack:
            prepare(stack)
            send(stack)
            deployment = deploy(stack, binary, CONFIG, Architecture="x86_64")
            introduce(deployment, terminal)
            with running_agent(stack, work) as agent:
                watch(deployment, agent, terminal)
    except StackError as error:
        terminal.failed(str(error))
        return 1
    except KeyboardInterrupt:
        print("\nstopped")
    return 0


def work(_body: str) -> None:
    """A job that takes its time."""
    time.sleep(random.uniform(*JOB_SECONDS))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else None))
