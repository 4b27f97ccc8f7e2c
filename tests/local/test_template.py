"""What can be said of template.yaml and its documents without deploying it."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest

from parameters import PAGE, page
from template import ROOT, documented_metrics, read_template, resources

TEMPLATE = read_template()
ALARMS = resources(TEMPLATE, "AWS::CloudWatch::Alarm")
INDEX = ROOT / "docs" / "alarms" / "README.md"
PAGES = {page.name: page.read_text() for page in INDEX.parent.glob("*.md") if page != INDEX}
SECTIONS = [
    "What it means",
    "Why it can happen",
    "What to look at",
    "How to silence it",
    "If ignored",
]
LONGEST_DESCRIPTION = 1024

OF_A_WORKERS_ALARM = "oldest-message.md"
"""The page of those that `queue-scaler alarms` makes."""


def description(alarm: dict[str, Any]) -> str:
    return str(alarm["Properties"]["AlarmDescription"]["Fn::Sub"])


def linked(alarm: dict[str, Any]) -> str:
    """The page that the alarm's text names."""
    return re.search(r"More: \$\{RunbookBase\}/(\S+)$", description(alarm))[1]


def used_metrics(template: dict[str, Any]) -> set[str]:
    """Our own metrics that alarms and the dashboard look at."""
    text = json.dumps([template["Resources"][name]["Properties"] for name in [*ALARMS, "Dashboard"]])
    text = text.replace('\\\\\\"', '"').replace('\\"', '"').replace("\\", "")
    named = re.findall(r'MetricName="(\w+)"', text) + re.findall(r"SELECT \w+\((\w+)\)", text)
    lists = re.findall(r'\["EcsQueueScaler", "(\w+)"', text)
    stats = re.findall(r'"Namespace": "EcsQueueScaler", "MetricName": "(\w+)"', text)
    return {*named, *lists, *stats}


def test_every_alarm_says_what_to_do_and_has_its_page() -> None:
    for name, alarm in ALARMS.items():
        assert "What to do: " in description(alarm), name
        assert len(description(alarm)) < LONGEST_DESCRIPTION - 300, f"{name}: leave room for names"
        assert f"Alarm `{name}`:" in PAGES[linked(alarm)], name
    of_template = map(linked, ALARMS.values())
    assert sorted([*of_template, OF_A_WORKERS_ALARM]) == sorted(PAGES), "a page without its alarm"


@pytest.mark.parametrize("name", PAGES)
def test_every_page_has_what_somebody_needs_at_three_in_the_morning(name: str) -> None:
    assert re.findall(r"^## (.+)$", PAGES[name], re.MULTILINE) == SECTIONS
    assert f"({name})" in INDEX.read_text()


@pytest.mark.parametrize("name", ALARMS)
def test_every_alarm_tells_its_beginning_and_its_end(name: str) -> None:
    properties = ALARMS[name]["Properties"]
    topic = {"Fn::If": ["BringsTopic", {"Ref": "AlarmTopicArn"}, {"Ref": "AlarmTopic"}]}
    told = [{"Fn::If": ["Tells", topic, {"Ref": "AWS::NoValue"}]}]
    assert properties["AlarmActions"] == properties["OKActions"] == told
    missing = "breaching" if name == "NoTickAlarm" else "notBreaching"
    assert properties["TreatMissingData"] == missing


def test_every_metric_that_is_looked_at_is_documented() -> None:
    used = used_metrics(TEMPLATE)
    assert {"Ticks", "WorkersAtCap", "QueueVisible", "BreakerOpen", "TickDuration"} <= used
    assert used <= set(documented_metrics())
    changed = copy.deepcopy(TEMPLATE)
    changed["Resources"]["NoTickAlarm"]["Properties"]["MetricName"] = "Tocks"
    assert used_metrics(changed) - used == {"Tocks"}


