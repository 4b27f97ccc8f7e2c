"""What can be said of template.yaml and its documents without deploying it."""

from __future__ import annotations

import copy
import json
import re
import shlex
from typing import Any

import pytest

from filled import PSEUDO, Filled, refused_by
from parameters import PAGE, page
from template import ROOT, documented_metrics, read_template, resources

TEMPLATE = read_template()
TEMPLATE_TEXT = (ROOT / "template.yaml").read_text()
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


def test_an_alarm_on_missing_data_waits_for_the_first_that_can_come() -> None:
    """CloudWatch takes what was before an alarm's creation for missing, and would sound at once."""
    breaching = {
        name: alarm
        for name, alarm in ALARMS.items()
        if alarm["Properties"]["TreatMissingData"] == "breaching"
    }
    assert list(breaching) == ["NoTickAlarm"]
    alarm = breaching["NoTickAlarm"]
    as_long = alarm["Properties"]["WarmUpConfiguration"]["WarmUpPeriodDurationInMinutes"]
    assert as_long == alarm["Properties"]["EvaluationPeriods"] == {"Ref": "NoTickMinutes"}
    assert alarm["Condition"] == "Scheduled", "a pause takes it away, its end brings a new one"
    assert alarm["DependsOn"] == "ScalerFunctionTick", "the warm-up begins with the schedule"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "nobody; set AlarmEmail or AlarmTopicArn"),
        ({"AlarmEmail": "team@example.com"}, "${AlarmTopic}"),
        ({"AlarmTopicArn": "arn:aws:sns:eu-central-1:123456789012:on-call"}, "on-call"),
    ],
)
def test_an_output_says_who_is_told(values: dict[str, str], told: str) -> None:
    assert Filled(TEMPLATE, values).output("Alarms").endswith(told)


def test_every_metric_that_is_looked_at_is_documented() -> None:
    used = used_metrics(TEMPLATE)
    assert {"Ticks", "WorkersAtCap", "QueueVisible", "BreakerOpen", "TickDuration"} <= used
    assert used <= set(documented_metrics())
    changed = copy.deepcopy(TEMPLATE)
    changed["Resources"]["NoTickAlarm"]["Properties"]["MetricName"] = "Tocks"
    assert used_metrics(changed) - used == {"Tocks"}


def test_the_dashboard_is_json_and_finds_new_workers_by_itself() -> None:
    text = TEMPLATE["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    known = {*TEMPLATE["Resources"], "AWS::Region", "Name.Value"}
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
    shown = PAGE.read_text()
    assert shown == page(shown, TEMPLATE), "run `make docs`"
    grouped = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    names = [name for group in grouped for name in group["Parameters"]]
    assert sorted(names) == sorted(TEMPLATE["Parameters"]), "each parameter in one group"


ROLES = "arn:aws:iam::123456789012:role"
REFUSED_ROLES = ["*", f"{ROLES}/*", f"{ROLES}/jobs-*", f"{ROLES}/*/task", f"{ROLES}//*", "admin"]
ACCEPTED_ROLES = [f"{ROLES}/task", f"{ROLES}/path/task", f"{ROLES}/a/b/*,{ROLES}/path/job-*"]

REFUSED = {
    "ScalerName": ["a" * 37, "two words"],
    "ScalerConfig": ["", "x" * 3001],
    "QueueArns": ["thumbnail", "arn:aws:sns:eu-central-1:123456789012:topic"],
    "ClusterArns": ["jobs", "*"],
    "PassedRoleArns": [*REFUSED_ROLES, "", f"{ROLES}/{'a' * 4096}"],
    "VolumeRoleArns": [*REFUSED_ROLES, "none"],
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
    "PermissionsBoundary": ["boundary", f"{ROLES}/boundary"],
    "IamPath": ["", "jobs", "/jobs", "jobs/", "//"],
    "VpcSubnetIds": ["vpc-12345678", "subnet-1", "subnet-12345678,"],
    "VpcSecurityGroupIds": ["default", ",".join(["sg-12345678"] * 6)],
    "KmsKeyArn": ["alias/aws/sqs", "arn:aws:kms:eu-central-1:123456789012:alias/jobs"],
    "ReserveConcurrency": ["0", ""],
}

ACCEPTED = {
    "QueueArns": ["*", "arn:aws:sqs:*:123456789012:jobs-*", "arn:aws-cn:sqs:cn-north-1:1*:a.fifo"],
    "ClusterArns": ["arn:aws:ecs:eu-central-1:123456789012:cluster/jobs"],
    "ScalerName": ["jobs/eu-1_a", "a" * 36],
    "PassedRoleArns": ["none", *ACCEPTED_ROLES],
    "VolumeRoleArns": ACCEPTED_ROLES,
    "ScheduleExpression": ["rate(1 minute)", "rate(10 minutes)", "cron(*/5 8-18 ? * MON-FRI *)"],
    "TaskDefinitionArns": ["", "arn:aws:ecs:eu-central-1:123456789012:task-definition/thumbnail*"],
    "ConfigArn": ["", "arn:aws:s3:::bucket/key", "arn:aws:ssm:eu-west-1:123456789012:parameter/a"],
    "AlarmEmail": ["", "team@example.com"],
    "AlarmTopicArn": ["", "arn:aws:sns:eu-central-1:123456789012:on-call"],
    "RunbookBase": ["https://wiki.example.com/scaler/alarms"],
    "PermissionsBoundary": ["arn:aws:iam::aws:policy/PowerUserAccess"],
    "IamPath": ["/jobs/", "/a/b.c/"],
    "VpcSubnetIds": ["subnet-12345678", "subnet-12345678,subnet-0123456789abcdef0"],
    "VpcSecurityGroupIds": ["sg-12345678"],
    "KmsKeyArn": ["arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"],
}


@pytest.mark.parametrize("name", TEMPLATE["Parameters"])
def test_a_parameter_out_of_range_is_refused_by_the_template(name: str) -> None:
    parameter = TEMPLATE["Parameters"][name]
    for value in REFUSED[name]:
        assert refused_by(parameter, value), value
    default = [str(parameter["Default"])] if "Default" in parameter else []
    for value in default + ACCEPTED.get(name, []):
        assert not refused_by(parameter, value), value


def deployments(page: str) -> list[dict[str, str]]:
    """The parameters of each `sam deploy` in a page's blocks, as far as they stand there."""
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL)).replace("\\\n", " ")
    shown = re.findall(r"sam deploy .*--parameter-overrides (.*)", blocks)
    return [
        dict(pair.split("=", 1) for pair in shlex.split(overrides))
        for overrides in shown
    ]


