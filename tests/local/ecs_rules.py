"""What stands between the function and moto: it records every ECS call of the function, and adds
the rules of ECS that moto 5.2.5 leaves out, so that no test passes because moto is lax.

What moto does otherwise than ECS (`moto/ecs/models.py`), and what is done about it here:

- RunTask forgets `clientToken` and starts tasks again. Here the first answer comes again, or a
  ConflictException when anything else differs.
- RunTask ignores `placementConstraints` and fills one instance after the other. Here a task that
  is pinned by `ec2InstanceId` stands there or nowhere; other constraints are refused.
- RunTask has no `failures` when tasks are missing, and takes any `count`. Here each missing task
  has one, and ten are the most.
- StartTask takes any number of instances, any `startedBy`, and instances that drain or have no
  room left (what remains goes below zero). Here ten instances are the most, what does not fit is a
  failure, a draining one is refused, and so are more than 36 characters, or others than ECS's.
- StartTask answers 500 for an unknown instance. Here it is the failure `MISSING`.
- ListTasks gives stopped tasks too when `desiredStatus` is not given. Here RUNNING is the default.
- ListTasks: `serviceName` filters nothing. Here it is the tasks of the group `service:<name>`.
- ListTasks: other filters may stand beside `startedBy`. Here they are refused.
- ListContainerInstances: `filter` filters nothing. Here it knows `ec2InstanceId`, and refuses the
  rest of the language.
- UpdateContainerInstancesState takes any number of instances. Here ten are the most.

What stays different: every instance has 4096 CPU units and 7482 MiB; a container's `lastStatus` is
PENDING for ever; a task reserves the `memory` of its containers, never that of its definition nor
`memoryReservation` beside it; services start no tasks; there are no capacity providers, GPUs and
lost agents; every list is one page, and right at once unless `Rules.lag` is set. ECS's own words
of a refusal are not known for all rules.

Two rules are stricter than what is known of ECS. Whether StartTask takes an instance twice, or one
that drains, is documented nowhere, so the function must not depend on it.
"""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from loopback import Exchange, Loopback, serving

Parameters = dict[str, Any]

ECS = "AmazonEC2ContainerServiceV20141113"
MOST_AT_ONCE = 10
STARTED_BY = re.compile(r"[A-Za-z0-9\-/_]{1,36}")
TOKEN = re.compile(r"[!-~]{1,64}")
PINNED = re.compile(r"""ec2InstanceId\s*==\s*['"]?(i-[0-9a-f]+)['"]?""")


class Refused(Exception):
    """ECS would not do it: the exception's name, what is wrong, and what else it tells."""

    def __init__(self, kind: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.body = {"__type": kind, "message": message, **more}


@dataclass(frozen=True)
class Call:
    """One ECS call of the function."""

    action: str
    parameters: Parameters
    status: int
    answer: dict[str, Any]


@dataclass(frozen=True)
class Rules:
    """ECS, as far as the function can tell."""

    moto: str
    calls: list[Call] = field(default_factory=list)
    """Of the function, oldest first."""
    tokens: dict[tuple[str, str], tuple[Parameters, dict[str, Any]]] = field(default_factory=dict)
    """What a client token of a cluster stands for, and what was answered."""
    lag: threading.Event = field(default_factory=threading.Event)
    """While it is set, no task is listed yet: ECS's lists are eventually consistent."""
    lost: list[str] = field(default_factory=list)
    """Actions whose next answer does not arrive, though ECS does what is asked."""
    meanwhile: dict[str, Callable[[Parameters], object]] = field(default_factory=dict)
    """What happens between the function's look and its next call of an action, once."""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def named(self, *actions: str) -> list[Call]:
        """The calls of these actions, refused ones too."""
        return [call for call in self.calls if call.action in actions]

    def forget(self) -> None:
        """A new test begins."""
        self.calls.clear()
        self.tokens.clear()
        self.lag.clear()
        self.lost.clear()
        self.meanwhile.clear()

    def handle(self, action: str, parameters: Parameters) -> tuple[int, dict[str, Any]]:
        """One call, recorded. One after the other, as moto does not lock."""
        with self.lock:
            if happens := self.meanwhile.pop(action, None):
                happens(parameters)
            try:
                status, answer = 200, RULES.get(action, as_moto_does(action))(self, parameters)
            except Refused as refused:
                status, answer = 400, refused.body
            self.calls.append(Call(action, parameters, status, answer))
            return status, answer

    def loses(self, action: str) -> bool:
        """Whether this answer is lost; the next one is not."""
        with self.lock:
            if action not in self.lost:
                return False
            self.lost.remove(action)
            return True

    def moto_does(self, action: str, parameters: Parameters) -> dict[str, Any]:
        """What moto answers."""
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"{ECS}.{action}",
            "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/ecs/aws4_request",
        }
        status, _, body = forwarded(self.moto, "/", headers, json.dumps(parameters).encode())
        answer: dict[str, Any] = json.loads(body)
        if status != 200:
            message = answer.pop("message", answer.pop("Message", "no message"))
            raise Refused(answer.pop("__type", "ServerException"), message, **answer)
        return answer

    def instances(self, parameters: Parameters, arns: list[str]) -> dict[str, dict[str, Any]]:
        """The container instances that are there, by ARN."""
        if not arns:
            return {}
        answer = self.moto_does(
            "DescribeContainerInstances",
            {"cluster": parameters["cluster"], "containerInstances": arns},
        )
        return {each["containerInstanceArn"]: each for each in answer["containerInstances"]}


