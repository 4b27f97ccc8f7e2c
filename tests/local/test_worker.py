"""The worker of examples/job-worker as a process, against the emulator's SQS and S3."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from container import ENDS_WITHIN, IMAGE, SLEEPER, ended, eventually, outcomes, started
from stack import ROOT, Stack, local_aws

MAX_RECEIVES = 2


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with local_aws() as running:
        yield running


@dataclass(frozen=True)
class Queues:
    """A queue and its dead-letter queue."""

    sqs: Any
    url: str
    dead: str

    def send(self, body: str) -> None:
        self.sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def left(self, url: str) -> tuple[int, int]:
        """Visible and in flight."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return int(found[names[0]]), int(found[names[1]])


@pytest.fixture()
def queues(stack: Stack, request: pytest.FixtureRequest) -> Queues:
    sqs = stack.client("sqs")
    name = request.node.name[:60]
    dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])
    redrive = {
        "deadLetterTargetArn": arn["Attributes"]["QueueArn"],
        "maxReceiveCount": MAX_RECEIVES,
    }
    attributes = {"RedrivePolicy": json.dumps(redrive)}
    return Queues(sqs, sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"], dead)


def sleeper(stack: Stack, queues: Queues, **environment: str) -> subprocess.Popen[str]:
    return started(stack, ["-c", SLEEPER], QUEUE_URL=queues.url, **environment)


def began(worker: subprocess.Popen[str]) -> None:
    """Waits until a job runs."""
    assert next_line(worker)["event"] == "began"


def next_line(worker: subprocess.Popen[str]) -> dict[str, Any]:
    """Waits for the next line of the log."""
    assert worker.stdout is not None
    line: dict[str, Any] = json.loads(worker.stdout.readline())
    return line


def test_messages_are_worked_on_and_deleted_until_the_queue_is_empty(
    stack: Stack, queues: Queues
) -> None:
    s3 = stack.client("s3")
    s3.create_bucket(Bucket="files")
    for n in range(3):
        key = f"uploads/exportOrders/{n}.jsonl"
        s3.put_object(Bucket="files", Key=key, Body=json.dumps({"id": n}).encode())
        queues.send(json.dumps({"detail": {"bucket": {"name": "files"}, "object": {"key": key}}}))

    log = ended(started(stack, ["-m", "worker"], KIND="exportOrders", QUEUE_URL=queues.url))

    assert outcomes(log) == ["done"] * 3
    assert log[-1] == {"event": "ended", "why": "the queue is empty"}
    assert queues.left(queues.url) == (0, 0)
    result = s3.get_object(Bucket="files", Key="results/exportOrders/2.jsonl.csv")
    assert result["Body"].read() == b"id\r\n2\r\n"
    assert result["ContentType"] == "text/csv; charset=utf-8"


def test_a_job_that_fails_goes_to_the_dead_letters_and_the_others_are_done(
    stack: Stack, queues: Queues
) -> None:
    queues.send("not a number")
    queues.send("0")
    log = ended(sleeper(stack, queues, EMPTY_RECEIVES="3"))
    assert sorted(outcomes(log)) == ["done", "failed", "failed"]
    failure = next(line for line in log if line.get("outcome") == "failed")
    assert failure["error"] == "could not convert string to float: 'not a number'"
    assert queues.left(queues.url) == (0, 0)
    assert queues.left(queues.dead) == (1, 0)


def test_a_job_longer_than_the_visibility_timeout_is_done_once(
    stack: Stack, queues: Queues
) -> None:
    queues.send("4.5")
    first = sleeper(stack, queues, EMPTY_RECEIVES="1", VISIBILITY_SECONDS="2")
    began(first)
    second = sleeper(stack, queues, EMPTY_RECEIVES="4")
    assert outcomes(ended(second)) == []
    assert outcomes(ended(first)) == ["done"]
    assert queues.left(queues.url) == (0, 0)
    assert queues.left(queues.dead) == (0, 0)


def test_sigterm_gives_the_message_of_a_running_job_back_at_once(
    stack: Stack, queues: Queues
) -> None:
    queues.send("60")
    queues.send("60")
    # Visible again within this test, if at all, only because it was given back.
    worker = sleeper(stack, queues, VISIBILITY_SECONDS="600")
    began(worker)
    assert queues.left(queues.url) == (1, 1)

    asked = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    log = ended(worker)

    assert time.monotonic() - asked < 5
    assert outcomes(log) == ["given back"]
    assert log[-1] == {"event": "ended", "why": "told to stop"}
    assert queues.left(queues.url) == (2, 0)


def test_sigterm_while_polling_ends_the_worker_after_the_poll(stack: Stack, queues: Queues) -> None:
    queues.send("no event of S3")
    worker = started(
        stack, ["-m", "worker"], KIND="exportOrders", QUEUE_URL=queues.url, EMPTY_RECEIVES="1000"
    )
    assert next_line(worker)["outcome"] == "failed"
    worker.send_signal(signal.SIGTERM)
    assert ended(worker)[-1] == {"event": "ended", "why": "told to stop"}


def test_a_worker_that_is_killed_loses_nothing(stack: Stack, queues: Queues) -> None:
    queues.send("60")
    worker = sleeper(stack, queues)
    began(worker)
    worker.kill()
    worker.communicate()
    eventually(lambda: queues.left(queues.url) == (1, 0))


def test_the_image_has_the_versions_that_are_tested_here() -> None:
    tested = (ROOT / "tests/local/requirements.txt").read_text().splitlines()
    assert set((IMAGE / "requirements.txt").read_text().splitlines()) <= set(tested)


def test_a_worker_of_an_unknown_kind_does_not_start(stack: Stack, queues: Queues) -> None:
    worker = started(stack, ["-m", "worker"], KIND="nothingKnown", QUEUE_URL=queues.url)
    assert worker.wait(timeout=ENDS_WITHIN) == 1