def test_the_dashboard_is_json_and_finds_new_workers_by_itself() -> None:
    text = TEMPLATE["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    known = {*TEMPLATE["Parameters"], *TEMPLATE["Resources"], "AWS::Region"}
    assert set(re.findall(r"\$\{([^!}]+)\}", text)) <= known
    widgets = json.loads(text)["widgets"]
    by_worker = [widget for widget in widgets if "by worker" in widget["properties"]["title"]]
    assert len(by_worker) == 5
    for widget in by_worker:
        for [metric] in widget["properties"]["metrics"]:
            assert metric["expression"].startswith("SEARCH('{EcsQueueScaler,Scaler,Worker}")
    places = {(widget["x"], widget["y"]) for widget in widgets}
    assert len(places) == len(widgets), "two widgets in one place"


def test_the_page_of_parameters_is_fresh() -> None:
    assert PAGE.read_text() == page(TEMPLATE), "run `make docs`"
    grouped = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    names = [name for group in grouped for name in group["Parameters"]]
    assert sorted(names) == sorted(TEMPLATE["Parameters"]), "each parameter in one group"


REFUSED = {
    "ScalerName": ["", "a" * 37, "two words"],
    "ScalerConfig": ["", "x" * 3001],
    "QueueArns": ["thumbnail", "arn:aws:sns:eu-central-1:123456789012:topic"],
    "ClusterArns": ["jobs", "*"],
    "PassedRoleArns": ["*", "arn:aws:iam::123456789012:role/*", "admin"],
    "VolumeRoleArns": ["*", "arn:aws:iam::123456789012:role/*", "admin"],
    "ConfigArn": ["ssm:/scaler", "arn:aws:sqs:eu-central-1:123456789012:queue"],
    "DiscoverQueues": ["true", ""],
    "ScheduleExpression": ["1 minute", "rate(0 minutes)", "rate(1 minutes)", "cron(* * *)"],
    "ScheduleState": ["enabled", ""],
    "Architecture": ["arm", ""],
    "TaskDefinitionArns": ["thumbnail", "*"],
    "Registration": ["true", ""],
    "OwnScheduler": ["true", ""],
    "WatcherCachePrefix": ["ECR", "-ecr", "a/b", "a" * 30],
    "DrainOnSpotInterruption": ["true", ""],
    "DrainOnRebalance": ["true", ""],
    "DrainOnTermination": ["true", ""],
    "StopTasksOnDrain": ["true", ""],
    "MemorySize": ["127", "3009"],
    "Timeout": ["19", "61"],
    "Tracing": ["Disabled"],
    "LogRetentionDays": ["0", "2"],
    "AlarmEmail": ["nobody", "a b@example.com"],
    "AlarmTopicArn": ["topic", "arn:aws:sqs:eu-central-1:123456789012:queue"],
    "NoTickMinutes": ["1", "1441"],
    "RunbookBase": ["", "two words"],
}

ACCEPTED = {
    "QueueArns": ["*", "arn:aws:sqs:*:123456789012:jobs-*", "arn:aws-cn:sqs:cn-north-1:1*:a.fifo"],
    "ClusterArns": ["arn:aws:ecs:eu-central-1:123456789012:cluster/jobs"],
    "PassedRoleArns": ["", "arn:aws:iam::123456789012:role/path/task"],
    "VolumeRoleArns": ["", "arn:aws:iam::123456789012:role/path/volumes"],
    "ScheduleExpression": ["rate(1 minute)", "rate(10 minutes)", "cron(*/5 8-18 ? * MON-FRI *)"],
    "TaskDefinitionArns": ["", "arn:aws:ecs:eu-central-1:123456789012:task-definition/thumbnail*"],
    "ConfigArn": ["", "arn:aws:s3:::bucket/key", "arn:aws:ssm:eu-west-1:123456789012:parameter/a"],
    "AlarmEmail": ["", "team@example.com"],
    "AlarmTopicArn": ["", "arn:aws:sns:eu-central-1:123456789012:on-call"],
    "RunbookBase": ["https://wiki.example.com/scaler/alarms"],
}


def accepts(parameter: dict[str, Any], value: str) -> bool:
    """Whether CloudFormation takes the value, as far as constraints tell."""
    if "AllowedValues" in parameter:
        return value in map(str, parameter["AllowedValues"])
    if parameter["Type"] == "Number":
        return parameter["MinValue"] <= int(value) <= parameter["MaxValue"]
    longest, shortest = parameter.get("MaxLength", 4096), parameter.get("MinLength", 0)
    pattern = parameter.get("AllowedPattern", "(?s).*")
    return shortest <= len(value) <= longest and re.fullmatch(pattern, value) is not None


@pytest.mark.parametrize("name", TEMPLATE["Parameters"])
def test_a_parameter_out_of_range_is_refused_by_the_template(name: str) -> None:
    parameter = TEMPLATE["Parameters"][name]
    for value in REFUSED[name]:
        assert not accepts(parameter, value), value
    for value in [str(parameter["Default"]), *ACCEPTED.get(name, [])]:
        assert accepts(parameter, value), value


def test_each_rule_lets_its_own_event_through_and_has_leave_to_send_it() -> None:
    rules = resources(TEMPLATE, "AWS::Events::Rule")
    events = {p.name: json.loads(p.read_text()) for p in (ROOT / "events").glob("*.json")}
    passed = {
        name: [
            event
            for event, content in events.items()
            if all(content.get(key) in values for key, values in pattern.items())
        ]
        for name, pattern in ((n, rule["Properties"]["EventPattern"]) for n, rule in rules.items())
    }
    assert passed == {
        "SpotInterruptionRule": ["spot-interruption.json"],
        "RebalanceRule": ["rebalance.json"],
        "TerminationRule": ["lifecycle-terminate.json"],
    }
    leave = resources(TEMPLATE, "AWS::Lambda::Permission").values()
    sources = {each["Condition"]: each["Properties"]["SourceArn"] for each in leave}
    assert sources == {
        rule["Condition"]: {"Fn::GetAtt": [name, "Arn"]} for name, rule in rules.items()
    }


def test_every_exception_from_a_check_has_its_reason_beside_it() -> None:
    skips = [
        skip
        for resource in TEMPLATE["Resources"].values()
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", [])
    ]
    assert skips
    for skip in skips:
        assert len(skip["comment"]) > 30, skip
