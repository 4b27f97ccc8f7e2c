"""A worker's deployment, with the scaler as it is and real workers: what works goes out, what does
not is rolled back."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from runpy import run_path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from container import eventually
from fargate import local_fargate
from stack import CLUSTER
from worker_deployment import IMAGES, SCRIPT, Worker, prepare

TAGS = [{"key": "team", "value": "orders"}]
ENOUGH = 20


@pytest.fixture(scope="module")
def workers() -> Iterator[Iterator[Worker]]:
    """Of one local AWS: each test has a worker of its own."""
    families = [f"exportOrders{n}" for n in range(ENOUGH)]
    with local_fargate(IMAGES) as running:
        prepare(running, families)
        yield (Worker(running, family) for family in families)


@pytest.fixture()
def worker(workers: Iterator[Worker]) -> Iterator[Worker]:
    one = next(workers)
    yield one
    ecs = one.stack.client("ecs")
    for arn in ecs.list_tasks(cluster=CLUSTER)["taskArns"]:
        ecs.stop_task(cluster=CLUSTER, task=arn)


def newest(worker: Worker, suffix: str = "") -> dict[str, Any]:
    """The revision that the scaler goes by: number, image, and tags of the team."""
    found = worker.stack.client("ecs").describe_task_definition(
        taskDefinition=worker.family + suffix, include=["TAGS"]
    )
    definition = found["taskDefinition"]
    image = definition["containerDefinitions"][0]["image"]
    return {"revision": definition["revision"], "image": image, "tags": found["tags"]}


def test_an_image_that_works_goes_out(worker: Worker) -> None:
    worker.upload("a")
    deploying = worker.deploying("worker:2")
    worker.tick()
    code, said = deploying.ended()
    assert code == 0, said
    before = f"{worker.family}:1 was in force before"
    assert said.startswith(f"{worker.family}:2 is registered; {before}\n")
    assert f"{worker.family}:2 works: task " in said
    assert newest(worker) == {"revision": 2, "image": "worker:2", "tags": TAGS}
    assert worker.results() == ["a.csv"]


def test_a_task_of_several_containers_proves_the_revision_that_it_is_derived_from(
    worker: Worker,
) -> None:
    worker.upload("a", "b")
    worker.tick()
    assert newest(worker, "--x2")["image"] == "worker:1"
    worker.upload("c", "d")
    deploying = worker.deploying("worker:2")
    worker.tick()
    code, said = deploying.ended()
    assert code == 0, said
    assert newest(worker, "--x2")["image"] == "worker:2"
    assert newest(worker)["revision"] == 2


@pytest.mark.parametrize("image", ["worker:broken", "worker:nowhere"])
def test_an_image_that_does_not_work_is_rolled_back_and_its_message_is_done_after_all(
    worker: Worker, image: str
) -> None:
    worker.upload("a")
    deploying = worker.deploying(image)
    worker.tick()
    code, said = deploying.ended()
    assert code == 1, said
    assert f"{worker.family}:2 fails: task " in said
    assert said.endswith(f"{worker.family}:3 is registered with the content of {worker.family}:1\n")
    assert newest(worker) == {"revision": 3, "image": "worker:1", "tags": TAGS}
    worker.tick()
    assert worker.results() == ["a.csv"]


def test_what_nobody_tried_stays_and_says_so(worker: Worker) -> None:
    code, said = worker.deploying("worker:2", "--wait", "1").ended()
    assert code == 3
    assert "no task of it has come out" in said
    assert newest(worker)["image"] == "worker:2"


def test_a_task_that_somebody_else_ended_proves_nothing(worker: Worker) -> None:
    worker.upload("a")
    deploying = worker.deploying("worker:broken", "--wait", "3")
    worker.started()
    ecs = worker.stack.client("ecs")
    (arn,) = ecs.list_tasks(cluster=CLUSTER)["taskArns"]
    # Its exit code is 0, as it is of a worker that gives its message back on Spot.
    ecs.stop_task(cluster=CLUSTER, task=arn)
    code, said = deploying.ended()
    assert code == 3, said


@pytest.mark.parametrize("image", ["worker:busy", "worker:no-room"])
def test_a_task_that_would_start_at_another_time_proves_nothing(
    worker: Worker, image: str
) -> None:
    worker.upload("a")
    deploying = worker.deploying(image, "--wait", "3")
    worker.tick()
    code, said = deploying.ended()
    assert code == 3, said
    assert newest(worker)["revision"] == 2


def test_a_task_that_runs_for_long_enough_works(worker: Worker) -> None:
    worker.upload("a")
    deploying = worker.deploying("worker:2", "--ran-well", "1")
    worker.started()
    code, said = deploying.ended()
    assert code == 0, said
    assert "has run for 0:00:01" in said


@pytest.mark.parametrize("files", ["a", "ab"])
def test_tasks_of_the_revision_before_prove_nothing(worker: Worker, files: str) -> None:
    """Neither those of the base, nor those of what is derived from it."""
    worker.upload(*files)
    worker.tick()
    assert len(worker.results()) == len(files)
    code, said = worker.deploying("worker:2", "--wait", "1").ended()
    assert code == 3, said


def test_what_was_registered_meanwhile_is_not_rolled_back(worker: Worker) -> None:
    worker.upload("a")
    deploying = worker.deploying("worker:broken", "--every", "2")
    worker.started()
    other = worker.deploying("worker:2", "--wait", "0")
    assert other.ended()[0] == 3
    worker.fargate.run_all()
    code, said = deploying.ended()
    assert code == 1
    assert said.endswith(f"{worker.family}:3 was registered meanwhile: nothing is rolled back\n")
    assert newest(worker)["image"] == "worker:2"


def test_a_look_that_fails_is_followed_by_another(
    worker: Worker, capsys: pytest.CaptureFixture[str]
) -> None:
    worker.upload("a")
    chosen = Namespace(
        cluster=CLUSTER, family=worker.family, container="worker", image="worker:2"
    )
    chosen.wait, chosen.ran_well, chosen.every = 60, 120, 0.2
    busy = Busy(worker.stack.client("ecs"))
    with ThreadPoolExecutor() as pool:
        code = pool.submit(run_path(str(SCRIPT))["deploy"], busy, chosen)
        eventually(lambda: newest(worker)["revision"] == 2)
        worker.tick()
        assert code.result(60) == 0
    assert "could not be looked at: An error occurred (Throttling" in capsys.readouterr().out


class Busy:
    """ECS, which turns the first look at tasks away."""

    def __init__(self, ecs: Any) -> None:
        self.ecs = ecs
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ecs, name)

    def describe_tasks(self, **which: Any) -> Any:
        self.asked += 1
        if self.asked == 1:
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, "DescribeTasks")
        return self.ecs.describe_tasks(**which)


def test_the_same_image_is_not_registered_again(worker: Worker) -> None:
    code, said = worker.deploying("worker:1").ended()
    assert (code, said) == (0, f"{worker.family}:1 has this image already\n")
    assert newest(worker)["revision"] == 1


def test_a_container_that_is_not_there_is_named(worker: Worker) -> None:
    code, said = worker.deploying("worker:2", "--container", "app").ended()
    assert (code, said) == (1, f"{worker.family}:1 has no container app\n")
    assert newest(worker)["revision"] == 1
