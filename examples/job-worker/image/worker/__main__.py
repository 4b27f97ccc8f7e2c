"""`python -m worker`: the environment in, exit code 0 when there is nothing left to do.

KIND and QUEUE_URL are required. EMPTY_RECEIVES (3), WAIT_SECONDS (20), VISIBILITY_SECONDS (120),
BACK_OFF_SECONDS (30) and BATCH (1) have a default.
"""

from __future__ import annotations

import os

from worker.stop import Stop

# Before what takes long to import: a second and more on a quarter of a CPU.
STOP = Stop.on_sigterm()

import boto3

from worker.kinds import job_of
from worker.loop import run
from worker.queue import CLIENT, Queue
from worker.upload import worked_on


def main() -> None:
    job = job_of(os.environ["KIND"])
    s3 = boto3.client("s3", config=CLIENT)
    queue = Queue(
        boto3.client("sqs", config=CLIENT),
        os.environ["QUEUE_URL"],
        wait_seconds=number("WAIT_SECONDS", 20),
        visibility_seconds=number("VISIBILITY_SECONDS", 120),
        back_off_seconds=number("BACK_OFF_SECONDS", 30),
        batch=number("BATCH", 1),
    )
    run(queue, lambda body: worked_on(s3, body, job), STOP, number("EMPTY_RECEIVES", 3))


def number(name: str, default: int) -> int:
    return int(os.environ.get(name, default))


if __name__ == "__main__":
    main()
