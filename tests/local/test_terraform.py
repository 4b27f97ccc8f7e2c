"""examples/terraform says of its resources what template.yaml says of them."""

from __future__ import annotations

import copy
import re
from typing import Any

import hcl2
import pytest

from counterparts import Resources, differences, is_among, leaves, made, pattern
from expanded import expanded
from filled import PSEUDO, Filled
from hcl import Files, Module, parsed
from template import ROOT, read_template

FILES = parsed(ROOT / "examples" / "terraform")
PAGE = (ROOT / "docs" / "terraform.md").read_text()
TEMPLATE = read_template()
EXPANDED = expanded()

ROLE = "arn:aws:iam::123456789012:role"
ALWAYS = {"package": "function.zip", "scaler_name": PSEUDO["AWS::StackName"]}
CASES: dict[str, dict[str, Any]] = {
    "least": ALWAYS | {"passed_role_arns": []},
    "everything": ALWAYS
    | {
        "scaler_config": "ssm:/jobs/workers",
        "config_arn": "arn:aws:ssm:eu-central-1:123456789012:parameter/jobs/workers",
        "discover_queues": True,
        "queue_arns": ["arn:aws:sqs:eu-central-1:123456789012:jobs-*", "arn:aws:sqs:*:123456789012:mail"],
        "cluster_arns": ["arn:aws:ecs:eu-central-1:123456789012:cluster/jobs"],
        "passed_role_arns": [f"{ROLE}/jobs/*", f"{ROLE}/execution"],
        "volume_role_arns": [f"{ROLE}/volumes/*"],
        "task_definition_arns": ["arn:aws:ecs:eu-central-1:123456789012:task-definition/jobs-*"],
        "registration": False,
        "own_scheduler": True,
        "schedule_expression": "rate(5 minutes)",
        "architecture": "x86_64",
        "memory_size": 512,
        "timeout": 30,
        "reserve_concurrency": False,
        "log_retention_days": 90,
        "alarm_topic_arn": "arn:aws:sns:eu-central-1:123456789012:on-call",
        "no_tick_minutes": 16,
        "runbook_base": "https://wiki.example.com/alarms",
        "permissions_boundary": "arn:aws:iam::123456789012:policy/boundary",
        "iam_path": "/teams/jobs/",
    },
    "paused": ALWAYS | {"passed_role_arns": [f"{ROLE}/jobs/*"], "schedule_state": "DISABLED"},
}
OUTSIDE = {
    "data.aws_caller_identity.current.account_id": PSEUDO["AWS::AccountId"],
    "data.aws_partition.current.partition": PSEUDO["AWS::Partition"],
    "data.aws_region.current.region": PSEUDO["AWS::Region"],
}
REFERENCES = {
    "${aws_cloudwatch_log_group.scaler.arn}:*": "${ScalerLogs.Arn}",
    "${aws_cloudwatch_log_group.scaler.name}": "${ScalerLogs}",
    "${aws_iam_role.scaler.arn}": "${ScalerRole.Arn}",
    "${aws_iam_role.schedule.arn}": "${ScheduleRole.Arn}",
    "${aws_lambda_function.scaler.arn}": "${ScalerFunction.Arn}",
    "${aws_lambda_function.scaler.function_name}": "${ScalerFunction}",
    "${aws_sqs_queue.failed_events.arn}": "${FailedEvents.Arn}",
    "${aws_sqs_queue.failed_events.name}": "${FailedEvents.QueueName}",
    "${aws_sqs_queue.failed_events.url}": "${FailedEvents}",
}

KNOWN = {
    "Name": "the variable's validation counts the name's characters",
    "Dashboard": "the module has none; docs/terraform.md says so",
    "ScalerFunction.Properties.Code": "the zip is wherever `sam package` or Terraform has put it",
    "ScalerFunction.Properties.Tags": "SAM's own: lambda:createdBy",
    "NoTickAlarm.DependsOn": "the template waits for the schedule because of the warm-up",
    "NoTickAlarm.Properties.WarmUpConfiguration": "the provider does not know it",
}
"""In what the two differ, and why. Names that CloudFormation makes up are not compared."""


