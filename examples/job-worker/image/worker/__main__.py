"""`python -m worker`: the environment in, exit code 0 when there is nothing left to do.

KIND and QUEUE_URL are required. EMPTY_RECEIVES (3), WAIT_SECONDS (20) and VISIBILITY_SECONDS (120)
have a default.
"""

from __future__ import annotations

import os

import boto3

from worker.kinds import job_of
from worker.loop import CLIENT, Queue, Stop, run
from worker.upload import worked_on


def main() -> None:
    # Before anything that takes time: until then SIGTERM is not heard by process 1 at all.
    stop = Stop.on_sigterm()
    job = job_of(os.environ["KIND"])
    s3 = boto3.client("s3", config=CLIENT)
    queue = Queue(
        boto3.client("sqs", config=CLIENT),
        os.environ["QUEUE_URL"],
        wait_seconds=int(os.environ.get("WAIT_SECONDS", "20")),
        visibility_seconds=int(os.environ.get("VISIBILITY_SECONDS", "120")),
    )
    empty_receives = int(os.environ.get("EMPTY_RECEIVES", "3"))
    run(queue, lambda body: worked_on(s3, body, job), stop, empty_receives)


if __name__ == "__main__":
    main()
