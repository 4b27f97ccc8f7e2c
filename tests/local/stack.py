"""A local AWS for the demo and the end-to-end test: the ministack emulator, with the scaler
deployed to it as a Lambda function.

The emulator listens on loopback only, keeps its data in a folder of its own, and is stopped with
everything that it started, whatever happens. It accepts nearly anything: it proves the wiring, never
AWS's rules.
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
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator

import boto3

ROOT = Path(__file__).resolve().parents[2]
EVENTS = ROOT / "events"
REGION = "us-east-1"
CLUSTER = "jobs"
SCALER = "ecs-queue-scaler"
STARTUP_SECONDS = 60

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
}


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

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def create_queue(self, name: str) -> None:
        self.client("sqs").create_queue(QueueName=name)

    def send(self, queue: str, messages: int) -> None:
        """Sends real messages, in batches of ten as SQS takes them."""
        sqs = self.client("sqs")
        url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        bodies = [{"Id": str(i), "MessageBody": f"job {i}"} for i in range(messages)]
        for start in range(0, messages, 10):
            answer = sqs.send_message_batch(QueueUrl=url, Entries=bodies[start : start + 10])
            if answer.get("Failed"):
                raise StackError(f"the emulator refused messages: {answer['Failed']}")

    def deploy(self, binary: Path, config: dict[str, Any]) -> None:
        """Deploys the function, in place of an earlier one: its next invocation is a cold start."""
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
                    "AWS_ENDPOINT_URL": self.endpoint,
                    "SCALER_NAME": SCALER,
                    "SCALER_CONFIG": json.dumps(config),
                }
            },
        )

    def invoke(self, event: dict[str, Any]) -> Invocation:
        """Invokes the function through Lambda, and so through the Lambda Runtime API."""
        answer = self.client("lambda").invoke(FunctionName=SCALER, Payload=json.dumps(event))
        payload = json.loads(answer["Payload"].read())
        return Invocation(payload, failed="FunctionError" in answer)

    def tasks(self) -> list[dict[str, Any]]:
        """The scaler's tasks, as the emulator lists them."""
        ecs = self.client("ecs")
        pages = ecs.get_paginator("list_tasks").paginate(cluster=CLUSTER, startedBy=SCALER)
        arns = [arn for page in pages for arn in page["taskArns"]]
        described = [
            ecs.describe_tasks(cluster=CLUSTER, tasks=arns[start : start + 100], include=["TAGS"])
            for start in range(0, len(arns), 100)
        ]
        return [task for answer in described for task in answer["tasks"]]

    def stop_tasks(self) -> None:
        """What workers do by themselves when their queue is empty."""
        for task in self.tasks():
            self.client("ecs").stop_task(cluster=CLUSTER, task=task["taskArn"])

    def revisions(self, family_prefix: str) -> list[str]:
        """All revisions whose family begins so, ACTIVE or not, as family:revision."""
        ecs = self.client("ecs")
        arns = [
            arn
            for status in ("ACTIVE", "INACTIVE")
            for page in ecs.get_paginator("list_task_definitions").paginate(status=status)
            for arn in page["taskDefinitionArns"]
        ]
        names = (arn.rsplit("/", 1)[1] for arn in arns)
        return sorted(name for name in names if name.startswith(family_prefix))


def zipped(binary: Path) -> bytes:
    """The package of a custom runtime: the binary, called bootstrap."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(entry, binary.read_bytes())
    return package.getvalue()


def event(name: str, minute: int) -> dict[str, Any]:
    """A file of events/, moved to a minute of its hour: each minute is a tick of its own."""
    document = json.loads((EVENTS / name).read_text())
    document["time"] = document["time"].replace(":00:00Z", f":{minute:02}:00Z")
    return document


@contextmanager
def local_aws() -> Iterator[Stack]:
    """An emulator on a free loopback port, with a cluster, for as long as the block runs."""
    with tempfile.TemporaryDirectory(prefix="ecs-queue-scaler-") as home:
        # A terminated process would leave the emulator behind; one that exits stops it.
        before = signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
        stack = Stack(f"http://127.0.0.1:{free_port()}")
        log = Path(home) / "emulator.log"
        with log.open("wb") as output:
            emulator = start_emulator(stack, home, output)
        try:
            wait_until_healthy(stack, emulator, log)
            stack.client("ecs").create_cluster(clusterName=CLUSTER)
            yield stack
        finally:
            stop(emulator)
            signal.signal(signal.SIGTERM, before)


def start_emulator(stack: Stack, home: str, output: Any) -> subprocess.Popen[bytes]:
    port = stack.endpoint.rsplit(":", 1)[1]
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "SCALER_"))}
    environment = {
        **inherited,
        **CREDENTIALS,
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": port,
        "MINISTACK_HOST": "127.0.0.1",
        "SERVICES": "sqs,ecs,lambda,iam,sts,events,logs",
        "TMPDIR": home,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "ministack"],
        cwd=home,
        env=environment,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def wait_until_healthy(stack: Stack, emulator: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline and emulator.poll() is None:
        try:
            with urllib.request.urlopen(f"{stack.endpoint}/_ministack/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    last_lines = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
    raise StackError(f"the emulator did not start:\n{last_lines}")


def stop(emulator: subprocess.Popen[bytes]) -> None:
    """Stops the emulator and what it started: they share a process group."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(emulator.pid, kind)
            emulator.wait(timeout=5)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
