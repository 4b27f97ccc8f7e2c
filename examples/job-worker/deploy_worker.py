"""Deploys a worker: registers the next revision of its task definition with another image, watches
the first task of it that the scaler starts, and registers the former content again if that task
fails. Needs boto3, and the rights that docs/deploying-workers.md lists.

Exit codes: 0 the revision works, 1 it does not and is rolled back, or ECS said why something could
not be done, 3 no task of it has come out within the time: it is in force, and nobody knows.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

WORKS, FAILED, UNTRIED = 0, 1, 3

BASE_REVISION = "ecs-queue-scaler:base-revision"
"""On what the scaler derives for tasks of several containers: the revision of the base."""



@dataclass(frozen=True)
class Revision:
    """A task definition as ECS has it."""

    ecs: Any
    arn: str
    document: dict[str, Any]
    tags: list[dict[str, str]]

    @classmethod
    def read(cls, ecs: Any, name: str) -> Revision:
        """Of a family, its newest ACTIVE revision."""
        found = ecs.describe_task_definition(taskDefinition=name, include=["TAGS"])
        document = found["taskDefinition"]
        return cls(ecs, document["taskDefinitionArn"], document, found.get("tags", []))

    @property
    def name(self) -> str:
        return self.arn.rpartition("/")[2]

    @property
    def family(self) -> str:
        return self.name.rpartition(":")[0]

    def image(self, container: str) -> str:
        for each in self.document["containerDefinitions"]:
            if each["name"] == container:
                return str(each["image"])
        raise SystemExit(f"{self.name} has no container {container}")

    def with_image(self, container: str, image: str) -> Revision:
        changed = [
            {**each, "image": image} if each["name"] == container else each
            for each in self.document["containerDefinitions"]
        ]
        document = {**self.document, "containerDefinitions": changed}
        return Revision(self.ecs, self.arn, document, self.tags)

    def registered(self) -> Revision:
        """The same content as the newest revision of its family."""
        taken = self.ecs.meta.service_model.operation_model("RegisterTaskDefinition").input_shape
        wanted = {name: self.document[name] for name in taken.members if self.document.get(name)}
        own = [tag for tag in self.tags if not tag["key"].lower().startswith("aws:")]
        if own:
            wanted["tags"] = own
        made = self.ecs.register_task_definition(**wanted)["taskDefinition"]
        return Revision(self.ecs, made["taskDefinitionArn"], made, own)


@dataclass(frozen=True)
class Watch:
    """How the tasks of a revision come out."""

    revision: Revision
    cluster: str
    container: str
    ran_well: timedelta
    """As long as the scaler's circuit breaker wants a task to run."""

    def looked(self) -> tuple[bool, str] | None:
        """The verdict of one look. One that fails is no verdict: there is another."""
        try:
            return self.verdict()
        except (BotoCoreError, ClientError) as error:
            print(f"{self.revision.name} could not be looked at: {error}", flush=True)
            return None

    def verdict(self) -> tuple[bool, str] | None:
        """Of the first task that came out: whether the revision works, and why."""
        for task in sorted(self.tasks(), key=lambda task: task["createdAt"]):
            if outcome := self.outcome(task):
                works, how = outcome
                return works, f"task {task['taskArn'].rpartition('/')[2]} {how}"
        return None

    def outcome(self, task: dict[str, Any]) -> tuple[bool, str] | None:
        """As the scaler judges it. What somebody else ended, such as Spot, proves nothing."""
        reason = task.get("stoppedReason", "")
        until = task.get("stoppedAt", datetime.now(timezone.utc))
        ran = until - task.get("startedAt", until)
        match task.get("stopCode"):
            case "EssentialContainerExited":
                exits = self.exit_codes(task)
                works = 0 in exits or self.ran_well <= ran
                codes = ", ".join(map(str, exits)) or "none"
                return works, f"ended with exit code {codes}: {reason}"
            case "TaskFailedToStart" if is_of_the_image(reason.lower()):
                return False, f"did not start: {reason}"
            case None | "" if self.ran_well <= ran:
                return True, f"has run for {ran}"
        return None

    def exit_codes(self, task: dict[str, Any]) -> list[int]:
        """Of the worker and its clones."""
        clones = re.compile(re.escape(self.container) + r"(-\d+)?")
        ours = [each for each in task["containers"] if clones.fullmatch(each["name"])]
        return [each["exitCode"] for each in ours if each.get("exitCode") is not None]

    def tasks(self) -> Iterator[dict[str, Any]]:
        ecs = self.revision.ecs
        listing = ecs.get_paginator("list_tasks")
        for family, arn in self.definitions():
            for status in ("RUNNING", "STOPPED"):
                pages = listing.paginate(cluster=self.cluster, family=family, desiredStatus=status)
                for arns in (page["taskArns"] for page in pages if page["taskArns"]):
                    found = ecs.describe_tasks(cluster=self.cluster, tasks=arns)["tasks"]
                    yield from (task for task in found if task["taskDefinitionArn"] == arn)

    def definitions(self) -> Iterator[tuple[str, str]]:
        """The revision itself and what is derived from it, by family."""
        base = self.revision
        yield base.family, base.arn
        listing = base.ecs.get_paginator("list_task_definition_families")
        for page in listing.paginate(familyPrefix=f"{base.family}--x", status="ACTIVE"):
            for family in page["families"]:
                derived = Revision.read(base.ecs, family)
                tags = {tag["key"]: tag["value"] for tag in derived.tags}
                if tags.get(BASE_REVISION) == base.name.rpartition(":")[2]:
                    yield family, derived.arn