Rule = Callable[[Rules, Parameters], dict[str, Any]]


def as_moto_does(action: str) -> Rule:
    return lambda rules, parameters: rules.moto_does(action, parameters)


def invalid(message: str) -> Refused:
    return Refused("InvalidParameterException", message)


def run_task(rules: Rules, parameters: Parameters) -> dict[str, Any]:
    """Idempotent by its token. Source: ECS developer guide, "Ensuring idempotency"."""
    token = parameters.get("clientToken", "")
    if not TOKEN.fullmatch(token):
        raise invalid(f"clientToken is {token!r}")
    key = (parameters["cluster"], token)
    if key not in rules.tokens:
        answer = run_once(rules, parameters)
        rules.tokens[key] = (parameters, answer)
        return answer
    before, answer = rules.tokens[key]
    if before != parameters:
        arns = [task["taskArn"] for task in answer["tasks"]]
        raise Refused("ConflictException", "the token has other parameters", resourceIds=arns)
    return answer


def run_once(rules: Rules, parameters: Parameters) -> dict[str, Any]:
    count = parameters.get("count", 1)
    if not 1 <= count <= MOST_AT_ONCE:
        raise invalid(f"count is {count}")
    constraints = parameters.get("placementConstraints", [])
    if not constraints:
        answer = rules.moto_does("RunTask", parameters)
        missing = count - len(answer["tasks"])
        answer["failures"] = [{"reason": "RESOURCE:MEMORY"} for _ in range(missing)]
        return answer
    pins = [PINNED.fullmatch(each.get("expression", "").strip()) for each in constraints]
    if len(pins) != 1 or pins[0] is None or constraints[0]["type"] != "memberOf" or count != 1:
        raise invalid(f"moto cannot tell who is meant by {constraints}, of {count} tasks")
    return run_pinned(rules, parameters, pins[0].group(1))


def run_pinned(rules: Rules, parameters: Parameters, ec2_instance: str) -> dict[str, Any]:
    """ECS's scheduler places on an instance that is ACTIVE and has room."""
    where = {"filter": f"ec2InstanceId == {ec2_instance}", "status": "ACTIVE"}
    cluster = {"cluster": parameters["cluster"]}
    chosen = list_container_instances(rules, {**cluster, **where})["containerInstanceArns"]
    if not chosen:
        return {"tasks": [], "failures": [{"reason": "MemberOf placement constraint unsatisfied"}]}
    only_run = ("count", "clientToken", "launchType", "placementConstraints", "placementStrategy")
    kept = {name: value for name, value in parameters.items() if name not in only_run}
    return placed(rules, {**kept, "containerInstances": chosen})


def start_task(rules: Rules, parameters: Parameters) -> dict[str, Any]:
    instances = parameters.get("containerInstances", [])
    if not 1 <= len(instances) <= MOST_AT_ONCE:
        raise invalid(f"{len(instances)} container instances")
    if len(set(instances)) < len(instances):
        raise invalid("a container instance is named twice")
    if not STARTED_BY.fullmatch(parameters.get("startedBy", "-")):
        raise invalid(f"startedBy is {parameters['startedBy']!r}")
    there = rules.instances(parameters, instances)
    draining = [arn for arn, each in there.items() if each["status"] != "ACTIVE"]
    if draining:
        raise invalid(f"not ACTIVE: {draining}")
    return placed(rules, parameters)


def placed(rules: Rules, parameters: Parameters) -> dict[str, Any]:
    """A task on each instance that has room. ECS tells the others in `failures`."""
    needed = reserved(rules, parameters["taskDefinition"])
    there = rules.instances(parameters, parameters["containerInstances"])
    tasks, failures = [], []
    for arn in parameters["containerInstances"]:
        if reason := obstacle(there.get(arn), needed):
            failures.append({"arn": arn, "reason": reason})
        else:
            one = {**parameters, "containerInstances": [arn]}
            tasks += rules.moto_does("StartTask", one)["tasks"]
    return {"tasks": tasks, "failures": failures}


