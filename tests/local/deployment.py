"""`template.yaml` deployed to the local emulator, as CloudFormation deploys it to an account.

Only what the emulator cannot do is changed on the way (`for_emulator`). The emulator expands the SAM
transform itself, creates every resource, and its EventBridge Scheduler wakes the function.
"""

from __future__ import annotations

import copy
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stack import SCALER, Stack, StackError, zipped
from template import read_template, resources

STACK = SCALER
"""The scaler is called as its stack is."""
BUCKET = "packages"
KEY = "function.zip"
DEPLOYED = "CREATE_COMPLETE"
DEPLOY_SECONDS = 60


@dataclass(frozen=True)
class Deployment:
    """A deployed stack."""

    stack: Stack
    outputs: dict[str, str]

    def resources(self) -> dict[str, tuple[str, str]]:
        """Type and state of each resource, by its name in the template."""
        listed = self.stack.client("cloudformation").describe_stack_resources(StackName=STACK)
        return {
            resource["LogicalResourceId"]: (resource["ResourceType"], resource["ResourceStatus"])
            for resource in listed["StackResources"]
        }

    def log_lines(self) -> list[dict[str, Any]]:
        """What the function has logged so far, oldest first; lines that are no JSON are left out."""
        logs = self.stack.client("logs")
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=self.outputs["Logs"])
        messages = [event["message"] for page in pages for event in page["events"]]
        lines = [line for message in messages for line in message.splitlines()]
        return [json.loads(line) for line in lines if line.startswith("{")]


def for_emulator(template: dict[str, Any]) -> dict[str, Any]:
    """The template with what the emulator needs otherwise.

    - `CodeUri` is the uploaded package, as `sam package` makes it.
    - The schedule's `Input` goes: the emulator does not fill in `<aws.scheduler.scheduled-time>`. It
      then sends an event with its own `time`, which the function understands as well.
    - What it has no support for (`unsupported`) goes.
    """
    changed = copy.deepcopy(template)
    for name in unsupported(template):
        del changed["Resources"][name]
    for function in resources(changed, "AWS::Serverless::Function").values():
        function["Properties"]["CodeUri"] = {"Bucket": BUCKET, "Key": KEY}
    function = changed["Resources"]["ScalerFunction"]["Properties"]
    del function["Events"]["Tick"]["Properties"]["Input"]
    return changed


def unsupported(template: dict[str, Any]) -> list[str]:
    """Resources that the emulator refuses: alarms on metric math, and rules of ECR."""
    alarms = resources(template, "AWS::CloudWatch::Alarm").items()
    rules = resources(template, "AWS::ECR::PullThroughCacheRule")
    return [name for name, alarm in alarms if "Metrics" in alarm["Properties"]] + list(rules)


def deploy(stack: Stack, binary: Path, config: dict[str, Any], **parameters: str) -> Deployment:
    """Creates the stack, with the configuration in the package; waits until it is there."""
    upload(stack, binary, config)
    cloudformation = stack.client("cloudformation")
    cloudformation.create_stack(
        StackName=STACK,
        TemplateBody=json.dumps(for_emulator(read_template())),
        Parameters=[
            {"ParameterKey": name, "ParameterValue": value}
            for name, value in ({"PassedRoleArns": "none"} | parameters).items()
        ],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    state = settled(stack)
    if state["StackStatus"] != DEPLOYED:
        raise StackError(f"the stack is {state['StackStatus']}: {reasons(stack)}")
    outputs = {o["OutputKey"]: o["OutputValue"] for o in state.get("Outputs", [])}
    return Deployment(stack, outputs)


def upload(stack: Stack, binary: Path, config: dict[str, Any]) -> None:
    """The package: the binary, and workers.yaml beside it (JSON is YAML)."""
    package = zipped(binary, {"workers.yaml": json.dumps(config).encode()})
    s3 = stack.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=package)


def settled(stack: Stack) -> dict[str, Any]:
    """The stack, once nothing is in progress."""
    cloudformation = stack.client("cloudformation")
    deadline = time.monotonic() + DEPLOY_SECONDS
    while time.monotonic() < deadline:
        [state] = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
        if not state["StackStatus"].endswith("_IN_PROGRESS"):
            return state
        time.sleep(0.2)
    raise StackError(f"the stack is not deployed after {DEPLOY_SECONDS} s")


def reasons(stack: Stack) -> str:
    """Why resources were not created."""
    events = stack.client("cloudformation").describe_stack_events(StackName=STACK)["StackEvents"]
    told = [
        f"{event['LogicalResourceId']}: {event['ResourceStatusReason']}"
        for event in events
        if event["ResourceStatus"].endswith("FAILED") and event.get("ResourceStatusReason")
    ]
    return "; ".join(told) or "no reason given"
