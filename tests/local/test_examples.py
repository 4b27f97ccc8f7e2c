"""The stacks of examples/, deployed to the emulator as far as it knows their resources."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError
from cfnlint.decode import cfn_yaml

from container import ended, eventually, outcomes, started
from filled import Filled, refused_by
from policy import statements
from stack import ROOT, SCALER, Stack, built_binary, local_aws
from template import read_template

BINARY = built_binary()
EXAMPLES = ROOT / "examples"
NETWORK = {"VpcId": "vpc-1", "SubnetIds": "subnet-1,subnet-2"}

# What the emulator's CloudFormation does not know, though its ECS does.
UNSUPPORTED = {
    "CapacityProvider": "AWS::ECS::CapacityProvider",
    "CapacityProviderOfCluster": "AWS::ECS::ClusterCapacityProviderAssociations",
}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with local_aws() as running:
        yield running


def template(example: str) -> dict[str, Any]:
    """With CloudFormation's short forms written out."""
    read: dict[str, Any] = cfn_yaml.load(str(EXAMPLES / example / "template.yaml"))
    return read


def deployed(
    stack: Stack, name: str, document: dict[str, Any], **parameters: str
) -> dict[str, str] | list[str]:
    """Creates the stack and gives its outputs, or the reasons why it was not created."""
    cloudformation = stack.client("cloudformation")
    cloudformation.create_stack(
        StackName=name,
        TemplateBody=json.dumps(document),
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
    )

    def made() -> dict[str, Any] | None:
        (found,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
        return None if found["StackStatus"].endswith("_IN_PROGRESS") else found

    found = eventually(made)
    if found["StackStatus"] == "CREATE_COMPLETE":
        return {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]}
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    return [e["ResourceStatusReason"] for e in events if e.get("ResourceStatusReason")]


def workers(example: str) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((EXAMPLES / example / "workers.yaml").read_text())
    return read


def tick(stack: Stack, config: dict[str, Any]) -> tuple[list[str], list[dict[str, Any]]]:
    """Deploys the function with the configuration, invokes it once, and gives its workers and the
    calls that start tasks."""
    stack.deploy(BINARY, config)
    before = len(stack.calls("RunTask"))
    done = stack.invoke({"dryRun": False})
    assert not done.failed, done.payload
    return list(done.workers), stack.calls("RunTask")[before:]


def rungs(run: dict[str, Any]) -> list[str]:
    """The capacity providers that a call asks for."""
    return [rung["capacityProvider"] for rung in run["capacityProviderStrategy"]]


def environment(stack: Stack, task_definition: str) -> dict[str, str]:
    """What ECS would give to the container."""
    found = stack.client("ecs").describe_task_definition(taskDefinition=task_definition)
    (container,) = found["taskDefinition"]["containerDefinitions"]
    return {entry["name"]: entry["value"] for entry in container["environment"]}


def visible(stack: Stack, queue_url: str) -> int:
    name = "ApproximateNumberOfMessages"
    found = stack.client("sqs").get_queue_attributes(QueueUrl=queue_url, AttributeNames=[name])
    return int(found["Attributes"][name])


# -- job-worker --


@pytest.fixture(scope="module")
def job_worker(stack: Stack) -> dict[str, str]:
    outputs = deployed(stack, "job-worker", template("job-worker"), **NETWORK)
    assert isinstance(outputs, dict), outputs
    return outputs


def kinds() -> list[str]:
    listed: str = template("job-worker")["Parameters"]["Kinds"]["Default"]
    return listed.split(",")


def test_every_kind_has_a_queue_with_dead_letters_and_a_worker_with_its_log(
    stack: Stack, job_worker: dict[str, str]
) -> None:
    sqs, ecs, logs = stack.client("sqs"), stack.client("ecs"), stack.client("logs")
    assert len(kinds()) == 50
    for kind in kinds():
        name = f"job-worker-{kind}"
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        dead = json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"]
        assert dead.endswith(f":{name}-dead-letters")

        assert environment(stack, name) == {"KIND": kind, "QUEUE_URL": url}
        definition = ecs.describe_task_definition(taskDefinition=name)["taskDefinition"]
        (container,) = definition["containerDefinitions"]
        group = container["logConfiguration"]["options"]["awslogs-group"]
        (found,) = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        assert (found["logGroupName"], found["retentionInDays"]) == (group, 30)


