"""The worker of examples/job-worker as a process, against the emulator's SQS and S3."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from container import ENDS_WITHIN, IMAGE, SLEEPER, ended, eventually, outcomes, started
from stack import ROOT, Stack, local_aws

MAX_RECEIVES = 2

# In the place of boto3: it takes a second to import, and then is the real one.
SLOW_BOTO3 = """
import importlib, sys, time
print('{"event": "importing"}', flush=True)
time.sleep(1)
sys.path = [path for path in sys.path if path != __file__.rpartition("/")[0]]
del sys.modules["boto3"]
importlib.import_module("boto3")
"""

# A job that makes twenty pieces of a megabyte, and then cannot go on.
FAILS_LATE = """
import boto3
from worker.failure import Unfit
from worker.kinds import Product
from worker.log import log
from worker.upload import worked_on

def pieces():
    global sent
    for sent in range(1, 21):
        yield bytes(1_000_000)
    raise Unfit("line 3 is no JSON")

body = '{"detail": {"bucket": {"name": "large"}, "object": {"key": "uploads/a"}}}'
try:
    worked_on(boto3.client("s3"), body, lambda _: Product("x", "text/plain", pieces()))
except Unfit as error:
    log(str(error), sent=sent)
"""

# A job whose result never ends.
ENDLESS = """
import os, time, boto3
from worker.kinds import Product
from worker.log import log
from worker.loop import run
from worker.queue import CLIENT, Queue
from worker.stop import Stop
from worker.upload import worked_on

def pieces():
    log("began")
    while True:
        yield bytes(1_000_000)
        time.sleep(0.1)

stop, s3 = Stop.on_sigterm(), boto3.client("s3", config=CLIENT)
work = lambda _: Product("x", "text/plain", pieces())
queue = Queue(boto3.client("sqs", config=CLIENT), os.environ["QUEUE_URL"], wait_seconds=1)
run(queue, lambda body: worked_on(s3, body, work), stop, empty_receives=1)
"""

# A job that fails, and whose queue is gone by then.
LOSES_ITS_QUEUE = """
import os, boto3
from worker.loop import run
from worker.queue import Queue
from worker.stop import Stop

sqs, url = boto3.client("sqs"), os.environ["QUEUE_URL"]

def job(body):
    sqs.delete_queue(QueueUrl=url)
    raise ValueError(f"cannot parse {body}")

run(Queue(sqs, url, wait_seconds=5), job, Stop.on_sigterm())
"""

# A job that no signal reaches, as one within a library that is not Python's.
DEAF = """
import os, signal, time, boto3
from worker.log import log
from worker.loop import run
from worker.queue import Queue
from worker.stop import Stop

def job(body):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    log("began")
    time.sleep(2)

queue = Queue(boto3.client("sqs"), os.environ["QUEUE_URL"], wait_seconds=5, visibility_seconds=1)
run(queue, job, Stop.on_sigterm(), empty_receives=1)
"""


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

    def send(self, body: str, **more: Any) -> None:
        self.sqs.send_message(QueueUrl=self.url, MessageBody=body, **more)

    def receive(self) -> dict[str, Any]:
        """The message that is there, as whoever receives it next sees it."""
        answer = self.sqs.receive_message(
            QueueUrl=self.url,
            VisibilityTimeout=600,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
            MessageAttributeNames=["All"],
        )
        messages: list[dict[str, Any]] = answer["Messages"]
        assert len(messages) == 1
        return messages[0]

    def take_away(self) -> None:
        """Somebody else has every message from now on, and all receipts are stale."""
        self.sqs.purge_queue(QueueUrl=self.url)

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


@pytest.fixture()
def fifo(stack: Stack, request: pytest.FixtureRequest) -> Queues:
    sqs = stack.client("sqs")
    attributes = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    name = f"{request.node.name[:60]}.fifo"
    return Queues(sqs, sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"], "")


def sleeper(stack: Stack, queues: Queues, **environment: Any) -> subprocess.Popen[str]:
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
    (first, _) = [line for line in log if line.get("outcome") == "failed"]
    assert first["error"] == [{"type": "ValueError", "at": "<string>:12"}]
    assert (first["receives"], first["again_in_seconds"]) == (1, 1)
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


def stopped_at_work(stack: Stack, queues: Queues, **environment: str) -> dict[str, Any]:
    """A worker gives its message back; the message as the next one gets it."""
    worker = sleeper(stack, queues, VISIBILITY_SECONDS="600", **environment)
    began(worker)
    worker.send_signal(signal.SIGTERM)
    assert outcomes(ended(worker)) == ["given back"]
    return queues.receive()


def receives(message: dict[str, Any]) -> int:
    return int(message["Attributes"]["ApproximateReceiveCount"])


def test_a_message_that_is_given_back_does_not_count_as_received(
    stack: Stack, queues: Queues
) -> None:
    """However often it happens: the queue's maxReceiveCount is 2."""
    customer = {"customer": {"DataType": "String", "StringValue": "Miller"}}
    queues.send("60", MessageAttributes=customer)
    for times in range(1, 5):
        message = stopped_at_work(stack, queues)
        assert (message["Body"], receives(message)) == ("60", 1)
        given_back = {"DataType": "Number", "StringValue": str(times)}
        assert message["MessageAttributes"] == {**customer, "given-back": given_back}
        # Back as it was, for the next round.
        queues.sqs.delete_message(QueueUrl=queues.url, ReceiptHandle=message["ReceiptHandle"])
        queues.send("60", MessageAttributes=message["MessageAttributes"])


