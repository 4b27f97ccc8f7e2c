"""`make config-push`: a configuration goes to where the stack reads it, and nowhere else."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from stack import CREDENTIALS, ROOT, Stack, local_aws

PROGRAM = ROOT / "tools" / "config-push.sh"
AWS = ROOT / ".tools" / "awscli" / "bin"
NAME = "/scaler/workers"

TEMPLATE = """
Parameters:
  ScalerConfig: {Type: String}
Resources:
  Topic: {Type: AWS::SNS::Topic}
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with local_aws() as stack:
        yield stack


def push(stack: Stack, file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(PROGRAM), str(file), *arguments],
        env={
            **os.environ,
            **CREDENTIALS,
            "AWS_ENDPOINT_URL": stack.endpoint,
            "PATH": os.pathsep.join([str(AWS), os.environ["PATH"]]),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def written(folder: Path, text: str) -> Path:
    file = folder / "workers.yaml"
    file.write_text(text)
    return file


def made(stack: Stack, name: str, source: str) -> str:
    """A stack whose ScalerConfig is this."""
    cloudformation = stack.client("cloudformation")
    parameters = [{"ParameterKey": "ScalerConfig", "ParameterValue": source}]
    cloudformation.create_stack(StackName=name, TemplateBody=TEMPLATE, Parameters=parameters)
    cloudformation.get_waiter("stack_create_complete").wait(StackName=name)
    return name


def test_a_parameter_gets_the_file_as_it_is_and_a_new_version(stack: Stack, tmp_path: Path) -> None:
    name = made(stack, "of-ssm", f"ssm:{NAME}")
    ssm = stack.client("ssm")
    for version, text in enumerate(["workers: []\n", "workers: []  # {queue.url}\n"], start=1):
        pushed = push(stack, written(tmp_path, text), name)
        assert pushed.returncode == 0, pushed.stderr
        assert pushed.stdout.endswith(f"is version {version} of parameter {NAME}\n")
        assert ssm.get_parameter(Name=NAME)["Parameter"]["Value"] == text


def test_a_secret_parameter_stays_secret(stack: Stack, tmp_path: Path) -> None:
    ssm = stack.client("ssm")
    ssm.put_parameter(Name="/secret", Type="SecureString", Value="workers: []")
    pushed = push(stack, written(tmp_path, "workers: [1]\n"), "any", "ssm:/secret")
    assert pushed.returncode == 0, pushed.stderr
    found = ssm.get_parameter(Name="/secret", WithDecryption=True)["Parameter"]
    assert (found["Type"], found["Value"]) == ("SecureString", "workers: [1]\n")


def test_a_secret_parameter_keeps_its_key(stack: Stack, tmp_path: Path) -> None:
    ssm = stack.client("ssm")
    key = "alias/team"
    ssm.put_parameter(Name="/of-a-key", Type="SecureString", KeyId=key, Value="workers: []")
    pushed = push(stack, written(tmp_path, "workers: [1]\n"), "any", "ssm:/of-a-key")
    assert pushed.returncode == 0, pushed.stderr
    assert key_of(stack, "/of-a-key") == key


def key_of(stack: Stack, name: str) -> str:
    filters = [{"Key": "Name", "Values": [name]}]
    found = stack.client("ssm").describe_parameters(ParameterFilters=filters)["Parameters"]
    return str(found[0]["KeyId"])


@pytest.mark.parametrize("version", ["3", "live"])
def test_a_version_and_a_label_are_refused(stack: Stack, tmp_path: Path, version: str) -> None:
    pushed = push(stack, written(tmp_path, "workers: []\n"), "any", f"ssm:/versions:{version}")
    assert (pushed.returncode, pushed.stdout) == (1, "")
    assert "give TO=ssm:/versions" in pushed.stderr


def test_an_object_gets_the_file(stack: Stack, tmp_path: Path) -> None:
    s3 = stack.client("s3")
    s3.create_bucket(Bucket="a-bucket")
    name = made(stack, "of-s3", "s3://a-bucket/teams/workers.yaml")
    pushed = push(stack, written(tmp_path, "workers: []\n"), name)
    assert pushed.returncode == 0, pushed.stderr
    found = s3.get_object(Bucket="a-bucket", Key="teams/workers.yaml")
    assert found["Body"].read() == b"workers: []\n"


def test_what_travels_in_the_package_is_pushed_nowhere(stack: Stack, tmp_path: Path) -> None:
    name = made(stack, "of-file", "file:workers.yaml")
    pushed = push(stack, written(tmp_path, "workers: []\n"), name)
    assert (pushed.returncode, pushed.stdout) == (1, "")
    assert "is 'file:workers.yaml', which travels in the package" in pushed.stderr


def test_a_stack_that_is_not_there_is_told(stack: Stack, tmp_path: Path) -> None:
    pushed = push(stack, written(tmp_path, "workers: []\n"), "nowhere")
    assert pushed.returncode != 0
    assert "nowhere" in pushed.stderr
