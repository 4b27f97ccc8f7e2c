"""The commands of docs/operations.md and of the runbook, taken from the pages and run against the
local AWS. It has one log line an invocation, with all that AWS has as lines of their own: what a filter
pattern lets through is not seen here, only that it is taken (test_quotes.py knows its fields).
"""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any, Iterator

import pytest

from container import eventually
from deployment import STACK, Deployment, deploy
from pages import blocks, pages, section
from scenario import CONFIG, prepare
from shell import Terminal, opened
from stack import CLUSTER, REGION, SCALER, Stack, built_binary, local_aws

BINARY = built_binary()
PAGE = pages()["docs/operations.md"]
PAUSE = "How do I pause a worker, or all of them?"
ROLL_BACK = "How do I roll back an image, a configuration, the scaler?"
TICK = {"dryRun": False}

# Sections that tell, and ask nothing.
NOT_ASKED = ("What wakes it", "What it may do", "Metrics and the log")

# What no emulator here has. test_commands.py holds it to the CLI's parser.
MOVE = "sqs start-message-move-task"
NOT_EMULATED = (MOVE, "service-quotas list-service-quotas")

DONE = 'aws cloudformation wait stack-update-complete --stack-name "$STACK"'


@pytest.fixture(scope="module")
def deployed() -> Iterator[Deployment]:
    """The stack without its schedule, so that nothing but a test makes a tick. The worker is found by
    its queue's tags, and looked for at every tick."""
    with local_aws() as stack:
        prepare(stack)
        config = copy.deepcopy(CONFIG)
        config |= {"discover": {"tag": SCALER}, "configRefresh": "0s", "workers": []}
        tags = {SCALER: "true", f"{SCALER}:task-definition": "thumbnail"}
        tags |= {f"{SCALER}:messages-per-container": "1", f"{SCALER}:max-containers-per-task": "4"}
        tags |= {f"{SCALER}:strategy": "dense"}
        sqs = stack.client("sqs")
        sqs.tag_queue(QueueUrl=url(stack, "thumbnail"), Tags=tags)
        # Where a person's terminal can read it, too.
        stack.client("ssm").put_parameter(Name="/scaler/live", Value=json.dumps(config), Type="String")
        parameters = {"ScheduleState": "DISABLED", "ScalerName": SCALER, "DiscoverQueues": "yes"}
        parameters |= {"ScalerConfig": "ssm:/scaler/live"}
        yield deploy(stack, BINARY, config, **parameters)


