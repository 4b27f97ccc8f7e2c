"""A local AWS whose ECS tasks come to an end: their worker containers run as processes here, and an
agent tells ECS how they ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from container import ENDS_WITHIN, IMAGE, PACE
from stack import (
    CLUSTER,
    Stack,
    emulated,
    free_port,
    ministack,
    sealed_off,
    stopped_by_signals,
    temporary_home,
)


@dataclass(frozen=True)
class Fargate:
    """The local AWS, and its images: what Python runs for each, or why ECS does not start it."""

    stack: Stack
    images: dict[str, list[str] | str]

    def run_all(self) -> None:
        """Runs the tasks that are there to their end, one after the other."""
        ecs = self.stack.client("ecs")
        arns = ecs.list_tasks(cluster=CLUSTER)["taskArns"]
        for task in ecs.describe_tasks(cluster=CLUSTER, tasks=arns)["tasks"] if arns else []:
            found = ecs.describe_task_definition(taskDefinition=task["taskDefinitionArn"])
            ecs.submit_task_state_change(
                cluster=CLUSTER,
                task=task["taskArn"],
                status="STOPPED",
                **self.ended(found["taskDefinition"]["containerDefinitions"]),
            )

    def ended(self, containers: list[dict[str, Any]]) -> dict[str, Any]:
        """What an agent reports. The watcher ends when the workers have, and is not run."""
        workers = [each for each in containers if not each["name"].endswith("-watch")]
        images = [self.images[each["image"]] for each in workers]
        for reason in (image for image in images if isinstance(image, str)):
            return {"reason": reason}
        processes = [(each["name"], self.started(each)) for each in workers]
        exits = {name: process.wait(ENDS_WITHIN) for name, process in processes}
        codes = [exits.get(each["name"], 0) for each in containers]
        names = [each["name"] for each in containers]
        return {"containers": [{"containerName": n, "exitCode": c} for n, c in zip(names, codes)]}

    def started(self, container: dict[str, Any]) -> subprocess.Popen[bytes]:
        pace = {**PACE, "EMPTY_RECEIVES": "1"}
        environment = {each["name"]: each["value"] for each in container.get("environment", [])}
        return subprocess.Popen(
            [sys.executable, *self.images[container["image"]]],
            cwd=IMAGE,
            env={**os.environ, "AWS_ENDPOINT_URL": self.stack.endpoint, **pace, **environment},
            stdout=subprocess.DEVNULL,
        )


@contextmanager
def local_fargate(images: dict[str, list[str] | str]) -> Iterator[Fargate]:
    with stopped_by_signals(), sealed_off(), temporary_home() as home:
        stack = Stack(f"http://127.0.0.1:{free_port()}")
        with emulated(ministack(stack, home), f"{stack.endpoint}/_ministack/health"):
            stack.client("ecs").create_cluster(clusterName=CLUSTER)
            yield Fargate(stack, images)
