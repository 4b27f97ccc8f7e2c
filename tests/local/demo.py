"""`make demo`: one tick, end to end, on a local AWS, for a person to watch."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from scenario import Audience, Tick, by_revision, mistakes, play, short
from stack import StackError, built_binary, local_aws


class Terminal(Audience):
    """Tells a person what is done and what came of it."""

    def step(self, text: str) -> None:
        print(f"\n== {text}", flush=True)

    def tick(self, tick: Tick) -> None:
        invocation = tick.invocation
        if invocation.failed:
            print(f"  failed: {invocation.payload}")
            return
        workers, totals = invocation.payload["workers"], invocation.payload["totals"]
        print("  worker      visible  in flight  alive  outcome    launched (tasks x containers)")
        for worker in workers:
            print(row(worker))
        for worker in workers:
            print(f"  {worker['worker']}: {worker['decision']['why']}")
        print(f"  {totals['apiCalls']} API calls, {totals['milliseconds']} ms")
        batches = ", ".join(f"{count} x {revision}" for revision, count in sorted(tick.batches))
        print(f"  RunTask calls that the emulator saw: {batches or 'none'}")
        print("  the emulator lists now:")
        for revision, count in sorted(by_revision(tick.tasks).items()):
            print(f"    {count:>2} x {revision}")


def row(worker: dict[str, Any]) -> str:
    depth, alive = worker["depth"], worker.get("alive", {"containers": "-"})
    launched = ", ".join(
        f"{short(group['taskDefinition'])}: {group['count']} x"
        f" {group['containersPerTask']}" + (" (new revision)" if group["registered"] else "")
        for group in worker["launched"]
    )
    return (
        f"  {worker['worker']:<11} {depth['visible']:>7} {depth['inFlight']:>10}"
        f" {alive['containers']:>6}  {worker['outcome']:<10} {launched or '-'}"
    )


def main(path: str | None) -> int:
    began = time.monotonic()
    terminal = Terminal()
    try:
        binary = built_binary(path)
        terminal.step("starting a local AWS emulator on a free loopback port")
        with local_aws() as stack:
            print(f"  {stack.endpoint}")
            found = mistakes(play(stack, binary, terminal))
            terminal.step("stopping the emulator")
    except StackError as error:
        found = [str(error)]
    except KeyboardInterrupt:
        found = ["interrupted; the emulator is stopped"]
    for mistake in found:
        print(f"\nFAILED: {mistake}")
    if not found:
        seconds = time.monotonic() - began
        print(
            "\nOK: tick 1 launched what its arithmetic says, tick 2 nothing, and tick 3 registered"
            f" nothing ({seconds:.1f} s)"
        )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else None))
