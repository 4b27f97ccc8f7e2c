"""What a deployment makes of parameters: names that stay, values that are refused, what examples hand
over. The local CloudFormation checks constraints and rules, but no pattern of Parameter Store."""

from __future__ import annotations

import copy
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from deployment import BUCKET, KEY, for_emulator
from parameters import PAGE
from stack import CREDENTIALS, Stack, local_aws
from template import ROOT, read_template, resources

TEMPLATE = read_template()
SAM = ROOT / ".tools" / "sam" / "bin" / "sam"
SOON = {"Delay": 1, "MaxAttempts": 60}
CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """With a package that nobody runs."""
    with local_aws() as running:
        package = io.BytesIO()
        with zipfile.ZipFile(package, "w") as file:
            file.writestr("bootstrap", "#!/bin/sh\n")
        s3 = running.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key=KEY, Body=package.getvalue())
        yield running


@pytest.fixture()
def project(tmp_path: Path) -> Path:
    """What `sam deploy` reads of the repository."""
    for name in ("samconfig.toml", "README.md", "LICENSE-APACHE"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def sam(
    stack: Stack, project: Path, *arguments: str, template: dict[str, Any] = TEMPLATE
) -> subprocess.CompletedProcess[str]:
    """`sam deploy` itself, of the template as `sam build` leaves it."""
    (project / "template.yaml").write_text(json.dumps(for_emulator(template)))
    own = {"AWS_ENDPOINT_URL": stack.endpoint, "SAM_CLI_TELEMETRY": "0", "HOME": str(project)}
    return subprocess.run(
        [SAM, "deploy", *arguments],
        cwd=project,
        env={"PATH": os.environ["PATH"], **CREDENTIALS, **own},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def sam_deploys(stack: Stack, project: Path, *arguments: str, **template: dict[str, Any]) -> None:
    done = sam(stack, project, *arguments, **template)
    assert done.returncode == 0, done.stdout + done.stderr


def parameters(values: dict[str, str]) -> list[dict[str, Any]]:
    return [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]


def refusal(stack: Stack, **values: str) -> str | None:
    """What CloudFormation says before anything is made."""
    try:
        stack.client("cloudformation").create_change_set(
            StackName="never-made",
            ChangeSetName="looked-at",
            ChangeSetType="CREATE",
            TemplateBody=json.dumps(for_emulator(TEMPLATE)),
            Parameters=parameters(values),
            Capabilities=CAPABILITIES,
        )
    except ClientError as error:
        return str(error.response["Error"]["Message"])
    stack.client("cloudformation").delete_stack(StackName="never-made")
    return None


def test_what_nothing_but_enter_ends_in_says_what_is_missing(stack: Stack, project: Path) -> None:
    done = sam(stack, project)
    assert done.returncode != 0 and "PassedRoleArns" in done.stderr, done.stderr
    assert '"none"' in str(refusal(stack, PassedRoleArns="")), "an empty answer to --guided"
    assert refusal(stack, PassedRoleArns="none") is None


def test_the_quick_path_deploys_with_five_parameters(stack: Stack, project: Path) -> None:
    section = PAGE.read_text().split("## The quick path")[1]
    _, _, deploy = section.split("```sh\n")[1].split("```")[0].partition("&& sam deploy")
    arguments = shlex.split(deploy.replace("\\\n", " "))
    assert len(arguments) == 1 + 5
    sam_deploys(stack, project, *arguments)
    [made] = stack.client("cloudformation").describe_stacks(StackName="ecs-queue-scaler")["Stacks"]
    values = {one["ParameterKey"]: one["ParameterValue"] for one in made["Parameters"]}
    assert values.items() >= dict(pair.split("=", 1) for pair in arguments[1:]).items()


def test_ticks_may_overlap_only_where_none_takes_as_long_as_its_period(stack: Stack) -> None:
    young = {"PassedRoleArns": "none", "ReserveConcurrency": "no"}
    for timeout in ({}, {"Timeout": "46"}):
        assert "such as Timeout=45" in str(refusal(stack, **young, **timeout))
    for seconds in ("20", "45"):
        assert refusal(stack, **young, Timeout=seconds) is None


def test_half_a_vpc_is_refused(stack: Stack) -> None:
    subnets, groups = {"VpcSubnetIds": "subnet-12345678"}, {"VpcSecurityGroupIds": "sg-12345678"}
    for half in (subnets, groups):
        assert "both, or neither" in str(refusal(stack, PassedRoleArns="none", **half))
    assert refusal(stack, PassedRoleArns="none", **subnets, **groups) is None


# -- the name --


def made(stack: Stack, name: str, template: dict[str, Any], **values: str) -> None:
    stack.client("cloudformation").create_stack(
        StackName=name,
        TemplateBody=json.dumps(for_emulator(template)),
        Parameters=parameters(values),
        Capabilities=CAPABILITIES,
    )
    waiter = stack.client("cloudformation").get_waiter("stack_create_complete")
    waiter.wait(StackName=name, WaiterConfig=SOON)


def names(stack: Stack, of: str) -> set[str]:
    """What the deployed stack's function and alarms call the scaler."""
    listed = stack.client("cloudformation").describe_stack_resources(StackName=of)
    ids = {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in listed["StackResources"]}
    function = stack.client("lambda").get_function_configuration(FunctionName=ids["ScalerFunction"])
    [alarm] = stack.client("cloudwatch").describe_alarms(AlarmNames=[ids["NoTickAlarm"]])["MetricAlarms"]
    [dimension] = alarm["Dimensions"]
    assert dimension["Name"] == "Scaler"
    return {function["Environment"]["Variables"]["SCALER_NAME"], dimension["Value"]}


def test_a_scaler_is_called_as_its_stack_or_as_is_said(stack: Stack) -> None:
    made(stack, "one", TEMPLATE, PassedRoleArns="none")
    made(stack, "another", TEMPLATE, PassedRoleArns="none", ScalerName="jobs/eu")
    assert names(stack, "one") == {"one"}
    assert names(stack, "another") == {"jobs/eu"}


def test_a_stack_of_the_time_when_all_had_one_name_keeps_it(stack: Stack, project: Path) -> None:
    """Under another name it would not know its tasks, and start everything again."""
    older = copy.deepcopy(TEMPLATE)
    older["Parameters"]["ScalerName"]["Default"] = "ecs-queue-scaler"
    jobs = ["--stack-name", "jobs"]
    sam_deploys(stack, project, *jobs, "--parameter-overrides", "PassedRoleArns=none", template=older)
    assert names(stack, "jobs") == {"ecs-queue-scaler"}

    sam_deploys(stack, project, *jobs, "--parameter-overrides", "MemorySize=512")
    assert names(stack, "jobs") == {"ecs-queue-scaler"}

    cloudformation = stack.client("cloudformation")
    cloudformation.update_stack(
        StackName="jobs",
        TemplateBody=json.dumps(for_emulator(TEMPLATE)),
        Parameters=parameters({"PassedRoleArns": "none"}),
        Capabilities=CAPABILITIES,
    )
    cloudformation.get_waiter("stack_update_complete").wait(StackName="jobs", WaiterConfig=SOON)
    assert names(stack, "jobs") == {"jobs"}, "the bare call takes the default, as the page says"


@pytest.mark.parametrize(
    ("stacks_name", "is_taken"), [("a", True), ("a" * 36, True), ("a" * 37, False), ("a" * 128, False)]
)
def test_a_stacks_name_that_is_too_long_is_refused_before_anything_is_made(
    stacks_name: str, is_taken: bool
) -> None:
    name = TEMPLATE["Resources"]["Name"]["Properties"]
    assert bool(re.search(name["AllowedPattern"], stacks_name)) == is_taken
    # Whoever needs the name waits for it, and that is the function first of all.
    for function in resources(TEMPLATE, "AWS::Serverless::Function").values():
        variables = function["Properties"]["Environment"]["Variables"]
        assert variables["SCALER_NAME"] == {"Fn::GetAtt": ["Name", "Value"]}
    others = json.dumps({name: one for name, one in TEMPLATE["Resources"].items() if name != "Name"})
    assert '{"Ref": "ScalerName"}' not in others and "${ScalerName}" not in others
