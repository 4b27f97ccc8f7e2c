"""`make deploy-worker`: a worker is deployed on a local AWS, once with an image that works and once
with one that does not. What is run is examples/job-worker/deploy_worker.py, as in its workflow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from fargate import Fargate, local_fargate
from stack import CLUSTER, ROOT, Stack, StackError, built_binary

SCRIPT = ROOT / "examples/job-worker/deploy_worker.py"
FAMILY = "exportOrders"
BUCKET = "files"

WORKER = ["-m", "worker"]
IMAGES: dict[str, list[str] | str] = {
    "worker:1": WORKER,
    "worker:2": WORKER,
    "worker:broken": ["-c", "raise SystemExit(1)"],
    "worker:nowhere": "CannotPullContainerError: worker:nowhere: not found",
    "worker:busy": "CannotPullContainerError: 429 Too Many Requests: toomanyrequests",
    "worker:no-room": "Capacity is unavailable at this time. Please try again later",
}

LAUNCH: dict[str, Any] = {
    "launchType": "FARGATE",
    "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-0a1b2c3d"]}},
}


def prepare(fargate: Fargate, families: list[str]) -> None:
    """Workers whose first revision is in force, and the scaler."""
    stack = fargate.stack
    stack.client("s3").create_bucket(Bucket=BUCKET)
    for family in families:
        stack.create_queue(family)
        environment = {"KIND": family, "QUEUE_URL": Worker(fargate, family).queue_url()}
        stack.client("ecs").register_task_definition(
            family=family,
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="256",
            memory="512",
            containerDefinitions=[
                {
                    "name": "worker",
                    "image": "worker:1",
                    "environment": [{"name": n, "value": v} for n, v in environment.items()],
                }
            ],
            tags=[{"key": "team", "value": "orders"}],
        )
    workers = [configured(family) for family in families]
    stack.deploy(built_binary(), {"cluster": CLUSTER, "launch": LAUNCH, "workers": workers})


def configured(family: str) -> dict[str, Any]:
    return {
        "name": family,
        "queue": family,
        "taskDefinition": family,
        "container": "worker",
        "scaling": {"messagesPerContainer": 1, "maxContainers": 10},
        "packing": {"strategy": "dense", "maxContainersPerTask": 2},
    }


@dataclass(frozen=True)
class Worker:
    """One kind of jobs."""

    fargate: Fargate
    family: str

    @property
    def stack(self) -> Stack:
        return self.fargate.stack

    def queue_url(self) -> str:
        return str(self.stack.client("sqs").get_queue_url(QueueName=self.family)["QueueUrl"])

    def upload(self, *names: str) -> None:
        """Work, as S3 and EventBridge tell of it."""
        for name in names:
            key = f"uploads/{self.family}/{name}"
            self.stack.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b'{"id": 1}')
            event = {"detail": {"bucket": {"name": BUCKET}, "object": {"key": key}}}
            self.stack.client("sqs").send_message(
                QueueUrl=self.queue_url(), MessageBody=json.dumps(event)
            )

    def results(self) -> list[str]:
        found = self.stack.client("s3").list_objects_v2(
            Bucket=BUCKET, Prefix=f"results/{self.family}/"
        )
        return [entry["Key"].rpartition("/")[2] for entry in found.get("Contents", [])]

    def started(self) -> None:
        """The scaler starts what is owed."""
        done = self.stack.invoke({"dryRun": False, "only": [self.family]})
        if done.failed:
            raise StackError(f"the tick failed: {done.payload}")

    def tick(self) -> None:
        """What the scaler starts runs to its end."""
        self.started()
        self.fargate.run_all()

    def deploying(self, image: str, *more: str) -> Deploying:
        """Begins, and waits until it has registered the image, or has not."""
        options = ["--cluster", CLUSTER, "--family", self.family, "--image", image]
        pace = ["--every", "0.2", "--wait", "60"]
        process = subprocess.Popen(
            [sys.executable, SCRIPT, *options, *pace, *more],
            env={**os.environ, "AWS_ENDPOINT_URL": self.stack.endpoint},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        return Deploying(process, process.stdout.readline())


@dataclass
class Deploying:
    """The script at work: `first` is what it says when it has registered, or why it has not."""

    process: subprocess.Popen[str]
    first: str

    def ended(self) -> tuple[int, str]:
        """Its exit code, and all that it said."""
        try:
            rest, _ = self.process.communicate(timeout=90)
        finally:
            self.process.kill()
        return self.process.returncode, self.first + rest


def main() -> int:
    try:
        with local_fargate(IMAGES) as fargate:
            prepare(fargate, [FAMILY])
            worker = Worker(fargate, FAMILY)
            print("A worker runs the image worker:1, and the scaler looks after its queue.")
            for image, file in (("worker:2", "may"), ("worker:broken", "june")):
                print(f"\n$ deploy_worker.py --cluster {CLUSTER} --family {FAMILY} --image {image}")
                worker.upload(file)
                deploying = worker.deploying(image)
                worker.tick()
                code, said = deploying.ended()
                print(f"{said}exit code {code}", flush=True)
                worker.tick()
            print(f"\nResults after one more tick: {', '.join(worker.results())}")
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