@pytest.mark.parametrize(("times", "count"), [("9", 1), ("10", 2), ("password", 1)])
def test_a_message_that_no_container_lives_long_enough_for_counts_in_the_end(
    stack: Stack, queues: Queues, times: str, count: int
) -> None:
    before = {"given-back": {"DataType": "String", "StringValue": times}}
    queues.send("60", MessageAttributes=before)
    assert receives(stopped_at_work(stack, queues)) == count


def test_a_message_that_may_have_failed_before_keeps_its_count_when_it_is_given_back(
    stack: Stack, queues: Queues
) -> None:
    """Received three times, of which the queue forgives two."""
    queues.send("60")
    message = queues.receive()
    queues.sqs.change_message_visibility(
        QueueUrl=queues.url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
    )
    worker = sleeper(stack, queues, VISIBILITY_SECONDS="600")
    began(worker)
    worker.send_signal(signal.SIGTERM)
    assert outcomes(ended(worker)) == ["given back"]
    assert "Messages" not in queues.sqs.receive_message(QueueUrl=queues.url)
    assert queues.left(queues.dead) == (1, 0)


def test_a_message_that_sqs_does_not_take_again_is_given_back_as_it_is(
    stack: Stack, queues: Queues
) -> None:
    """It was sent before the queue's limit was lowered."""
    queues.send("60".ljust(2000))
    queues.sqs.set_queue_attributes(
        QueueUrl=queues.url, Attributes={"MaximumMessageSize": "1024"}
    )
    message = stopped_at_work(stack, queues)
    assert (message["Body"].strip(), receives(message)) == ("60", 2)


def test_sigterm_is_heard_while_the_worker_is_still_importing(
    stack: Stack, queues: Queues, tmp_path: Path
) -> None:
    (tmp_path / "boto3.py").write_text(SLOW_BOTO3)
    queues.send("60")
    worker = started(
        stack, ["-m", "worker"], KIND="exportOrders", QUEUE_URL=queues.url, PYTHONPATH=str(tmp_path)
    )
    assert next_line(worker)["event"] == "importing"
    worker.send_signal(signal.SIGTERM)
    assert ended(worker) == [{"event": "ended", "why": "told to stop"}]
    assert queues.left(queues.url) == (1, 0)


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


# -- a message that is lost --


def test_a_job_whose_message_is_not_ours_any_more_is_broken_off(
    stack: Stack, queues: Queues
) -> None:
    queues.send("20")
    # A beat each three seconds; by the clock alone it would be lost after nine.
    worker = sleeper(stack, queues, VISIBILITY_SECONDS="9")
    began(worker)
    queues.take_away()
    log = ended(worker)
    failed = next(line for line in log if line["event"] == "a heartbeat failed")
    assert failed["error"][0]["code"] == "ReceiptHandleIsInvalid"
    (end,) = [line for line in log if line["event"] == "message"]
    assert (end["outcome"], end["why"]) == ("lost", "another container may have it")
    assert end["seconds"] < 6
    assert "slept" not in [line["event"] for line in log]


