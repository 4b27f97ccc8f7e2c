"""`make local-stack`: template.yaml on a local AWS, with its schedule, until Ctrl-C."""

from __future__ import annotations

import itertools
import sys
import time

from deployment import Deployment, deploy, unsupported
from scenario import CONFIG, MESSAGES, by_revision, prepare
from stack import StackError, built_binary, local_aws
from template import read_template

LOOK_SECONDS = 2


def watch(deployment: Deployment) -> None:
    """Tells what the function logs, and which tasks there are then."""
    told = 0
    for _ in itertools.count():
        lines = deployment.log_lines()
        for line in lines[told:]:
            if "message" in line:
                print(f"  {line['timestamp']}  {line['level']:<5} {line['message']}")
        if told < len(lines):
            tasks = by_revision(deployment.stack.tasks())
            print("  tasks: " + (", ".join(f"{n} x {r}" for r, n in sorted(tasks.items())) or "none"))
            sys.stdout.flush()
        told = len(lines)
        time.sleep(LOOK_SECONDS)


def main(path: str | None) -> int:
    try:
        binary = built_binary(path)
        with local_aws() as stack:
            prepare(stack)
            for queue, messages in MESSAGES.items():
                stack.send(queue, messages)
            deployment = deploy(stack, binary, CONFIG, Architecture="x86_64")
            print(f"template.yaml is deployed to {stack.endpoint}, without what the emulator does")
            print(f"not know ({', '.join(unsupported(read_template()))}). Outputs:")
            for name, value in deployment.outputs.items():
                print(f"  {name}: {value}")
            print("Two queues have messages; the schedule wakes the function within 70 s.")
            print("Ctrl-C stops it.", flush=True)
            watch(deployment)
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else None))
