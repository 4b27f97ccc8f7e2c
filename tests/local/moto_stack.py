"""A cluster of container instances on moto, and the function as a process beside it.

moto listens on loopback only. A real client (boto3) launches the instances, registers them as the
agent does, sends messages and stops tasks; it calls moto itself. The function calls moto through
`ecs_rules.py`, which says where moto is not ECS.
"""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecs_rules import Proxy, Rules, ecs_rules
from function import Function, started_cold
from stack import (
    CLUSTER,
    REGION,
    Emulator,
    Stack,
    emulated,
    free_port,
    sealed_off,
    stopped_by_signals,
    temporary_home,
)

IMAGE = "ami-00000000"
ZONES = ("a", "b", "c")
NEIGHBOUR = "neighbour"
"""A task definition of another team."""


@dataclass(frozen=True)
class Instance:
    """A container instance."""

    ec2_id: str
    arn: str


@dataclass(frozen=True)
class MotoStack:
    """A running moto, with a cluster."""

    stack: Stack
    proxy: Proxy
    home: Path

    @property
    def rules(self) -> Rules:
        return self.proxy.rules

    def client(self, service: str) -> Any:
        return self.stack.client(service)

    def begin(self) -> None:
        """Empties moto. Tasks run until they are stopped: without the setting they move on with
        each look at them."""
        transition = {"progression": "time", "seconds": 86_400}
        tell(self.stack, "reset", {})
        tell(
            self.stack,
            "state-manager/set-transition",
            {"model_name": "ecs::task", "transition": transition},
        )
        self.rules.forget()
        self.client("ecs").create_cluster(clusterName=CLUSTER)
        self.register(NEIGHBOUR, cpu=1, memory=4)

    def register(self, family: str, cpu: int, memory: int) -> None:
        """A base task definition for EC2. moto counts what the containers reserve."""
        container = {"name": "worker", "image": "worker:1", "cpu": cpu, "memory": memory}
        self.client("ecs").register_task_definition(
            family=family,
            networkMode="bridge",
            requiresCompatibilities=["EC2"],
            containerDefinitions=[container],
        )

    def launch_instances(self, count: int) -> list[Instance]:
        """EC2 instances, zone by zone, that have joined the cluster; the oldest first."""
        ec2, ecs = self.client("ec2"), self.client("ecs")
        found = []
        for n in range(count):
            zone = f"{REGION}{ZONES[n % len(ZONES)]}"
            [launched] = ec2.run_instances(
                ImageId=IMAGE, MinCount=1, MaxCount=1, Placement={"AvailabilityZone": zone}
            )["Instances"]
            document = json.dumps({"instanceId": launched["InstanceId"]})
            joined = ecs.register_container_instance(
                cluster=CLUSTER, instanceIdentityDocument=document
            )
            arn = joined["containerInstance"]["containerInstanceArn"]
            found.append(Instance(launched["InstanceId"], arn))
        return found

    def occupy(self, instance: Instance, tasks: int) -> None:
        """Small tasks of another team."""
        for _ in range(tasks):
            self.client("ecs").start_task(
                cluster=CLUSTER,
                taskDefinition=NEIGHBOUR,
                containerInstances=[instance.arn],
                startedBy="another-team",
            )

    def start_daemon(self, name: str, instances: list[Instance]) -> list[dict[str, Any]]:
        """A daemon service, and its tasks: moto's services start none."""
        ecs = self.client("ecs")
        ecs.create_service(
            cluster=CLUSTER,
            serviceName=name,
            taskDefinition=NEIGHBOUR,
            schedulingStrategy="DAEMON",
            launchType="EC2",
        )
        started: list[dict[str, Any]] = ecs.start_task(
            cluster=CLUSTER,
            taskDefinition=NEIGHBOUR,
            containerInstances=[instance.arn for instance in instances],
            group=f"service:{name}",
        )["tasks"]
        return started

    def drain(self, instance: Instance) -> None:
        self.client("ecs").update_container_instances_state(
            cluster=CLUSTER, containerInstances=[instance.arn], status="DRAINING"
        )

    def status(self, instance: Instance) -> str:
        described = self.client("ecs").describe_container_instances(
            cluster=CLUSTER, containerInstances=[instance.arn]
        )
        return str(described["containerInstances"][0]["status"])

    def tasks(self, worker: str) -> list[dict[str, Any]]:
        """The tasks of a worker that run."""
        ecs = self.client("ecs")
        arns = ecs.list_tasks(cluster=CLUSTER, desiredStatus="RUNNING")["taskArns"]
        hundreds = [arns[start : start + 100] for start in range(0, len(arns), 100)]
        described = [
            task
            for some in hundreds
            for task in ecs.describe_tasks(cluster=CLUSTER, tasks=some, include=["TAGS"])["tasks"]
        ]
        return [task for task in described if task["group"] == f"worker:{worker}"]

    def per_instance(self, worker: str, instances: list[Instance]) -> list[int]:
        """How many tasks of a worker run on each."""
        stand = Counter(task["containerInstanceArn"] for task in self.tasks(worker))
        return [stand[instance.arn] for instance in instances]

    def stop(self, tasks: list[dict[str, Any]]) -> None:
        """What ECS does with a task whose worker has ended."""
        for task in tasks:
            self.client("ecs").stop_task(cluster=CLUSTER, task=task["taskArn"])

    @contextmanager
    def function(self, binary: Path, config: dict[str, Any]) -> Iterator[Function]:
        """The function from a cold start on."""
        before = len(list(self.home.glob("function-*.log")))
        log = self.home / f"function-{before + 1}.log"
        with started_cold(binary, self.proxy.endpoint, config, log) as function:
            yield function


@contextmanager
def moto_aws() -> Iterator[MotoStack]:
    """moto on a free loopback port for as long as the block runs."""
    with stopped_by_signals(), sealed_off(), temporary_home() as home:
        port = free_port()
        stack = Stack(f"http://127.0.0.1:{port}")
        # Thirteen hundred images, of which none is used, take two seconds to read.
        environment = {"MOTO_EC2_LOAD_DEFAULT_AMIS": "false", "TMPDIR": str(home)}
        moto = Emulator(home, ["-m", "moto.server", "-p", str(port)], environment)
        with (
            emulated(moto, f"{stack.endpoint}/moto-api/data.json"),
            ecs_rules(stack.endpoint) as proxy,
        ):
            yield MotoStack(stack, proxy, home)


def tell(stack: Stack, path: str, document: dict[str, Any]) -> None:
    """Tells moto itself."""
    request = urllib.request.Request(
        f"{stack.endpoint}/moto-api/{path}",
        json.dumps(document).encode(),
        {"Content-Type": "application/json"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=10):
        pass