def test_a_worker_may_touch_its_own_queue_and_files_only(
    stack: Stack, job_worker: dict[str, str]
) -> None:
    definition = stack.client("ecs").describe_task_definition(
        taskDefinition="job-worker-exportOrders"
    )
    role = definition["taskDefinition"]["taskRoleArn"].rpartition("/")[2]
    policy = stack.client("iam").get_role_policy(RoleName=role, PolicyName="work")
    allowed = {
        action: statement["Resource"].rpartition(":")[2]
        for statement in policy["PolicyDocument"]["Statement"]
        for action in [statement["Action"]] * isinstance(statement["Action"], str)
        or statement["Action"]
    }
    bucket = job_worker["Bucket"]
    assert allowed == {
        "sqs:ReceiveMessage": "job-worker-exportOrders",
        "sqs:ChangeMessageVisibility": "job-worker-exportOrders",
        "sqs:DeleteMessage": "job-worker-exportOrders",
        "sqs:SendMessage": "job-worker-exportOrders",
        "s3:GetObject": f"{bucket}/uploads/exportOrders/*",
        "s3:GetObjectVersion": f"{bucket}/uploads/exportOrders/*",
        "s3:AbortMultipartUpload": f"{bucket}/results/exportOrders/*",
        "s3:PutObject": f"{bucket}/results/exportOrders/*",
    }


def test_an_upload_starts_the_right_worker_and_the_worker_leaves_a_result(
    stack: Stack, job_worker: dict[str, str]
) -> None:
    s3, bucket = stack.client("s3"), job_worker["Bucket"]
    kind = environment(stack, "job-worker-exportOrders")
    s3.put_object(Bucket=bucket, Key="uploads/exportOrders/may 1.jsonl", Body=b'{"id": 1}')
    eventually(lambda: visible(stack, kind["QUEUE_URL"]) == 1)

    config = workers("job-worker")
    config["launch"]["networkConfiguration"]["awsvpcConfiguration"] = json.loads(
        job_worker["AwsvpcConfiguration"]
    )
    found, (run,) = tick(stack, config)
    assert sorted(found) == sorted(kinds())
    assert "task-definition/job-worker-exportOrders:" in run["taskDefinition"]
    assert rungs(run) == ["FARGATE_SPOT"]
    network = run["networkConfiguration"]["awsvpcConfiguration"]
    assert network["subnets"] == ["subnet-1", "subnet-2"]
    started_by = stack.client("ecs").list_tasks(cluster="job-worker", startedBy=SCALER)
    assert len(started_by["taskArns"]) == 1

    assert outcomes(ended(started(stack, ["-m", "worker"], **kind))) == ["done"]
    result = s3.get_object(Bucket=bucket, Key="results/exportOrders/may 1.jsonl.csv")
    assert result["Body"].read() == b"id\r\n1\r\n"
    assert visible(stack, kind["QUEUE_URL"]) == 0


def test_results_are_no_new_work(stack: Stack, job_worker: dict[str, str]) -> None:
    """When the upload's message is there, the earlier result has sent none."""
    s3, bucket = stack.client("s3"), job_worker["Bucket"]
    queue = environment(stack, "job-worker-reportSales")["QUEUE_URL"]
    s3.put_object(Bucket=bucket, Key="results/reportSales/a.csv.txt", Body=b"")
    s3.put_object(Bucket=bucket, Key="uploads/reportSales/a.csv", Body=b"")
    eventually(lambda: visible(stack, queue))
    (message,) = stack.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)[
        "Messages"
    ]
    assert json.loads(message["Body"])["detail"]["object"]["key"] == "uploads/reportSales/a.csv"


# -- consolidate --

CONSOLIDATE = {**NETWORK, "WorkerImage": "worker:1", "DataBucket": "data", "Ami": "/test/ami"}


@pytest.fixture(scope="module")
def ami(stack: Stack) -> None:
    """In the place of AWS's public parameter, which the emulator does not have."""
    stack.client("ssm").put_parameter(
        Name=CONSOLIDATE["Ami"], Value="ami-12345678", Type="String", DataType="aws:ec2:image"
    )


@pytest.fixture(scope="module")
def consolidate(stack: Stack, ami: None) -> dict[str, str]:
    """Without what the emulator's CloudFormation does not know: that is made by the API."""
    document = template("consolidate")
    for name, kind in UNSUPPORTED.items():
        assert document["Resources"].pop(name)["Type"] == kind
    outputs = deployed(stack, "consolidate", document, **CONSOLIDATE)
    assert isinstance(outputs, dict), outputs

    (group,) = stack.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    ecs = stack.client("ecs")
    ecs.create_capacity_provider(
        name="consolidate",
        autoScalingGroupProvider={"autoScalingGroupArn": group["AutoScalingGroupARN"]},
    )
    ecs.put_cluster_capacity_providers(
        cluster="consolidate", capacityProviders=["consolidate"], defaultCapacityProviderStrategy=[]
    )
    return outputs