def test_a_message_that_anybody_could_have_taken_is_not_taken_up_again(
    stack: Stack, queues: Queues
) -> None:
    """The process stood still, as one does whose host is overloaded: SQS would take its beat, and
    what happened meanwhile is not known."""
    queues.send("3")
    worker = sleeper(stack, queues, VISIBILITY_SECONDS="1", EMPTY_RECEIVES="1")
    began(worker)
    worker.send_signal(signal.SIGSTOP)
    eventually(lambda: queues.left(queues.url) == (1, 0))
    worker.send_signal(signal.SIGCONT)
    assert next_line(worker)["outcome"] == "lost"
    worker.kill()
    worker.communicate()


def test_a_job_that_cannot_be_broken_off_says_that_its_result_may_be_double(
    stack: Stack, queues: Queues
) -> None:
    worker = started(stack, ["-c", DEAF], QUEUE_URL=queues.url)
    queues.send("a job")
    assert next_line(worker)["event"] == "began"
    worker.send_signal(signal.SIGSTOP)
    eventually(lambda: queues.sqs.receive_message(QueueUrl=queues.url).get("Messages"))
    worker.send_signal(signal.SIGCONT)
    (end,) = [line for line in ended(worker) if line["event"] == "message"]
    why = "another container may have it, and its result may be double"
    assert (end["outcome"], end["why"]) == ("lost", why)
    assert queues.left(queues.url) == (0, 1), "whoever has it now has it still"


# -- failures --


def test_a_failed_job_rests_before_it_is_tried_again(stack: Stack, queues: Queues) -> None:
    queues.send("not a number")
    log = ended(sleeper(stack, queues, BACK_OFF_SECONDS="600", EMPTY_RECEIVES="3"))
    assert outcomes(log) == ["failed"]
    assert queues.left(queues.url) == (0, 1)


def test_a_job_that_ends_the_process_has_failed_and_its_text_is_not_told(
    stack: Stack, queues: Queues
) -> None:
    queues.send("exit")
    log = ended(sleeper(stack, queues, BACK_OFF_SECONDS="600"))
    (end,) = [line for line in log if line["event"] == "message"]
    assert (end["outcome"], end["error"][0]["type"]) == ("failed", "SystemExit")


def test_nothing_of_a_message_is_in_the_log(stack: Stack, queues: Queues) -> None:
    """boto3 quotes a wrong bucket's name, and S3 a key that it does not have."""
    queues.send('{"detail": {"bucket": {"name": "password=1"}, "object": {"key": "uploads/x"}}}')
    stack.client("s3").create_bucket(Bucket="there")
    key = "uploads/password=2"
    queues.send(json.dumps({"detail": {"bucket": {"name": "there"}, "object": {"key": key}}}))
    queues.send("password=3")
    worker = started(
        stack,
        ["-m", "worker"],
        KIND="exportOrders",
        QUEUE_URL=queues.url,
        BACK_OFF_SECONDS="600",
        stderr=subprocess.STDOUT,
    )
    log = ended(worker)
    assert outcomes(log) == ["failed"] * 3
    assert "password" not in json.dumps(log)


def test_an_error_of_sqs_does_not_tell_the_error_of_the_job_before_it(
    stack: Stack, queues: Queues
) -> None:
    """Python prints what an exception was raised in the handling of."""
    worker = started(stack, ["-c", LOSES_ITS_QUEUE], QUEUE_URL=queues.url, stderr=subprocess.STDOUT)
    queues.send("password=1")
    output, _ = worker.communicate(timeout=ENDS_WITHIN)
    assert worker.returncode == 1
    assert "QueueDoesNotExist" in output
    assert "password" not in output


# -- batches, FIFO --


def test_of_a_batch_only_what_failed_comes_back(stack: Stack, queues: Queues) -> None:
    for body in ("0", "not a number", "0.5", "0"):
        queues.send(body)
    log = ended(sleeper(stack, queues, BATCH="10", BACK_OFF_SECONDS="600"))
    assert sorted(outcomes(log)) == ["done", "done", "done", "failed"]
    assert queues.left(queues.url) == (0, 1)


def test_messages_of_a_batch_are_kept_while_they_wait_for_their_turn(
    stack: Stack, queues: Queues
) -> None:
    for _ in range(3):
        queues.send("1.5")
    first = sleeper(stack, queues, BATCH="10", EMPTY_RECEIVES="1", VISIBILITY_SECONDS="2")
    began(first)
    second = sleeper(stack, queues, EMPTY_RECEIVES="4")
    assert outcomes(ended(second)) == []
    assert outcomes(ended(first)) == ["done"] * 3


