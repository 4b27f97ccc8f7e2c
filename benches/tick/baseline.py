"""What people write instead: a Python function that looks at one queue after the other, or at as many
side by side as it has threads, and runs tasks by steps of the queue's depth. For several workers in
one task it clones the container and registers a definition.

It is meant to be good: one client a service, made in the init phase, with as many connections as
threads; nothing is asked for a queue that is empty; RunTask goes out in tens. It does not look at
what runs already, has no tokens, and stays under no rate: that is what the article's function does.
"""

import copy
import json
import os
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config

THREADS = int(os.environ.get("THREADS", "1"))
STEPS = [(1, 1), (8, 2)]  # from this depth on, so many tasks
CONTAINERS = 4  # in a task
MOST_A_CALL = 10

config = Config(max_pool_connections=THREADS)
sqs = boto3.client("sqs", config=config)
ecs = boto3.client("ecs", config=config)


def tasks_for(depth):
    return max((tasks for least, tasks in STEPS if least <= depth), default=0)


def cloned(definition):
    """The newest revision with its container cloned, as RegisterTaskDefinition takes it."""
    taken = ("family", "networkMode", "taskRoleArn", "executionRoleArn", "volumes",
             "placementConstraints", "requiresCompatibilities")
    new = {key: definition[key] for key in taken if key in definition}
    worker = definition["containerDefinitions"][0]
    new["containerDefinitions"] = []
    for number in range(1, CONTAINERS + 1):
        container = copy.deepcopy(worker)
        container["name"] = worker["name"] if number == 1 else f"{worker['name']}-{number}"
        container["environment"].append({"name": "WORKER_INDEX", "value": str(number - 1)})
        new["containerDefinitions"].append(container)
    for size in ("cpu", "memory"):
        new[size] = str(int(definition[size]) * CONTAINERS)
    return new


def serve(worker):
    answer = sqs.get_queue_attributes(
        QueueUrl=worker["queue"], AttributeNames=["ApproximateNumberOfMessages"]
    )
    tasks = tasks_for(int(answer["Attributes"]["ApproximateNumberOfMessages"]))
    if tasks == 0:
        return 0
    described = ecs.describe_task_definition(taskDefinition=worker["taskDefinition"])
    registered = ecs.register_task_definition(**cloned(described["taskDefinition"]))
    revision = registered["taskDefinition"]["taskDefinitionArn"]
    started = 0
    for first in range(0, tasks, MOST_A_CALL):
        answer = ecs.run_task(
            cluster="jobs",
            taskDefinition=revision,
            count=min(MOST_A_CALL, tasks - first),
            launchType=worker["launchType"],
            networkConfiguration={
                "awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"]}
            },
        )
        started += len(answer["tasks"])
    return started


with open(os.environ["WORKERS"]) as file:
    WORKERS = json.load(file)


def handler(event, context):
    if THREADS == 1:
        started = [serve(worker) for worker in WORKERS]
    else:
        with ThreadPoolExecutor(THREADS) as pool:
            started = list(pool.map(serve, WORKERS))
    return {"started": sum(started)}