def test_what_is_left_out_is_all_that_the_emulator_does_not_know(stack: Stack, ami: None) -> None:
    with pytest.raises(ClientError) as refusal:
        deployed(stack, "whole", template("consolidate"), **CONSOLIDATE)
    unknown = re.search(r"Unrecognized resource types: \[(.*)\]", str(refusal.value))
    assert unknown and set(unknown[1].split(", ")) == set(UNSUPPORTED.values())


def test_a_message_starts_a_worker_on_the_shared_instances(
    stack: Stack, consolidate: dict[str, str]
) -> None:
    shop = environment(stack, "consolidate-thumbnailShop")
    stack.client("sqs").send_message(QueueUrl=shop["QUEUE_URL"], MessageBody="a job")
    _, (run,) = tick(stack, without_windows(workers("consolidate")))
    assert "task-definition/consolidate-thumbnailShop:" in run["taskDefinition"]
    assert rungs(run) == ["consolidate"]
    assert run["placementStrategy"] == [{"type": "binpack", "field": "memory"}]
    assert "networkConfiguration" not in run


def without_windows(config: dict[str, Any]) -> dict[str, Any]:
    """What is started does not depend on the time of the day at which the test runs."""
    for worker in config["workers"]:
        worker["scaling"].pop("minContainers", None)
    return config


def test_what_the_night_sends_is_a_job_that_the_worker_understands(
    stack: Stack, consolidate: dict[str, str]
) -> None:
    scheduler, s3 = stack.client("scheduler"), stack.client("s3")
    s3.create_bucket(Bucket="data")
    s3.put_object(Bucket="data", Key="uploads/reportLedger/latest", Body=b"account,sum\n4711,2.50")
    ledger = environment(stack, "consolidate-reportLedger")
    schedules = [
        scheduler.get_schedule(Name=one["Name"]) for one in scheduler.list_schedules()["Schedules"]
    ]
    assert {one["ScheduleExpression"] for one in schedules} == {"cron(0 2 * * ? *)"}
    (target,) = [
        one["Target"] for one in schedules if one["Target"]["Arn"].endswith("-reportLedger")
    ]
    stack.client("sqs").send_message(QueueUrl=ledger["QUEUE_URL"], MessageBody=target["Input"])

    assert outcomes(ended(started(stack, ["-m", "worker"], **ledger))) == ["done"]
    page = s3.get_object(Bucket="data", Key="results/reportLedger/latest.txt")["Body"].read()
    assert page.decode().splitlines() == [
        "Ledger: sum by account",
        "",
        "4711   2.50",
        "total  2.50",
    ]


# -- what each hands to the scaler's template --


@pytest.fixture(scope="module")
def outputs(job_worker: dict[str, str], consolidate: dict[str, str]) -> dict[str, dict[str, str]]:
    made = {"job-worker": job_worker, "consolidate": consolidate}
    assert set(made) == {path.parent.name for path in EXAMPLES.glob("*/template.yaml")}
    return made


def handed_over(readme: str, outputs: dict[str, str]) -> dict[str, str]:
    """The parameters of the README's `sam deploy`, as its shell would fill them in."""
    [command] = re.findall(r"^ *sam deploy ((?:.*\\\n)*.*)$", readme, re.MULTILINE)
    _, overrides = command.replace("\\\n", " ").split("--parameter-overrides ")
    filled_in = re.sub(r"\$\(output (\w+)\)", lambda found: outputs[found[1]], overrides)
    return dict(pair.split("=", 1) for pair in shlex.split(filled_in))


@pytest.mark.parametrize("example", ["job-worker", "consolidate"])
def test_what_is_handed_to_the_scalers_template_is_taken(
    outputs: dict[str, dict[str, str]], example: str
) -> None:
    scaler = read_template()
    handed = handed_over((EXAMPLES / example / "README.md").read_text(), outputs[example])
    for name, value in handed.items():
        assert not refused_by(scaler["Parameters"][name], value), f"{name}={value}"
    needed = {name for name, one in scaler["Parameters"].items() if "Default" not in one}
    assert needed <= set(handed)
    assert {"QueueArns", "ClusterArns", "PassedRoleArns"} <= set(handed)

    filled = Filled(scaler, handed)
    assert filled.refused() == []
    [passing] = [one for one in statements(filled) if one["Sid"] == "PassRoles"]
    assert passing["Resource"] == [f"arn:aws:iam::000000000000:role/{example}/*"]


def test_an_output_that_the_template_refuses_is_noticed(outputs: dict[str, dict[str, str]]) -> None:
    too_much = outputs["job-worker"]["PassedRoleArns"].replace("/job-worker/", "/")
    assert refused_by(read_template()["Parameters"]["PassedRoleArns"], too_much)
