"""ministack, whose ECS learns how containers ended as ECS does: an agent says so by
SubmitTaskStateChange, which ministack accepts and forgets. Run in its place (`fargate.py`)."""

from __future__ import annotations

from typing import Any

from ministack.app import main
from ministack.services import ecs

EXITED = "Essential container in task exited"


def submit(data: dict[str, Any]) -> Any:
    task = ecs._tasks[data["task"]]
    codes = {each["containerName"]: each["exitCode"] for each in data.get("containers", [])}
    for container in task["containers"]:
        container["exitCode"] = codes.get(container["name"])
    reason = data.get("reason")
    code = "TaskFailedToStart" if reason else "EssentialContainerExited"
    ecs._mark_task_stopped(task["taskArn"], task, reason or EXITED, code)
    return ecs.json_response({"acknowledgment": "ACCEPT"})


if __name__ == "__main__":
    ecs._ACTION_MAP["SubmitTaskStateChange"] = submit
    main()