@pytest.fixture(scope="module")
def terminal(deployed: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    return opened(tmp_path_factory.mktemp("terminal"), deployed.stack, STACK)


@pytest.fixture(autouse=True)
def nothing_runs(deployed: Deployment) -> Iterator[None]:
    """Before each test: no message, no task."""
    stack = deployed.stack
    yield
    stack.client("sqs").purge_queue(QueueUrl=url(stack, "thumbnail"))
    stop_tasks(stack)


def stop_tasks(stack: Stack) -> None:
    for task in stack.tasks():
        stack.client("ecs").stop_task(cluster=CLUSTER, task=task["taskArn"])


def url(stack: Stack, queue: str) -> str:
    return str(stack.client("sqs").get_queue_url(QueueName=queue)["QueueUrl"])


def tick(deployed: Deployment, **event: Any) -> dict[str, Any]:
    """The worker's part of the result."""
    answer = deployed.stack.client("lambda").invoke(
        FunctionName=deployed.outputs["ScalerFunction"], Payload=json.dumps(TICK | event)
    )
    payload = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, payload
    [worker] = [worker for worker in payload["workers"] if worker["worker"] == "thumbnail"]
    return dict(worker)


def tags(deployed: Deployment) -> dict[str, str]:
    stack = deployed.stack
    return dict(stack.client("sqs").list_queue_tags(QueueUrl=url(stack, "thumbnail"))["Tags"])


def state(deployed: Deployment, name: str) -> str:
    """A parameter's value."""
    [stack] = deployed.stack.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    return str({p["ParameterKey"]: p["ParameterValue"] for p in stack["Parameters"]}[name])


def families(deployed: Deployment) -> set[str]:
    ecs = deployed.stack.client("ecs")
    return set(ecs.list_task_definition_families(status="ACTIVE")["families"])


def test_every_question_has_a_command_and_a_test() -> None:
    headings = re.findall(r"^## (.+)$", PAGE, re.M)
    asked = [heading for heading in headings if heading not in NOT_ASKED]
    assert len(asked) == len(headings) - len(NOT_ASKED) >= 15
    assert [heading for heading in asked if not blocks(section(PAGE, heading), "sh")] == []
    here = Path(__file__).read_text()
    assert [heading for heading in asked if f'"{heading}"' not in here] == []


def test_why_nothing_was_started_is_told(deployed: Deployment, terminal: Terminal) -> None:
    deployed.stack.send("thumbnail", 30)
    assert tick(deployed)["outcome"] == "launched"
    deployed.stack.send("thumbnail", 10)
    planned, *_ = told = terminal.type_block("Why was nothing started?").split("thumbnail launched")
    assert "40 visible + 0 in flight = 40; / 1 per container" in " ".join(planned.split())
    assert len(told) > 1, "what was decided"
    assert "TASK" in told[-1] and "no dead letters in thumbnail-dead" in told[-1], "and what there is"


def test_all_workers_are_watched(terminal: Terminal) -> None:
    """`top` asks for a terminal here, which test_shells.py gives it, and test_console.py opens the page."""
    lines = blocks(section(PAGE, "How do I watch all workers?"), "sh")[0].splitlines()
    top, console = [line.split("#")[0].strip() for line in lines]
    assert "`status --watch 5` reads the same again and again" in terminal.type(f"! {top} 2>&1")
    script = f"{console} > where & sleep 8; pkill -P $! queue-scaler; wait || true; cat where; rm where"
    assert terminal.type(script).startswith("http://127.0.0.1:7788/#k=")


def test_a_worker_is_paused_and_goes_on(deployed: Deployment, terminal: Terminal) -> None:
    deployed.stack.send("thumbnail", 1)
    by_tag, back = 1, 2
    terminal.type_block(PAUSE, by_tag)
    paused = tick(deployed)
    assert (paused["outcome"], paused["waitsFor"]) == ("paused", ["paused"])
    assert deployed.stack.tasks() == []
    terminal.type_block(PAUSE, back)
    assert f"{SCALER}:paused" not in tags(deployed)
    assert tick(deployed)["outcome"] == "launched"


def test_all_workers_are_paused_by_a_parameter(deployed: Deployment, terminal: Terminal) -> None:
    """The page's block ends with the schedule on again."""
    off, on = blocks(section(PAGE, PAUSE), "sh")[3].rsplit("\n", 2)[:2]
    terminal.type(f"{on}\n{DONE}")
    terminal.type(off)
    others = (state(deployed, "ScalerName"), state(deployed, "DiscoverQueues"))
    assert (state(deployed, "ScheduleState"), *others) == ("DISABLED", SCALER, "yes")


def test_all_workers_are_paused_by_force(deployed: Deployment, terminal: Terminal) -> None:
    function, awslambda = deployed.outputs["ScalerFunction"], deployed.stack.client("lambda")

    def concurrency() -> int:
        found = awslambda.get_function_concurrency(FunctionName=function)
        return int(found["ReservedConcurrentExecutions"])

    block = blocks(section(PAGE, PAUSE), "sh")[4]
    off, on = re.split(r"(?<=0)\n", block, maxsplit=1)
    terminal.type(off)
    assert concurrency() == 0
    terminal.type(on)
    assert concurrency() == 1


def test_a_task_is_stopped_and_replaced(deployed: Deployment, terminal: Terminal) -> None:
    deployed.stack.send("thumbnail", 2)
    assert tick(deployed)["outcome"] == "launched"
    [task] = deployed.stack.tasks()
    [block] = blocks(section(PAGE, "How do I stop a task?"), "sh")
    identity, asked = task["taskArn"].rpartition("/")[2], 'noon"'
    assert "0f3c1a2b" in block and block.count(asked) == 1
    # Nobody is there to be asked.
    terminal.type(block.replace("0f3c1a2b", identity[:8]).replace(asked, f"{asked} --yes"))
    assert deployed.stack.tasks() == []
    assert tick(deployed)["outcome"] == "launched"
    [other] = deployed.stack.tasks()
    assert other["taskArn"] != task["taskArn"]


def test_five_are_run_and_counted(deployed: Deployment, terminal: Terminal) -> None:
    by_command, by_hand = 0, 1
    terminal.type_block("How do I run five now?", by_command)
    counted = tick(deployed)
    assert (counted["alive"]["containers"], counted["launched"]) == (5, [])
    stop_tasks(deployed.stack)
    deployed.stack.send("thumbnail", 5)
    terminal.type_block("How do I run five now?", by_hand)
    assert len(deployed.stack.tasks()) == 5
    counted = tick(deployed)
    assert (counted["alive"]["containers"], counted["launched"]) == (5, [])


def test_the_scaler_is_renamed(deployed: Deployment, terminal: Terminal) -> None:
    terminal.type_block("How do I rename a worker, a cluster, the scaler?")
    assert state(deployed, "ScalerName") == "shop-scaler"
    assert state(deployed, "ScheduleState") == "DISABLED"
    terminal.type(f"parameter ScalerName {SCALER}")


def test_an_image_is_rolled_back(deployed: Deployment, terminal: Terminal) -> None:
    ecs = deployed.stack.client("ecs")
    good = ecs.describe_task_definition(taskDefinition="thumbnail")["taskDefinition"]
    bad = ecs.register_task_definition(
        family="thumbnail", containerDefinitions=[{"name": "worker", "image": "worker:2"}]
    )["taskDefinition"]
    assert (good["revision"], bad["revision"]) == (1, 2)
    terminal.type_block(ROLL_BACK, 0)
    active = ecs.list_task_definitions(familyPrefix="thumbnail", status="ACTIVE")["taskDefinitionArns"]
    assert [arn for arn in active if "/thumbnail:" in arn] == [good["taskDefinitionArn"]]
    # Of a family the emulator describes the newest revision, ACTIVE or not; ECS the newest ACTIVE one.
    kept = ("family", "networkMode", "requiresCompatibilities", "cpu", "memory", "containerDefinitions")
    ecs.register_task_definition(**{key: good[key] for key in kept})


def test_a_configuration_is_rolled_back(deployed: Deployment, terminal: Terminal) -> None:
    ssm, s3 = deployed.stack.client("ssm"), deployed.stack.client("s3")
    s3.create_bucket(Bucket="our-config")
    s3.put_bucket_versioning(
        Bucket="our-config", VersioningConfiguration={"Status": "Enabled"}
    )
    for text in ("good", "bad"):
        ssm.put_parameter(Name="/scaler/workers", Value=text, Type="String", Overwrite=True)
        s3.put_object(Bucket="our-config", Key="workers.yaml", Body=text.encode())
    terminal.type_block(ROLL_BACK, 1)
    parameter = ssm.get_parameter(Name="/scaler/workers")["Parameter"]
    assert (parameter["Value"], parameter["Version"], parameter["Type"]) == ("good", 3, "String")
    terminal.type_block(ROLL_BACK, 2)
    assert s3.get_object(Bucket="our-config", Key="workers.yaml")["Body"].read() == b"good"


def test_the_version_is_told(deployed: Deployment, terminal: Terminal) -> None:
    tick(deployed)
    told = terminal.type_block("How do I upgrade, and what is registered anew?")
    assert re.search(r'"tick done: .*"version":"\d+\.\d+\.\d+"', told)


def test_a_workers_tasks_are_found(deployed: Deployment, terminal: Terminal) -> None:
    """And what the table says of them is so."""
    stack, heading = deployed.stack, "Which tasks are a worker's?"
    stack.send("thumbnail", 2)
    tick(deployed)
    [task] = stack.tasks()
    stranger = stack.client("ecs").run_task(
        cluster=CLUSTER, taskDefinition="export", startedBy=SCALER, group="worker:export"
    )["tasks"][0]
    found, end = json.JSONDecoder().raw_decode(shown := terminal.type_block(heading))
    identity = task["taskArn"].rpartition("/")[2]
    assert [entry["task"] for entry in found["alive"]] == [identity]
    assert identity in shown[end:] and stranger["taskArn"].rpartition("/")[2] not in shown
    told = section(PAGE, heading)
    carried = {tag["key"] for tag in task["tags"]}
    listed = set(re.findall(r"`(ecs-queue-scaler:[a-z-]+)`", told))
    of_revisions = {f"{SCALER}:digest", f"{SCALER}:base-revision"}
    assert carried <= listed and f"{SCALER}:worker" in carried
    revision = stack.client("ecs").describe_task_definition(
        taskDefinition=task["taskDefinitionArn"], include=["TAGS"]
    )
    assert {tag["key"] for tag in revision["tags"]} == of_revisions <= listed


def test_derived_revisions_are_removed(deployed: Deployment, terminal: Terminal) -> None:
    """That ECS refuses an INACTIVE one, which is then registered again, is for tests/it: the emulator
    runs it all the same."""
    deployed.stack.send("thumbnail", 2)
    tick(deployed)
    assert "thumbnail--x2" in families(deployed)
    by_command, by_hand = 0, 1
    terminal.type_block("How do I remove derived revisions?", by_command)
    assert "thumbnail--x2" in families(deployed), "a task runs it"
    stop_tasks(deployed.stack)
    deployed.stack.client("sqs").purge_queue(QueueUrl=url(deployed.stack, "thumbnail"))
    terminal.type_block("How do I remove derived revisions?", by_hand)
    assert families(deployed) == {"thumbnail", "export"}


def test_dead_letters_are_found(deployed: Deployment, terminal: Terminal) -> None:
    """Moving them is not emulated: what the command would be given is looked at."""
    deployed.stack.create_queue("thumbnail-dead-letters")
    [block] = blocks(section(PAGE, "How do I move dead letters back?"), "sh")
    given = re.search(r'--source-arn \\\n  "(\$\(.*\))"\n', block, re.S)
    assert given and f"aws {MOVE}" in block
    arn = attributes(deployed.stack, "thumbnail-dead-letters")["QueueArn"]
    assert terminal.type(f'echo "{given[1]}"').strip() == arn


def attributes(stack: Stack, queue: str) -> dict[str, str]:
    sqs = stack.client("sqs")
    found = sqs.get_queue_attributes(QueueUrl=url(stack, queue), AttributeNames=["All"])
    return dict(found["Attributes"])


def test_queues_tell_what_they_are(deployed: Deployment, terminal: Terminal) -> None:
    sqs = deployed.stack.client("sqs")
    sqs.create_queue(QueueName="thumbnail.fifo", Attributes={"FifoQueue": "true"})
    fifo = json.loads(terminal.type_block("What is different with FIFO queues?"))
    assert fifo["Attributes"]["ApproximateNumberOfMessages"] == "0"
    sqs.set_queue_attributes(
        QueueUrl=url(deployed.stack, "thumbnail"), Attributes={"KmsMasterKeyId": "alias/ours"}
    )
    encrypted = json.loads(terminal.type_block("What does an encrypted queue need?"))
    assert encrypted["KmsMasterKeyId"] == "alias/ours"


def test_another_account_is_let_in(deployed: Deployment, terminal: Terminal) -> None:
    terminal.type_block("How is a queue of another account served?")
    [statement] = json.loads(attributes(deployed.stack, "thumbnail")["Policy"])["Statement"]
    assert "111122223333" in json.dumps(statement["Principal"])
    assert {action.split(":")[1] for action in statement["Action"]} == {
        "GetQueueAttributes",
        "GetQueueUrl",
    }


def test_every_regions_stack_is_seen(deployed: Deployment, terminal: Terminal) -> None:
    topic = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
    for region in ("eu-central-1", "eu-west-1"):
        terminal.type(
            f"aws cloudformation create-stack --region {region} --stack-name {STACK} "
            f"--template-body '{json.dumps(topic)}'\n"
            f"aws cloudformation wait stack-create-complete --region {region} --stack-name {STACK}"
        )
    told = terminal.type_block("How are several Regions served?")
    assert told.splitlines() == [f"{STACK}\tCREATE_COMPLETE"] * 2
    assert REGION not in section(PAGE, "How are several Regions served?")


def test_the_runbook_runs(deployed: Deployment, terminal: Terminal) -> None:
    """Each page from top to bottom, while a task runs and another one has ended."""
    stack = deployed.stack
    stack.create_queue("thumbnail-jobs")  # a queue's name on a page
    stack.send("thumbnail", 2)
    tick(deployed)
    stop_tasks(stack)
    tick(deployed)
    terminal.type(f"parameter ScheduleState ENABLED\n{DONE}")  # or there is no alarm to silence
    told = {}
    for page, text in pages().items():
        if page.startswith("docs/alarms/"):
            known = [b for b in blocks(text, "sh") if not any(name in b for name in NOT_EMULATED)]
            told[page] = terminal.type("\n".join(b for b in known if "# yours" not in b))
    assert "UserInitiated" in told["docs/alarms/breaker-open.md"]
    assert '"ENABLED"' in told["docs/alarms/no-tick.md"]
    assert '"dryRun": true' in told["docs/alarms/no-tick.md"]
    everywhere = "".join(pages().values())
    assert [name for name in NOT_EMULATED if f"aws {name}" not in everywhere] == []


def test_everything_is_removed_and_tasks_stay(deployed: Deployment, terminal: Terminal) -> None:
    """The last test of this file: there is no stack after it."""
    stack = deployed.stack
    stack.send("thumbnail", 1)
    tick(deployed)
    terminal.type_block("How do I remove everything, and what stays behind?")
    functions = stack.client("lambda")
    eventually(lambda: not functions.list_functions()["Functions"] or None)
    logs = stack.client("logs").describe_log_groups()["logGroups"]
    assert deployed.outputs["Logs"] not in [group["logGroupName"] for group in logs]
    assert len(stack.tasks()) == 1
