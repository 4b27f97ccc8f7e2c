"""A local AWS for the demo and the end-to-end test: the ministack emulator, with the scaler
deployed to it as a Lambda function.

The emulator listens on loopback only, keeps its data in a folder of its own, and is stopped with
everything that it started, whatever happens. It accepts nearly anything: it proves the wiring, never
AWS's rules. But it records every call, so that what the function asked for can be checked.
"""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Iterator
from unittest import mock

import boto3
from botocore.config import Config

ROOT = Path(__file__).resolve().parents[2]
EVENTS = ROOT / "events"
REGION = "us-east-1"
CLUSTER = "jobs"
SCALER = "ecs-queue-scaler"
STARTUP_SECONDS = 60
RECORDED_CALLS = 50
SERVICES = (
    "sqs,ecs,lambda,iam,sts,events,logs,cloudtrail,cloudformation,scheduler,s3,sns,monitoring,"
    "ecr,ec2,ssm,autoscaling,tagging"
)

# What a process needs of the person's environment; everything else stays outside (`sealed_off`).
INHERITED = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "CARGO_TARGET_DIR")

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
}

# A retried invocation would be a tick that nobody asked for.
ONE_ATTEMPT = Config(retries={"total_max_attempts": 1})


class StackError(Exception):
    """The local AWS did not do what the scenario needs."""


@dataclass(frozen=True)
class Invocation:
    """What Lambda answered: the function's result, or its error."""

    payload: dict[str, Any]
    failed: bool

    @property
    def workers(self) -> dict[str, dict[str, Any]]:
        return {worker["worker"]: worker for worker in self.payload["workers"]}


@dataclass(frozen=True)
class Stack:
    """A running emulator."""

    endpoint: str

    def client(self, service: str, config: Config = ONE_ATTEMPT) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=config,
        )

    def create_queue(self, name: str, dead_letters: str | None = None) -> None:
        """A queue, and where wanted one for what nobody can process."""
        sqs, attributes = self.client("sqs"), {}
        if dead_letters:
            url = sqs.create_queue(QueueName=dead_letters)["QueueUrl"]
            found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
            redrive = {"deadLetterTargetArn": found["Attributes"]["QueueArn"], "maxReceiveCount": 5}
            attributes["RedrivePolicy"] = json.dumps(redrive)
        sqs.create_queue(QueueName=name, Attributes=attributes)

    def queue_url(self, name: str) -> str:
        return str(self.client("sqs").get_queue_url(QueueName=name)["QueueUrl"])

    def send(self, queue: str, messages: int) -> None:
        """Sends real messages, in batches of ten as SQS takes them."""
        sqs, url = self.client("sqs"), self.queue_url(queue)
        bodies = [{"Id": str(i), "MessageBody": f"job {i}"} for i in range(messages)]
        for start in range(0, messages, 10):
            answer = sqs.send_message_batch(QueueUrl=url, Entries=bodies[start : start + 10])
            if answer.get("Failed"):
                raise StackError(f"the emulator refused messages: {answer['Failed']}")

    def depth(self, queue_url: str) -> tuple[int, int]:
        """Messages that are visible, and in flight."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.client("sqs").get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)
        found = answer["Attributes"]
        return int(found[names[0]]), int(found[names[1]])

    def deploy(self, binary: Path, config: dict[str, Any] | str) -> None:
        """Deploys the function, in place of an earlier one: its next invocation is a cold start.
        The configuration is given as it is, or as the place where it is stored."""
        awslambda = self.client("lambda")
        if any(f["FunctionName"] == SCALER for f in awslambda.list_functions()["Functions"]):
            awslambda.delete_function(FunctionName=SCALER)
        awslambda.create_function(
            FunctionName=SCALER,
            Runtime="provided.al2023",
            Handler="bootstrap",
            Role="arn:aws:iam::000000000000:role/scaler",
            Timeout=60,
            MemorySize=256,
            Code={"ZipFile": zipped(binary)},
            Environment={
                "Variables": {
                    **CREDENTIALS,
                    "SCALER_NAME": SCALER,
                    "SCALER_CONFIG": config if isinstance(config, str) else json.dumps(config),
                }
            },
        )

    def invoke(self, event: dict[str, Any]) -> Invocation:
        """Invokes the function through Lambda, and so through the Lambda Runtime API."""
        answer = self.client("lambda").invoke(FunctionName=SCALER, Payload=json.dumps(event))
        payload, failed = json.loads(answer["Payload"].read()), "FunctionError" in answer
        if not failed and "workers" not in payload:
            raise StackError(f"the function's answer is no result: {payload}")
        return Invocation(payload, failed)

    def tasks(self, desired_status: str = "RUNNING") -> list[dict[str, Any]]:
        """The scaler's tasks, as the emulator lists them."""
        ecs = self.client("ecs")
        pages = ecs.get_paginator("list_tasks").paginate(
            cluster=CLUSTER, startedBy=SCALER, desiredStatus=desired_status
        )
        arns = [arn for page in pages for arn in page["taskArns"]]
        described = [
            ecs.describe_tasks(cluster=CLUSTER, tasks=arns[start : start + 100], include=["TAGS"])
            for start in range(0, len(arns), 100)
        ]
        return [task for answer in described for task in answer["tasks"]]

    def calls(self, action: str) -> list[dict[str, Any]]:
        """The parameters of every call of an ECS action so far, whoever made it, oldest first."""
        answer = self.client("cloudtrail").lookup_events(
            LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": action}],
            MaxResults=RECORDED_CALLS,
        )
        if len(answer["Events"]) == RECORDED_CALLS:
            raise StackError(f"more calls of {action} than one look at the record shows")
        records = [json.loads(event["CloudTrailEvent"]) for event in reversed(answer["Events"])]
        return [record["requestParameters"] for record in records]

    def functions_actions(self, looked_for: set[str]) -> set[str]:
        """What the function called so far, as IAM names it, known by its SDK among all callers: of
        all calls the newest, and whichever are looked for."""
        cloudtrail = self.client("cloudtrail")
        names = [action.split(":")[1] for action in looked_for]
        by_name = [[{"AttributeKey": "EventName", "AttributeValue": name}] for name in names]
        queries = [{}, *({"LookupAttributes": attributes} for attributes in by_name)]
        answers = [cloudtrail.lookup_events(MaxResults=RECORDED_CALLS, **q) for q in queries]
        events = [event for answer in answers for event in answer["Events"]]
        records = [json.loads(event["CloudTrailEvent"]) for event in events]
        ours = [record for record in records if record["userAgent"].startswith("aws-sdk-rust/")]
        return {f"{r['eventSource'].split('.')[0]}:{r['eventName']}" for r in ours}


