"""`cdk synth` of examples/cdk gives what template.yaml gives, whatever is asked of the two."""

from __future__ import annotations

import copy
import functools
import json
import re
from typing import Any

import pytest

import cdk
from counterparts import Resources, differences, is_among, leaves, made, pattern, plain
from expanded import expanded
from filled import PSEUDO, Filled, refused_by
from policy import ASKED_FOR, SWITCHES
from template import read_template

TEMPLATE = read_template()
EXPANDED = expanded()

ROLE = "arn:aws:iam::123456789012:role"
EVERYTHING = ASKED_FOR | {
    "ScalerName": "team/jobs",
    "ScalerConfig": "ssm:/jobs/workers",
    "ConfigArn": "arn:aws:ssm:eu-central-1:123456789012:parameter/jobs/workers",
    "QueueArns": "arn:aws:sqs:eu-central-1:123456789012:jobs-*,arn:aws:sqs:*:123456789012:mail",
    "ClusterArns": "arn:aws:ecs:eu-central-1:123456789012:cluster/jobs",
    "PassedRoleArns": f"{ROLE}/jobs/*,{ROLE}/execution",
    "VolumeRoleArns": f"{ROLE}/volumes/*",
    "TaskDefinitionArns": "arn:aws:ecs:eu-central-1:123456789012:task-definition/jobs-*",
    "ScheduleExpression": "rate(5 minutes)",
    "Architecture": "x86_64",
    "WatcherCachePrefix": "ecr-public",
    "MemorySize": "512",
    "Timeout": "30",
    "LogRetentionDays": "90",
    "AlarmEmail": "team@example.com",
    "NoTickMinutes": "16",
    "RunbookBase": "https://wiki.example.com/alarms",
    "PermissionsBoundary": "arn:aws:iam::123456789012:policy/boundary",
    "IamPath": "/teams/jobs/",
    "VpcSubnetIds": "subnet-12345678,subnet-90abcdef",
    "VpcSecurityGroupIds": "sg-12345678,sg-90abcdef",
    "KmsKeyArn": "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    "ReserveConcurrency": "no",
}
TOPIC = {"AlarmTopicArn": "arn:aws:sns:eu-central-1:123456789012:on-call"}
PAUSED = {"ScheduleState": "DISABLED", "AlarmEmail": "team@example.com"}


def slug(words: str) -> str:
    return "-".join(re.findall(r"\w+", words))


CASES: dict[str, dict[str, str]] = {
    "everything": EVERYTHING,
    "least": {"PassedRoleArns": "none"},
    "paused": {"PassedRoleArns": f"{ROLE}/jobs/*"} | PAUSED,
    "own-topic": {"PassedRoleArns": "none", "DrainOnRebalance": "yes"} | TOPIC,
    "both-topics": EVERYTHING | TOPIC,
    "spot": {"PassedRoleArns": "none", "DrainOnSpotInterruption": "yes"},
} | {f"everything-but-{slug(words)}": EVERYTHING | values for words, values in SWITCHES.items()}
CASES["everything-but-no-VpcSubnetIds"]["VpcSecurityGroupIds"] = ""
"""Parameters of the template; tests/local/cdk_stacks.ts says the same to the construct."""

KNOWN = {
    "Name": "CDK counts the name's characters before anything is deployed; CloudFormation cannot",
    "ScalerFunction.Properties.Code": "the zip is wherever `sam package` or `cdk deploy` has put it",
    "DrainFunction.Properties.Code": "the same",
    "ScalerFunction.Properties.Tags": "SAM's own: lambda:createdBy",
    "DrainFunction.Properties.Tags": "the same",
}
"""In what the two differ, and why."""

