"""ministack, with a rule of ECS that ministack 1.5.33 leaves out where there is no Docker: containers
that end. The emulator's process runs this file.

ECS's agent tells of a container's end by SubmitContainerStateChange, and of a task's by
SubmitTaskStateChange. ministack accepts these calls and forgets them. Here the container has ended, and
its task with it where the container was essential; or the task has, with all of its containers.
Source: ECS developer guide, "Amazon ECS task lifecycle".
"""

from __future__ import annotations

from typing import Any

from ministack.app import main
from ministack.core.concurrency import resource_lock
from ministack.services import ecs

EXITED = "Essential container in task exited"

# What a container answers that is told to stop, as its task ends: by SIGTERM.
TOLD_TO_STOP = 143

acknowledge = ecs._ACTION_MAP["SubmitContainerStateChange"]


def container_ended(report: dict[str, Any]) -> Any:
    cluster = ecs._resolve_cluster_name(report["cluster"])
    if (task := ecs._resolve_task(report["task"], cluster)) is None:
        return acknowledge(report)
    with resource_lock("ecs-task", task["taskArn"]):
        names = [container["name"] for container in task["containers"]]
        index = names.index(report["containerName"])
        ended = {"lastStatus": report["status"], "exitCode": report["exitCode"]}
        task["containers"][index].update(ended)
    if task["_container_essentials"][index]:
        ecs._mark_task_stopped(
            task["taskArn"],
            task,
            EXITED,
            "EssentialContainerExited",
            exit_code=TOLD_TO_STOP,
        )
    return acknowledge(report)


def task_ended(report: dict[str, Any]) -> Any:
    """With a reason, the task never began."""
    task = ecs._tasks[report["task"]]
    codes = {each["containerName"]: each["exitCode"] for each in report.get("containers", [])}
    for container in task["containers"]:
        container["exitCode"] = codes.get(container["name"])
    reason = report.get("reason")
    code = "TaskFailedToStart" if reason else "EssentialContainerExited"
    ecs._mark_task_stopped(task["taskArn"], task, reason or EXITED, code)
    return acknowledge(report)


if __name__ == "__main__":
    ecs._ACTION_MAP["SubmitContainerStateChange"] = container_ended
    ecs._ACTION_MAP["SubmitTaskStateChange"] = task_ended
    main()