def obstacle(instance: dict[str, Any] | None, needed: Counter[str]) -> str | None:
    """Why no task can stand there.
    Source: ECS developer guide, "API failures messages"."""
    if instance is None:
        return "MISSING"
    left = {each["name"]: each["integerValue"] for each in instance["remainingResources"]}
    short = [name for name, amount in needed.items() if left[name] < amount]
    return f"RESOURCE:{short[0]}" if short else None


def reserved(rules: Rules, task_definition: str) -> Counter[str]:
    """What a task reserves of an instance, by resource."""
    answer = rules.moto_does("DescribeTaskDefinition", {"taskDefinition": task_definition})
    containers = answer["taskDefinition"]["containerDefinitions"]
    cpu = sum(container.get("cpu", 0) for container in containers)
    return Counter(CPU=cpu, MEMORY=sum(container["memory"] for container in containers))


def list_tasks(rules: Rules, parameters: Parameters) -> dict[str, Any]:
    filters = parameters.keys() - {"cluster", "maxResults", "nextToken"}
    if "startedBy" in filters and filters != {"startedBy"}:
        raise invalid(f"startedBy beside {sorted(filters)}")
    if rules.lag.is_set():
        return {"taskArns": []}
    answer = rules.moto_does("ListTasks", {"desiredStatus": "RUNNING", **parameters})
    if "serviceName" in filters:
        return tasks_of_service(rules, parameters, answer["taskArns"])
    return answer


def tasks_of_service(rules: Rules, parameters: Parameters, arns: list[str]) -> dict[str, Any]:
    cluster, service = {"cluster": parameters["cluster"]}, parameters["serviceName"]
    known = rules.moto_does("DescribeServices", {**cluster, "services": [service]})
    if not known["services"]:
        raise Refused("ServiceNotFoundException", "Service not found.")
    described = rules.moto_does("DescribeTasks", {**cluster, "tasks": arns}) if arns else {}
    tasks = described.get("tasks", [])
    return {"taskArns": [t["taskArn"] for t in tasks if t["group"] == f"service:{service}"]}


def list_container_instances(rules: Rules, parameters: Parameters) -> dict[str, Any]:
    answer = rules.moto_does("ListContainerInstances", parameters)
    if "filter" not in parameters:
        return answer
    wanted = PINNED.fullmatch(parameters["filter"].strip())
    if wanted is None:
        raise invalid("moto has no cluster query language")
    there = rules.instances(parameters, answer["containerInstanceArns"])
    found = [arn for arn, each in there.items() if each["ec2InstanceId"] == wanted.group(1)]
    return {"containerInstanceArns": found}


def update_state(rules: Rules, parameters: Parameters) -> dict[str, Any]:
    instances = parameters.get("containerInstances", [])
    if not 1 <= len(instances) <= MOST_AT_ONCE:
        raise invalid(f"{len(instances)} container instances")
    return rules.moto_does("UpdateContainerInstancesState", parameters)


RULES: dict[str, Rule] = {
    "RunTask": run_task,
    "StartTask": start_task,
    "ListTasks": list_tasks,
    "ListContainerInstances": list_container_instances,
    "UpdateContainerInstancesState": update_state,
}


def forwarded(moto: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str, bytes]:
    """Status, type and body of what moto answers."""
    connection = http.client.HTTPConnection(urlsplit(moto).netloc, timeout=30)
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Content-Type", ""), answer.read()
    finally:
        connection.close()


class Proxy(Loopback):
    """The AWS that the function calls."""

    def __init__(self, moto: str) -> None:
        super().__init__(Conversation)
        self.rules = Rules(moto)


class Conversation(Exchange):
    """What is not ECS goes to moto as it is."""

    server: Proxy

    def do_POST(self) -> None:
        body = self.body()
        service, _, action = self.headers.get("X-Amz-Target", "").partition(".")
        if service == ECS:
            status, answer = self.server.rules.handle(action, json.loads(body))
            if self.server.rules.loses(action):
                self.close_connection = True
                return
            kind, body = "application/x-amz-json-1.1", json.dumps(answer).encode()
        else:
            headers = dict(self.headers.items())
            status, kind, body = forwarded(self.server.rules.moto, self.path, headers, body)
        self.answer(status, kind, body)


@contextmanager
def ecs_rules(moto: str) -> Iterator[Proxy]:
    """The proxy, on a free loopback port, for as long as the block runs."""
    with serving(Proxy(moto)) as proxy:
        yield proxy