WRONG = {
    "ScalerName": ["a b", "a" * 37],
    "ConfigArn": ["arn:aws:ssm:eu-central-1:123456789012:workers"],
    "QueueArns": ["jobs", "*,jobs"],
    "ClusterArns": ["jobs"],
    "PassedRoleArns": [f"{ROLE}/*"],
    "VolumeRoleArns": [f"{ROLE}/*"],
    "ScheduleExpression": ["rate(1 minutes)"],
    "TaskDefinitionArns": ["thumbnail"],
    "WatcherCachePrefix": ["ECR"],
    "AlarmEmail": ["team"],
    "RunbookBase": ["our wiki"],
    "IamPath": ["/jobs"],
    "MemorySize": ["127", "3009"],
    "Timeout": ["19", "61"],
    "NoTickMinutes": ["1", "1441"],
}
"""Values that both refuse, by parameter."""
REFUSED = {
    f"wrong-{name}-{index}": {name: value}
    for name, values in WRONG.items()
    for index, value in enumerate(values)
}
RULED = {"overlap": {"ReserveConcurrency": "no"}, "no-overlap": {"ReserveConcurrency": "no", "Timeout": "45"}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return cdk.workspace(tmp_path_factory.mktemp("example"))


@pytest.fixture(scope="module")
def stacks(folder: Any) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    templates, told = cdk.compiled_stacks(folder, CASES | REFUSED | RULED)
    assert not set(told["refused"]) & set(CASES), told["refused"]
    return {name: cdk.renamed(templates[name]) for name in CASES}, told


@pytest.fixture(scope="module")
def synthesized(stacks: Any) -> dict[str, dict[str, Any]]:
    return stacks[0]


@pytest.fixture(scope="module")
def told(stacks: Any) -> dict[str, Any]:
    return stacks[1]


def replaced(node: Any, meant: dict[str, str]) -> Any:
    """With what references mean once the stack is there."""
    text = json.dumps(node)
    for reference, value in meant.items():
        text = text.replace(reference, value)
    return json.loads(text)


def with_name(node: Any, values: dict[str, str]) -> Any:
    """The template keeps the scaler's name in a resource, for every other part to refer to."""
    return replaced(node, {"${Name.Value}": values.get("ScalerName") or PSEUDO["AWS::StackName"]})


def of_template(template: dict[str, Any], values: dict[str, str]) -> Resources:
    return with_name(made(Filled(template, values)), values)


def of_cdk(template: dict[str, Any]) -> Resources:
    return made(Filled(template, {}))


def unknown(left: Any, right: Any, path: str = "") -> list[str]:
    return [one for one in differences(left, right, path) if not is_among(one, KNOWN)]


@pytest.mark.parametrize("case", CASES)
def test_the_same_is_made(case: str, synthesized: dict[str, dict[str, Any]]) -> None:
    values = CASES[case]
    assert not Filled(TEMPLATE, values).refused()
    assert all(not refused_by(TEMPLATE["Parameters"][name], value) for name, value in values.items())
    assert unknown(of_template(EXPANDED, values), of_cdk(synthesized[case])) == []


def test_every_difference_that_is_known_is_there(synthesized: dict[str, dict[str, Any]]) -> None:
    found = {
        one
        for case, values in CASES.items()
        for one in differences(of_template(EXPANDED, values), of_cdk(synthesized[case]))
    }
    needed = {known for known in KNOWN if any(is_among(one, [known]) for one in found)}
    assert needed == set(KNOWN)


def test_every_parameter_has_another_value_than_its_default_somewhere() -> None:
    for name, parameter in TEMPLATE["Parameters"].items():
        values = {case.get(name, parameter.get("Default")) for case in CASES.values()}
        assert values - {parameter.get("Default")}, name
        assert len(values) > 1, name
    for condition in TEMPLATE["Conditions"]:
        if condition not in ("InChina", "InGovCloud"):  # of an output only
            assert {Filled(TEMPLATE, case).holds(condition) for case in CASES.values()} == {True, False}


def changed(resource: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    """The resource with one value that is another."""
    mutant = copy.deepcopy(resource)
    *way, last = path
    holder = functools.reduce(lambda node, key: node[key], way, mutant)
    value = holder[last]
    holder[last] = not value if isinstance(value, bool) else f"{value}0"
    return mutant


def is_seen(name: str, template: dict[str, Any], values: dict[str, str], other: Resources) -> bool:
    """Whether a resource is another one than its counterpart, or none that could be made."""
    try:
        alone = Filled(template, values)
        properties = alone.resource(name)
        left = {} if properties is None else with_name(plain(properties), values)
    except (KeyError, ValueError, AttributeError, TypeError):
        return True
    right = other.get(name, {"Properties": {}})["Properties"]
    return bool(unknown(left, right, f"{name}.Properties"))


def test_no_value_of_the_template_can_change_alone(synthesized: dict[str, dict[str, Any]]) -> None:
    counterparts = {case: of_cdk(template) for case, template in synthesized.items()}
    unseen = []
    for name, resource in EXPANDED["Resources"].items():
        assert not is_seen(name, EXPANDED, EVERYTHING, counterparts["everything"])
        for path in leaves(resource["Properties"], ("Properties",)):
            if is_among(".".join(map(str, (name, *path))), KNOWN):
                continue
            mutant = EXPANDED | {"Resources": EXPANDED["Resources"] | {name: changed(resource, path)}}
            if not any(is_seen(name, mutant, CASES[case], other) for case, other in counterparts.items()):
                unseen.append((name, *path))
    assert unseen == []


def test_no_value_of_the_construct_can_change_alone(synthesized: dict[str, dict[str, Any]]) -> None:
    unseen = []
    for case in ("everything", "own-topic"):
        template, other = synthesized[case], of_template(EXPANDED, CASES[case])
        for name, resource in template["Resources"].items():
            assert not is_seen(name, template, {}, other)
            for path in leaves(resource["Properties"], ("Properties",)):
                if is_among(".".join(map(str, (name, *path))), KNOWN):
                    continue
                mutant = template | {"Resources": template["Resources"] | {name: changed(resource, path)}}
                if not is_seen(name, mutant, {}, other):
                    unseen.append((case, name, *path))
    assert unseen == []


def test_a_resource_more_or_less_is_a_difference(synthesized: dict[str, dict[str, Any]]) -> None:
    left, right = of_template(EXPANDED, EVERYTHING), of_cdk(synthesized["everything"])
    for name in right:
        less = {other: one for other, one in right.items() if other != name}
        assert unknown(left, less) == unknown(less, left) == [name]
    earlier = right | {"NoTickAlarm": right["NoTickAlarm"] | {"DependsOn": []}}
    assert unknown(left, earlier) == ["NoTickAlarm.DependsOn"]


def test_what_the_template_refuses_the_construct_refuses(told: dict[str, Any]) -> None:
    expected = set()
    for case, values in REFUSED.items():
        [(name, value)] = values.items()
        assert refused_by(TEMPLATE["Parameters"][name], value), case
        expected.add(case)
    for case, values in RULED.items():
        expected |= {case} if Filled(TEMPLATE, values).refused() else set()
    assert set(told["refused"]) == expected
    assert "a tick has to end before the next one begins" in told["refused"]["overlap"]


def test_patterns_and_ranges_are_the_templates(told: dict[str, Any]) -> None:
    parameters = {name[0].lower() + name[1:]: one for name, one in TEMPLATE["Parameters"].items()}
    for name, ours in told["patterns"].items():
        assert ours == pattern(parameters[name]), name
    of_types = {"alarmTopicArn", "kmsKeyArn", "permissionsBoundary", "vpcSubnetIds", "vpcSecurityGroupIds"}
    patterned = {name for name, one in parameters.items() if "AllowedPattern" in one}
    assert set(told["patterns"]) == patterned - of_types
    ranged = {name: one for name, one in parameters.items() if "MinValue" in one}
    assert told["ranges"] == {name: [one["MinValue"], one["MaxValue"]] for name, one in ranged.items()}


def test_cdk_synth_of_the_example_is_the_template_too(folder: Any) -> None:
    template = cdk.renamed(cdk.synthesized(folder))
    here = "eu-central-1:123456789012"
    values = {
        "ScalerConfig": "ssm:/ecs-queue-scaler/workers",
        "ConfigArn": f"arn:aws:ssm:{here}:parameter/ecs-queue-scaler/workers",
        "QueueArns": f"arn:aws:sqs:{here}:thumbnail-jobs",
        "ClusterArns": f"arn:aws:ecs:{here}:cluster/jobs",
        "PassedRoleArns": f"{ROLE}/thumbnail-execution,{ROLE}/thumbnail-task",
    }
    stack = PSEUDO | {"AWS::StackName": "ecs-queue-scaler"}
    filled = Filled(EXPANDED, values, stack)
    left = with_name(made(filled), {"ScalerName": "ecs-queue-scaler"})
    right = replaced(made(Filled(template, {}, stack)), {"${Workers}": "/ecs-queue-scaler/workers"})
    workers = right.pop("Workers")["Properties"]
    assert unknown(left, right) == []
    assert workers["Name"] == "/ecs-queue-scaler/workers"
    assert workers["Value"] == (cdk.EXAMPLE / "workers.yaml").read_text()
    for name, output in template["Outputs"].items():
        ours = Filled(template, {}, stack).of(output["Value"])
        assert ours == with_name(filled.output(name), {"ScalerName": "ecs-queue-scaler"}), name
    assert {"ScalerFunction", "ScalerName", "Logs"} <= set(template["Outputs"])
