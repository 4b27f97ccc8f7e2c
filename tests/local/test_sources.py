"""The configuration from SSM and S3, and workers found by their queues' tags, on a local AWS."""

from __future__ import annotations

import copy
import json
from typing import Any, Iterator

import pytest

from scenario import CONFIG, prepare
from stack import Stack, built_binary, local_aws

BINARY = built_binary()
TICK = {"dryRun": False}


@pytest.fixture()
def stack() -> Iterator[Stack]:
    with local_aws() as running:
        prepare(running)
        running.send("thumbnail", 2)
        yield running


def config(**changes: Any) -> str:
    """The scenario's configuration, asked for at every tick."""
    return json.dumps({**copy.deepcopy(CONFIG), "configRefresh": "0s", **changes})


def kept(stack: Stack) -> str:
    """What a tick fails with that went by an earlier configuration."""
    failed = stack.invoke(TICK)
    assert failed.failed
    assert failed.payload["errorType"] == "ConfigError"
    return failed.payload["errorMessage"]


def test_a_parameter_is_read_decrypted_and_a_good_version_is_kept(stack: Stack) -> None:
    ssm = stack.client("ssm")
    ssm.put_parameter(Name="/scaler/workers", Type="SecureString", Value=config())
    stack.deploy(BINARY, "ssm:/scaler/workers")
    first = stack.invoke(TICK)
    assert first.workers["thumbnail"]["outcome"] == "launched"
    assert first.payload["config"] == {
        "source": "ssm:/scaler/workers", "version": "1", "ageSeconds": 0,
    }

    ssm.put_parameter(Name="/scaler/workers", Value=config(cluster=7), Overwrite=True)
    assert "version 2 cannot be used, version 1 stays in force" in kept(stack)
    ssm.put_parameter(Name="/scaler/workers", Value=config(), Overwrite=True)
    assert stack.invoke(TICK).payload["config"]["version"] == "3"


def test_an_object_is_read_and_a_good_version_is_kept(stack: Stack) -> None:
    s3, key = stack.client("s3"), "jobs/workers of today.yaml"
    s3.create_bucket(Bucket="a-bucket")
    etag = s3.put_object(Bucket="a-bucket", Key=key, Body=config().encode())["ETag"].strip('"')
    stack.deploy(BINARY, f"s3://a-bucket/{key}")
    for outcome in ("launched", "idle"):
        done = stack.invoke(TICK)
        assert done.workers["thumbnail"]["outcome"] == outcome
        assert done.payload["config"]["version"] == etag
    s3.delete_object(Bucket="a-bucket", Key=key)
    assert "NoSuchKey" in (why := kept(stack)) and f"version {etag} stays in force" in why


def test_a_tagged_queue_is_a_worker(stack: Stack) -> None:
    sqs = stack.client("sqs")
    url = sqs.create_queue(QueueName="report")["QueueUrl"]
    sqs.tag_queue(
        QueueUrl=url,
        Tags={
            "ecs-queue-scaler": "true",
            "ecs-queue-scaler:task-definition": "thumbnail",
            "ecs-queue-scaler:container": "worker",
            "ecs-queue-scaler:max-containers-per-task": "1",
            "ecs-queue-scaler:steps": "1=1 10=10",
        },
    )
    stack.send("report", 3)
    stack.deploy(BINARY, config(discover={}))
    done = stack.invoke(TICK)
    assert set(done.workers) == {"thumbnail", "export", "report"}
    assert done.workers["report"]["outcome"] == "launched"
    assert done.payload["config"]["discovery"] == {"queues": 1, "ageSeconds": 0}
    sqs.delete_queue(QueueUrl=url)
    assert not stack.invoke(TICK).failed