def is_of_the_image(reason: str) -> bool:
    """Whether a task that did not start would not start at another time either: no capacity, and a
    registry that had too many pulls, pass."""
    busy = ("toomanyrequests", "too many requests", "rate exceeded")
    of_its_own = reason.startswith(("cannot", "resourceinitializationerror"))
    return of_its_own and not any(words in reason for words in busy)


def deploy(ecs: Any, chosen: argparse.Namespace) -> int:
    before = Revision.read(ecs, chosen.family)
    if before.image(chosen.container) == chosen.image:
        print(f"{before.name} has this image already")
        return WORKS
    after = before.with_image(chosen.container, chosen.image).registered()
    print(f"{after.name} is registered; {before.name} was in force before", flush=True)
    watch = Watch(after, chosen.cluster, chosen.container, timedelta(seconds=chosen.ran_well))
    deadline = time.monotonic() + chosen.wait
    while (verdict := watch.looked()) is None:
        if deadline < time.monotonic():
            print(f"{after.name} is in force: no task of it has come out within {chosen.wait:g} s")
            return UNTRIED
        time.sleep(chosen.every)
    works, why = verdict
    print(f"{after.name} {'works' if works else 'fails'}: {why}")
    return WORKS if works else rolled_back(before, after)


def rolled_back(before: Revision, after: Revision) -> int:
    newest = Revision.read(after.ecs, after.family)
    if newest.arn == after.arn:
        print(f"{before.registered().name} is registered with the content of {before.name}")
    else:
        print(f"{newest.name} was registered meanwhile: nothing is rolled back")
    return FAILED


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Deploys a worker of ecs-queue-scaler.")
    parser.add_argument("--cluster", required=True, help="where the scaler starts it")
    parser.add_argument("--family", required=True, help="its task definition")
    parser.add_argument("--container", default="worker", help="whose image it is (%(default)s)")
    parser.add_argument("--image", required=True, help="the new one, best by its digest")
    for option, seconds, what in (
        ("--wait", 900, "for a task to come out"),
        ("--ran-well", 120, "that a task has to run"),
        ("--every", 5, "between two looks"),
    ):
        told = f"seconds {what} (%(default)s)"
        parser.add_argument(option, type=float, default=seconds, help=told)
    return parser.parse_args()


if __name__ == "__main__":
    chosen = arguments()
    try:
        sys.exit(deploy(boto3.client("ecs"), chosen))
    except (BotoCoreError, ClientError) as error:
        sys.exit(str(error))