def test_every_deployment_that_a_page_shows_is_taken() -> None:
    folders = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
    shown = [one for page in folders for one in deployments(page.read_text())]
    assert len(shown) >= 4, shown
    for values in shown:
        written = {name: value for name, value in values.items() if "$(" not in value}
        for name, value in written.items():
            assert not refused_by(TEMPLATE["Parameters"][name], value), f"{name}={value}"
        assert Filled(TEMPLATE, written).refused() == [], values


def test_what_has_no_sensible_default_has_to_be_said() -> None:
    """A scaler that may pass no role fails at its first launch, long after its deployment."""
    assert [n for n, p in TEMPLATE["Parameters"].items() if "Default" not in p] == ["PassedRoleArns"]
    assert '"none"' in str(refused_by(TEMPLATE["Parameters"]["PassedRoleArns"], ""))


@pytest.mark.parametrize(
    ("partition", "console"),
    [
        ("aws", "console.aws.amazon.com"),
        ("aws-cn", "console.amazonaws.cn"),
        ("aws-us-gov", "console.amazonaws-us-gov.com"),
        ("aws-of-tomorrow", "console.aws.amazon.com"),
    ],
)
def test_the_dashboards_address_is_that_of_its_partition(partition: str, console: str) -> None:
    there = Filled(TEMPLATE, {}, PSEUDO | {"AWS::Partition": partition})
    assert there.output("Dashboard").startswith(f"https://{console}/cloudwatch/home?region=")
    assert TEMPLATE_TEXT.count("https://console") == 0, "an address that is fixed"


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


DRAINS = {
    "DrainOnSpotInterruption": "SpotInterruptionRule",
    "DrainOnRebalance": "RebalanceRule",
    "DrainOnTermination": "TerminationRule",
}


@pytest.mark.parametrize("asked_for", [*([name] for name in DRAINS), list(DRAINS), []])
def test_the_queue_of_failed_events_takes_from_the_rules_there_are(asked_for: list[str]) -> None:
    filled = Filled(TEMPLATE, dict.fromkeys(asked_for, "yes"))
    policy = filled.resource("FailedEventsPolicy")
    senders = [
        one["Condition"]["ArnEquals"]["aws:SourceArn"]
        for one in policy["PolicyDocument"]["Statement"]
        if one["Effect"] == "Allow"
    ]
    rules = [f"${{{DRAINS[name]}.Arn}}" for name in asked_for]
    assert senders == ([rules] if rules else [])
    there = [name for name in DRAINS.values() if filled.resource(name) is not None]
    assert there == [DRAINS[name] for name in asked_for]


def test_every_exception_from_a_check_has_its_reason_beside_it() -> None:
    skips = [
        skip
        for resource in TEMPLATE["Resources"].values()
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", [])
    ]
    assert skips
    for skip in skips:
        assert len(skip["comment"]) > 30, skip