def zipped(binary: Path, others: dict[str, bytes] | None = None) -> bytes:
    """The package of a custom runtime: the binary, called bootstrap, and other files by name."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in {"bootstrap": binary.read_bytes(), **(others or {})}.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o755 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return package.getvalue()


def event(name: str, minute: int) -> dict[str, Any]:
    """A file of events/, moved to so many minutes from now: each minute is a tick of its own, and
    one of long ago would be refused."""
    document = json.loads((EVENTS / name).read_text())
    due = datetime.now(timezone.utc) + timedelta(minutes=minute)
    document["time"] = due.strftime("%Y-%m-%dT%H:%M:00Z")
    return document


def built_binary(path: str | None = None) -> Path:
    """The binary to deploy: the given one, else SCALER_BINARY, else what `cargo build` made."""
    target = os.environ.get("CARGO_TARGET_DIR") or "target"
    chosen = path or os.environ.get("SCALER_BINARY") or f"{target}/debug/ecs-queue-scaler"
    binary = ROOT / chosen
    if not binary.is_file():
        raise StackError(f"there is no binary at {binary}: run `cargo build` first")
    return binary


@contextmanager
def local_aws() -> Iterator[Stack]:
    """An emulator on a free loopback port, with a cluster, for as long as the block runs."""
    with stopped_by_signals(), sealed_off(), temporary_home() as home:
        stack = Stack(f"http://127.0.0.1:{free_port()}")
        with emulated(ministack(stack, home), f"{stack.endpoint}/_ministack/health"):
            stack.client("ecs").create_cluster(clusterName=CLUSTER)
            yield stack


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """`kill`, a timeout or a closed terminal end the block as Ctrl-C does: by an exception, so that
    nothing stays behind."""
    kinds = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(kind, signal.default_int_handler) for kind in kinds]
    try:
        yield
    finally:
        for kind, handler in zip(kinds, before):
            signal.signal(kind, handler)


@contextmanager
def sealed_off() -> Iterator[None]:
    """Keeps the person's proxies, AWS profiles and emulator settings from boto3, from the emulator
    and from the function, which inherits the emulator's environment."""
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
    no_files = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    with mock.patch.dict(os.environ, {**environment, **CREDENTIALS, **no_files}, clear=True):
        yield


@contextmanager
def temporary_home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ecs-queue-scaler-") as home:
        yield Path(home)


@dataclass(frozen=True)
class Emulator:
    """A program that is a local AWS, and the folder that it works in."""

    home: Path
    arguments: list[str]
    """What Python runs."""
    environment: dict[str, str]
    """Beside what it inherits."""


def ministack(stack: Stack, home: Path) -> Emulator:
    environment = {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": stack.endpoint.rsplit(":", 1)[1],
        "MINISTACK_HOST": "127.0.0.1",
        # What the functions that it runs call.
        "AWS_ENDPOINT_URL": stack.endpoint,
        "SERVICES": SERVICES,
        "CLOUDTRAIL_RECORDING": "1",
        "TMPDIR": str(home),
    }
    # -P keeps the modules of this folder from the emulator's imports.
    return Emulator(home, ["-P", str(Path(__file__).with_name("ministack_rules.py"))], environment)


@contextmanager
def emulated(emulator: Emulator, health: str) -> Iterator[None]:
    """Runs it for as long as the block does, which begins when its health page answers."""
    log = emulator.home / "emulator.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *emulator.arguments],
            cwd=emulator.home,
            env={**os.environ, **emulator.environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until_healthy(health, process, log)
        yield
    finally:
        stop(process)


def wait_until_healthy(health: str, emulator: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline and emulator.poll() is None:
        try:
            with urllib.request.urlopen(health, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    last_lines = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
    raise StackError(f"the emulator did not start:\n{last_lines}")


def stop(emulator: subprocess.Popen[bytes]) -> None:
    """Kills the emulator and what it started: they share a process group, and keep nothing that a
    gentler end would save."""
    with suppress(ProcessLookupError):
        os.killpg(emulator.pid, signal.SIGKILL)
    emulator.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