def module(case: str, files: Files = FILES) -> Module:
    return Module(files, CASES[case], OUTSIDE)


def values(case: str) -> dict[str, str]:
    """The same for the template: `passed_role_arns` is `PassedRoleArns`."""
    said = {}
    for name, value in CASES[case].items():
        parameter = pascal(name)
        if parameter not in TEMPLATE["Parameters"]:
            assert name == "package"
        elif isinstance(value, bool):
            allowed = TEMPLATE["Parameters"][parameter]["AllowedValues"]
            said[parameter] = next(word for word in allowed if (word in ("yes", "on")) == value)
        elif isinstance(value, list):
            said[parameter] = ",".join(value) or "none"
        else:
            said[parameter] = str(value)
    return said


def pascal(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def properties(body: Any) -> Any:
    """A body in CloudFormation's words: names, blocks that stand once, values that are left out."""
    if isinstance(body, dict):
        return {
            pascal(key): value if key == "variables" else properties(value)
            for key, value in body.items()
            if value is not None
        }
    if isinstance(body, list) and len(body) == 1 and isinstance(body[0], dict):
        return properties(body[0])
    return body


def without(body: dict[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key not in names}


def dimensions(body: dict[str, str]) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in body.items()]


def query(body: dict[str, Any]) -> dict[str, Any]:
    made = properties(without(body, "metric", "return_data"))
    for metric in body.get("metric", []):
        of_metric = properties(without(metric, "stat", "period", "dimensions"))
        of_metric["Dimensions"] = dimensions(metric["dimensions"])
        made["MetricStat"] = {"Stat": metric["stat"], "Period": metric["period"], "Metric": of_metric}
    return made if body.get("return_data") else made | {"ReturnData": False}


def alarm(body: dict[str, Any]) -> dict[str, Any]:
    made = properties(without(body, "alarm_name", "dimensions", "metric_query", "ok_actions"))
    made["OKActions"] = body["ok_actions"]
    if "dimensions" in body:
        made["Dimensions"] = dimensions(body["dimensions"])
    if "metric_query" in body:
        made["Metrics"] = [query(one) for one in body["metric_query"]]
    return made


def document(statements: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": statements}


def role(body: dict[str, Any]) -> dict[str, Any]:
    made = properties(without(body, "name_prefix", "assume_role_policy"))
    return made | {"AssumeRolePolicyDocument": document(body["assume_role_policy"])}


def function(body: dict[str, Any]) -> dict[str, Any]:
    made = properties(without(body, "function_name", "filename", "source_code_hash"))
    reserved = made.pop("ReservedConcurrentExecutions")
    return made if reserved == -1 else made | {"ReservedConcurrentExecutions": reserved}


def of_module(module: Module) -> Resources:
    """Its resources under the names and with the properties that the template has for them."""

    def only(of_type: str) -> dict[str, Any]:
        [body] = module.resources(of_type).values()
        return body

    queue, log = only("aws_sqs_queue"), only("aws_cloudwatch_log_group")
    roles = module.resources("aws_iam_role")
    policy, wake = only("aws_iam_policy"), only("aws_iam_role_policy")
    assert only("aws_iam_role_policy_attachment") == {
        "role": "${aws_iam_role.scaler.name}",
        "policy_arn": "${aws_iam_policy.scaler[each.key].arn}",
    }
    assert (policy["policy"], wake["role"]) == ("${each.value}", "${aws_iam_role.schedule.id}")
    for of_type in ("aws_iam_policy", "aws_iam_role_policy_attachment"):
        [(_, body)] = module.blocks("resource", of_type)
        assert body["for_each"] == "${local.policies}"
    policies = module.named("local.policies").items()
    documents = {f"{pascal(name.replace('-', '_'))}Policy": statements for name, statements in policies}
    found = {
        "ScalerFunction": function(only("aws_lambda_function")),
        "ScalerFunctionEventInvokeConfig": properties(only("aws_lambda_function_event_invoke_config")),
        "ScalerFunctionTick": properties(without(only("aws_scheduler_schedule"), "name")),
        "ScalerLogs": {"LogGroupName": log["name"], **properties(without(log, "name"))},
        "FailedEvents": {
            "MessageRetentionPeriod": queue["message_retention_seconds"],
            **properties(without(queue, "name", "message_retention_seconds")),
        },
        "FailedEventsPolicy": {
            "Queues": [only("aws_sqs_queue_policy")["queue_url"]],
            "PolicyDocument": document(only("aws_sqs_queue_policy")["policy"]),
        },
        "ScalerRole": role(roles["scaler"]) | {"ManagedPolicyArns": [f"${{{name}}}" for name in documents]},
        "ScheduleRole": role(roles["schedule"])
        | {"Policies": [{"PolicyName": wake["name"], "PolicyDocument": document(wake["policy"])}]},
        **{
            name: {"Path": policy["path"], "PolicyDocument": document(statements)}
            for name, statements in documents.items()
        },
        **{
            f"{pascal(name)}Alarm": alarm(body)
            for name, body in module.resources("aws_cloudwatch_metric_alarm").items()
        },
    }
    return normal({name: {"Properties": body} for name, body in found.items()})


def of_template(case: str) -> Resources:
    filled = Filled(EXPANDED, values(case))
    name = CASES[case]["scaler_name"]
    resources = {n: without(one, "Type") for n, one in made(filled).items()}
    resources = {n: one if one["DependsOn"] else without(one, "DependsOn") for n, one in resources.items()}
    return normal(resources, {"${Name.Value}": name})


def normal(node: Any, references: dict[str, str] = REFERENCES, key: str = "") -> Any:
    """Statements by their names, and one value as itself: IAM takes either for the same."""
    if isinstance(node, dict):
        return {name: normal(value, references, name) for name, value in node.items()}
    if isinstance(node, list):
        items = [normal(one, references) for one in node]
        if key == "Statement":
            return {one.get("Sid", ""): one for one in items}
        return items[0] if len(items) == 1 else items
    if isinstance(node, str):
        for theirs, ours in references.items():
            node = node.replace(theirs, ours)
    return str(node) if isinstance(node, int) and not isinstance(node, bool) else node


def unknown(case: str, module: Module) -> list[str]:
    return [one for one in differences(of_template(case), of_module(module)) if not is_among(one, KNOWN)]


@pytest.mark.parametrize("case", CASES)
def test_the_module_says_what_the_template_says(case: str) -> None:
    assert not Filled(TEMPLATE, values(case)).refused()
    assert not module(case).refused()
    assert unknown(case, module(case)) == []


def test_every_difference_that_is_known_is_there() -> None:
    found = {one for case in CASES for one in differences(of_template(case), of_module(module(case)))}
    needed = {known for known in KNOWN if any(is_among(one, [known]) for one in found)}
    assert needed == set(KNOWN)


def test_every_variable_has_another_value_than_its_default_somewhere() -> None:
    for name, body in module("least").variables.items():
        default = module("least").of(body["default"]) if "default" in body else None
        assert any(case.get(name, default) != default for case in CASES.values()), name


def changed(files: Files, path: tuple[Any, ...]) -> Files:
    """The module's files with one value that is another."""
    mutant = copy.deepcopy(files)
    holder: Any = mutant
    for key in path[:-1]:
        holder = holder[key]
    value = holder[path[-1]]
    if isinstance(value, bool):
        value = not value
    elif isinstance(value, int):
        value = value + 1
    elif isinstance(value, str):
        value = re.sub(r'("?\}?)$', r"0\1", value)
    else:
        value = ['"more"']
    holder[path[-1]] = value
    return mutant


NOT_COMPARED = {
    ("aws_cloudwatch_metric_alarm", "alarm_name"),
    ("aws_iam_policy", "name_prefix"),
    ("aws_iam_role", "name_prefix"),
    ("aws_lambda_function", "filename"),
    ("aws_lambda_function", "function_name"),
    ("aws_lambda_function", "source_code_hash"),
    ("aws_scheduler_schedule", "name"),
    ("aws_sqs_queue", "name"),
}
"""Names that CloudFormation makes up, and where the zip is."""


def is_compared(path: tuple[Any, ...]) -> bool:
    if any(str(key).startswith("__") for key in path):
        return False  # what the parser notes for itself
    match path:
        case (_, "terraform" | "output", *_):
            return False
        case (_, "variable", _, _, attribute, *_):
            return attribute == "default"
        case (_, "resource", _, kind, _, attribute, *_):
            is_named = (kind.strip('"'), attribute) in NOT_COMPARED
            return not is_named and attribute not in ("depends_on", "lifecycle")
    return True


def test_no_value_of_the_module_can_change_alone() -> None:
    templates = {case: of_template(case) for case in CASES}
    assert not any(is_seen(case, FILES, template) for case, template in templates.items())
    paths = [path for path in leaves(FILES) if is_compared(path)]
    assert len(paths) > 300
    unseen = [
        path
        for path in paths
        if not any(is_seen(case, changed(FILES, path), one) for case, one in templates.items())
    ]
    assert unseen == []


def is_seen(case: str, files: Files, template: Resources) -> bool:
    try:
        found = differences(template, of_module(module(case, files)))
        return any(not is_among(one, KNOWN) for one in found)
    except (AssertionError, KeyError, TypeError, ValueError, IndexError):
        return True


def validation(name: str) -> str:
    [one] = module("least").variables[name]["validation"]
    return str(one["condition"])


def test_patterns_are_the_templates() -> None:
    patterned = {pascal(n): n for n, body in module("least").variables.items() if "regex" in str(body)}
    assert len(patterned) >= 10
    for parameter, name in patterned.items():
        [ours] = re.findall(r'regex\("((?:[^"\\]|\\.)*)"', validation(name))
        allowed = pattern(TEMPLATE["Parameters"][parameter])
        if name == "scaler_name":  # it names what is made here too: no empty one, no "/"
            assert ours == "^[A-Za-z0-9_-]{1,36}$"
            assert allowed == "[A-Za-z0-9/_-]{0,36}"
        else:
            assert ours.replace("\\\\", "\\") == f"^(?:{allowed})$", name
    of_template = {n for n, one in TEMPLATE["Parameters"].items() if "AllowedPattern" in one}
    assert of_template & {pascal(name) for name in module("least").variables} == set(patterned)


@pytest.mark.parametrize("name", ["memory_size", "timeout", "no_tick_minutes"])
def test_ranges_are_the_templates(name: str) -> None:
    parameter = TEMPLATE["Parameters"][pascal(name)]
    least, most = parameter["MinValue"], parameter["MaxValue"]

    def is_taken(value: int) -> bool:
        with_value = Module(FILES, CASES["least"] | {name: value}, OUTSIDE)
        return bool(with_value.of(validation(name)))

    assert [is_taken(value) for value in (least - 1, least, most, most + 1)] == [False, True, True, False]


@pytest.mark.parametrize("timeout", [45, 46])
def test_what_would_overlap_is_refused_by_both(timeout: int) -> None:
    values = {"ReserveConcurrency": "no", "Timeout": str(timeout)}
    asked = CASES["least"] | {"reserve_concurrency": False, "timeout": timeout}
    refused = Module(FILES, asked, OUTSIDE).refused()
    assert bool(refused) == bool(Filled(TEMPLATE, values).refused()) == (timeout == 46)


def test_the_page_names_what_the_module_has_not() -> None:
    section = PAGE.split("\n## What it has not\n")[1].split("\n## ")[0]
    told = set(re.findall(r"`([A-Z][A-Za-z]+)`", section))
    missing = set(TEMPLATE["Parameters"]) - {pascal(name) for name in module("least").variables}
    assert told == missing


def test_what_the_page_shows_is_a_call_of_the_module() -> None:
    [shown] = re.findall(r"```hcl\n(.*?)```", PAGE, re.DOTALL)
    [[label, body]] = [item for block in hcl2.loads(shown)["module"] for item in block.items()]
    given = {name for name in body if not name.startswith("__")} - {"source"}
    variables = module("least").variables
    assert label == '"ecs_queue_scaler"'
    assert {name for name, one in variables.items() if "default" not in one} <= given <= set(variables)