def test_sigterm_gives_the_whole_batch_back(stack: Stack, queues: Queues) -> None:
    for _ in range(3):
        queues.send("60")
    worker = sleeper(stack, queues, BATCH="10", VISIBILITY_SECONDS="600")
    began(worker)
    worker.send_signal(signal.SIGTERM)
    assert outcomes(ended(worker)) == ["given back"] * 3
    assert queues.left(queues.url) == (3, 0)


def test_a_message_of_a_fifo_queue_keeps_its_place_when_it_is_given_back(
    stack: Stack, fifo: Queues
) -> None:
    fifo.send("60", MessageGroupId="a")
    fifo.send("61", MessageGroupId="a")
    message = stopped_at_work(stack, fifo)
    assert (message["Body"], receives(message)) == ("60", 2)
    assert "MessageAttributes" not in message


def test_a_message_of_a_fifo_queue_is_not_sent_again(stack: Stack, fifo: Queues) -> None:
    fifo.send("60", MessageGroupId="a")
    worker = sleeper(stack, fifo)
    began(worker)
    worker.send_signal(signal.SIGTERM)
    assert [line["event"] for line in ended(worker)] == ["message", "ended"]


def test_messages_of_a_group_are_done_in_their_order(stack: Stack, fifo: Queues) -> None:
    for seconds in ("0.3", "0.2", "0.1"):
        fifo.send(seconds, MessageGroupId="a")
    log = ended(sleeper(stack, fifo))
    assert [line["body"] for line in log if line["event"] == "began"] == ["0.3", "0.2", "0.1"]
    assert outcomes(log) == ["done"] * 3


def test_a_fifo_queue_is_not_taken_in_batches(stack: Stack, fifo: Queues) -> None:
    worker = sleeper(stack, fifo, BATCH="2", stderr=subprocess.PIPE)
    _, errors = worker.communicate(timeout=ENDS_WITHIN)
    assert worker.returncode == 1
    assert "BATCH has to be 1 on a FIFO queue" in errors


# -- uploads --


def test_the_version_that_the_event_is_about_is_read(stack: Stack, queues: Queues) -> None:
    s3 = stack.client("s3")
    s3.create_bucket(Bucket="versions")
    s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    where = {"Bucket": "versions", "Key": "uploads/exportOrders/a"}
    first = s3.put_object(**where, Body=b'{"id": 1}')["VersionId"]
    s3.put_object(**where, Body=b'{"id": 2}')
    found = {"key": where["Key"], "version-id": first}
    queues.send(json.dumps({"detail": {"bucket": {"name": "versions"}, "object": found}}))
    worker = started(stack, ["-m", "worker"], KIND="exportOrders", QUEUE_URL=queues.url)
    assert outcomes(ended(worker)) == ["done"]
    result = s3.get_object(Bucket="versions", Key="results/exportOrders/a.csv")
    assert result["Body"].read() == b"id\r\n1\r\n"


def test_a_job_that_fails_late_leaves_no_result(stack: Stack, queues: Queues) -> None:
    """Though much of it has been sent to S3 already."""
    s3 = stack.client("s3")
    s3.create_bucket(Bucket="large")
    (end,) = ended(started(stack, ["-c", FAILS_LATE]))
    assert end == {"event": "line 3 is no JSON", "sent": 20}
    assert s3.list_objects_v2(Bucket="large")["KeyCount"] == 0
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="large")


def test_sigterm_in_the_middle_of_a_result_leaves_none(stack: Stack, queues: Queues) -> None:
    s3 = stack.client("s3")
    s3.create_bucket(Bucket="endless")
    found = {"bucket": {"name": "endless"}, "object": {"key": "uploads/a"}}
    queues.send(json.dumps({"detail": found}))
    worker = started(stack, ["-c", ENDLESS], QUEUE_URL=queues.url)
    began(worker)
    asked = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    assert outcomes(ended(worker)) == ["given back"]
    assert time.monotonic() - asked < 5
    assert queues.left(queues.url) == (1, 0)
    assert s3.list_objects_v2(Bucket="endless")["KeyCount"] == 0


def test_the_image_has_the_versions_that_are_tested_here() -> None:
    tested = (ROOT / "tests/local/requirements.txt").read_text().splitlines()
    assert set((IMAGE / "requirements.txt").read_text().splitlines()) <= set(tested)


def test_a_worker_of_an_unknown_kind_does_not_start(stack: Stack, queues: Queues) -> None:
    worker = started(stack, ["-m", "worker"], KIND="nothingKnown", QUEUE_URL=queues.url)
    assert worker.wait(timeout=ENDS_WITHIN) == 1
