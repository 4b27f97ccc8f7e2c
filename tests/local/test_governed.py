"""What an account may demand: boundary, path, VPC, key, tags. Nothing of the template escapes it, and
what CloudFormation cannot tag is what the page says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import cfnlint
import pytest

from expanded import expanded
from filled import Filled
from policy import ASKED_FOR
from template import ROOT, read_template, resources

TEMPLATE = read_template()
PAGE = (ROOT / "docs" / "governed.md").read_text()
SCHEMAS = Path(cfnlint.__file__).parent / "data" / "schemas"
KEY = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
DEMANDED = {
    "PermissionsBoundary": "arn:aws:iam::123456789012:policy/boundary",
    "IamPath": "/teams/jobs/",
    "VpcSubnetIds": "subnet-12345678,subnet-90abcdef",
    "VpcSecurityGroupIds": "sg-12345678",
    "KmsKeyArn": KEY,
}
EVERYTHING = ASKED_FOR | {
    "PassedRoleArns": "arn:aws:iam::123456789012:role/jobs/*",
    "VolumeRoleArns": "arn:aws:iam::123456789012:role/volumes/*",
}


EXPANDED = expanded()


def properties(kind: str, values: dict[str, str]) -> dict[str, dict[str, Any]]:
    """The resources of a kind that are made, filled in."""
    filled = Filled(EXPANDED, values)
    found = {name: filled.resource(name) for name in resources(EXPANDED, kind)}
    return {name: one for name, one in found.items() if one is not None}


def test_every_role_and_policy_has_the_path_and_every_role_the_boundary() -> None:
    roles = properties("AWS::IAM::Role", EVERYTHING | DEMANDED)
    policies = properties("AWS::IAM::ManagedPolicy", EVERYTHING | DEMANDED)
    assert set(roles) == {"ScalerRole", "ScheduleRole"}
    assert {one["PermissionsBoundary"] for one in roles.values()} == {DEMANDED["PermissionsBoundary"]}
    assert {one["Path"] for one in [*roles.values(), *policies.values()]} == {"/teams/jobs/"}
    for role in properties("AWS::IAM::Role", EVERYTHING).values():
        assert "PermissionsBoundary" not in role and role["Path"] == "/"


def test_every_function_joins_the_vpc() -> None:
    functions = properties("AWS::Lambda::Function", EVERYTHING | DEMANDED)
    assert set(functions) == {"ScalerFunction", "DrainFunction"}
    for function in functions.values():
        assert function["VpcConfig"] == {
            "SubnetIds": ["subnet-12345678", "subnet-90abcdef"],
            "SecurityGroupIds": ["sg-12345678"],
        }
    for function in properties("AWS::Lambda::Function", EVERYTHING).values():
        assert "VpcConfig" not in function


def test_the_key_encrypts_log_and_queue_and_whoever_writes_there_may_use_it() -> None:
    [log] = properties("AWS::Logs::LogGroup", EVERYTHING | DEMANDED).values()
    [queue] = properties("AWS::SQS::Queue", EVERYTHING | DEMANDED).values()
    assert log["KmsKeyId"] == queue["KmsMasterKeyId"] == KEY
    assert "SqsManagedSseEnabled" not in queue, "SQS takes one of the two"
    wake = properties("AWS::IAM::Role", EVERYTHING | DEMANDED)["ScheduleRole"]
    function = properties("AWS::IAM::ManagedPolicy", EVERYTHING | DEMANDED)["FunctionPolicy"]
    for policy in (wake["Policies"][0], function):
        [use] = [one for one in policy["PolicyDocument"]["Statement"] if one["Sid"] == "UseKey"]
        assert use["Resource"] == KEY
        assert use["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]

    [log] = properties("AWS::Logs::LogGroup", EVERYTHING).values()
    [queue] = properties("AWS::SQS::Queue", EVERYTHING).values()
    assert "KmsKeyId" not in log and queue["SqsManagedSseEnabled"] is True
    assert "UseKey" not in json.dumps([*properties("AWS::IAM::Role", EVERYTHING).values()])


def test_the_statements_for_the_keys_policy_let_in_whoever_writes_in_its_own_name() -> None:
    blocks = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    of_log, of_rules = (json.loads(block) for block in blocks)
    [log] = properties("AWS::Logs::LogGroup", EVERYTHING | DEMANDED).values()
    shown = of_log["Condition"]["ArnEquals"]["kms:EncryptionContext:aws:logs:arn"]
    for name, value in {"REGION": "eu-central-1", "ACCOUNT": "123456789012", "STACK": "scaler"}.items():
        shown = shown.replace(name, value)
    assert shown == f"arn:aws:logs:eu-central-1:123456789012:log-group:{log['LogGroupName']}"
    assert of_log["Principal"] == {"Service": "logs.REGION.amazonaws.com"}

    [policy] = properties("AWS::SQS::QueuePolicy", EVERYTHING | DEMANDED).values()
    [sender] = [one for one in policy["PolicyDocument"]["Statement"] if one["Effect"] == "Allow"]
    assert of_rules["Principal"] == sender["Principal"]
    assert of_rules["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]


def test_the_schedules_role_is_for_this_accounts_schedules_and_this_function_alone() -> None:
    role = properties("AWS::IAM::Role", EVERYTHING)["ScheduleRole"]
    [trusted] = role["AssumeRolePolicyDocument"]["Statement"]
    assert trusted["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert trusted["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    [policy] = role["Policies"]
    allowed = {one["Action"]: one["Resource"] for one in policy["PolicyDocument"]["Statement"]}
    assert allowed == {
        "lambda:InvokeFunction": "${ScalerFunction.Arn}",
        "sqs:SendMessage": "${FailedEvents.Arn}",
    }
    [schedule] = properties("AWS::Scheduler::Schedule", EVERYTHING).values()
    assert schedule["Target"]["RoleArn"] == "${ScheduleRole.Arn}"
    assert schedule["Target"]["DeadLetterConfig"] == {"Arn": "${FailedEvents.Arn}"}


@pytest.mark.parametrize(("answer", "reserved"), [("yes", 1), ("no", None)])
def test_nothing_is_reserved_where_nothing_can_be(answer: str, reserved: int | None) -> None:
    values = EVERYTHING | {"ReserveConcurrency": answer}
    functions = properties("AWS::Lambda::Function", values)
    assert functions["ScalerFunction"].get("ReservedConcurrentExecutions") == reserved


def test_what_cannot_be_tagged_is_what_the_page_says() -> None:
    """By the schemas that CloudFormation publishes, as cfn-lint brings them."""
    region = json.loads((SCHEMAS / "providers" / "us-east-1.json").read_text())

    def is_tagged(kind: str) -> bool:
        schema = json.loads((SCHEMAS / "resources" / f"{region[kind]}.json").read_text())
        return bool(schema.get("tagging", {}).get("tagOnCreate"))

    kinds = {one["Type"] for one in EXPANDED["Resources"].values()}
    assert {"AWS::Lambda::Function", "AWS::IAM::Role"} <= {kind for kind in kinds if is_tagged(kind)}
    section = PAGE.split("## Tags")[1].split("\n## ")[0]
    told = set(re.findall(r"`(AWS::\w+::\w+)`", section))
    assert told == {kind for kind in kinds if not is_tagged(kind)}


def test_every_parameter_of_the_group_is_explained() -> None:
    groups = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    [names] = [
        group["Parameters"] for group in groups if "demands" in group["Label"]["default"]
    ]
    for name in names:
        assert f"`{name}" in PAGE, name
