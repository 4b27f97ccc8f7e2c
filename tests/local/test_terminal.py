"""`queue-scaler` as a person runs it: the real program against a local AWS with real queues."""

from __future__ import annotations

import json
import os
import pty
import resource
import select
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from scenario import CONFIG, observed
from stack import REGION, SCALER, Stack, built_binary

QUEUE_SCALER = built_binary().with_name("queue-scaler")

DONE, FAILED, WRONG_USE, PENDING = 0, 1, 2, 3


def run(stack: Stack | None, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """The program, as nothing but its arguments and the environment tell it."""
    where = ["--endpoint-url", stack.endpoint, "--region", REGION] if stack else []
    command = [str(QUEUE_SCALER), arguments[0], *where, *arguments[1:]]
    environment = os.environ | more
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)


@pytest.fixture()
def workers(tmp_path: Path) -> str:
    path = tmp_path / "workers.yaml"
    path.write_text(json.dumps(CONFIG))
    return str(path)


def test_a_plan_says_what_the_function_then_does(stack: Stack, workers: str, tmp_path: Path) -> None:
    stack.send("thumbnail", 5)
    asked = ("plan", "--name", SCALER, "--config", workers, "--detailed-exitcode")
    saved = tmp_path / "plan.json"
    planned = run(stack, *asked, "--json", "--save", str(saved))
    assert planned.returncode == PENDING, planned.stderr
    assert "--remote" in planned.stderr, "what it cannot know is not data"
    plan = json.loads(planned.stdout)
    assert json.loads(saved.read_text()) == plan
    [thumbnail] = [worker for worker in plan["workers"] if worker["worker"] == "thumbnail"]
    assert thumbnail["depth"]["visible"] == 5

    shown = run(stack, *asked)
    assert shown.returncode == PENDING
    assert shown.stdout.startswith(f"{SCALER}, {REGION}, configuration\nfile:{workers}"), shown.stdout
    assert "\x1b" not in shown.stdout, "no colours where there is no terminal"
    assert "\x1b[" in run(stack, *asked, "--color", "always").stdout
    again = run(None, "plan", "--from", str(saved))
    assert again.returncode == DONE
    assert again.stdout.splitlines()[2:] == shown.stdout.splitlines()[2:]

    remote = run(stack, "plan", "--function", SCALER, "--remote", "--json")
    assert remote.returncode == DONE, remote.stderr
    [of_function] = [w for w in json.loads(remote.stdout)["workers"] if w["worker"] == "thumbnail"]
    assert of_function["launched"] == thumbnail["launched"]

    tick = observed(stack, minute=0)
    started = sum(launched["count"] for launched in thumbnail["launched"])
    assert started == len([task for task in tick.tasks if "thumbnail" in task["group"]])
    after = run(stack, *asked)
    assert after.returncode == DONE, after.stdout
    assert "none of 2 workers launches anything" in after.stdout
    seen = run(stack, "status", "--name", SCALER, "--config", workers, "--json")
    [row] = [w for w in json.loads(seen.stdout)["workers"] if w["worker"] == "thumbnail"]
    assert (row["waiting"], row["tasks"], row["launches"]) == (5, started, 0), seen.stderr
    table = run(stack, "status", "--name", SCALER, "--config", workers)
    assert table.returncode == DONE and table.stdout.startswith("WORKER"), table.stderr
    wrong = run(stack, "plan", "--name", "another", "--config", workers)
    assert f"`{SCALER}` has started" in wrong.stdout, "the wrong name is noticed"


def test_a_plan_is_applied_by_the_function_and_not_beside_it(stack: Stack, workers: str) -> None:
    stack.send("thumbnail", 2)
    here = run(stack, "apply", "--yes", "--name", SCALER, "--config", workers)
    assert here.returncode == FAILED and "--function, so that it is asked" in here.stderr, here.stderr
    unasked = run(stack, "apply", "--function", SCALER)
    assert unasked.returncode == WRONG_USE and "--yes" in unasked.stderr
    said_no = answered("no", stack, "apply", "--function", SCALER)
    assert said_no.returncode == FAILED and "nothing was started" in said_no.stdout, said_no.stdout
    before = len(stack.tasks())
    said_yes = answered("yes", stack, "apply", "--function", SCALER, "--worker", "thumbnail")
    assert said_yes.returncode == DONE, said_yes.stdout
    started = len(stack.tasks()) - before
    assert 0 < started and f"started in {started} task" in said_yes.stdout, said_yes.stdout
    nothing = run(stack, "apply", "--yes", "--function", SCALER, "--json")
    assert nothing.returncode == DONE and nothing.stdout == "", "the plan is beside what was asked for"
    assert "none of 2 workers launches anything" in nothing.stderr, nothing.stderr


def test_a_saved_plan_is_derived_again(stack: Stack, workers: str, tmp_path: Path) -> None:
    stack.send("thumbnail", 1)
    saved = tmp_path / "plan.json"
    by_name = ("--name", SCALER, "--config", workers)
    assert run(stack, "plan", *by_name, "--save", str(saved)).returncode == DONE
    explained = run(None, "explain", "thumbnail", "--from", str(saved))
    assert explained.returncode == DONE, explained.stderr
    assert "the same as was logged" in explained.stdout, explained.stdout


def test_what_is_not_in_the_account_is_said(stack: Stack, tmp_path: Path) -> None:
    """What the emulator has not, such as quotas, is `?`, and is not called wrong."""
    path = tmp_path / "workers.yaml"
    config = json.loads(json.dumps(CONFIG))
    config["workers"][0]["container"] = "no-such"
    path.write_text(json.dumps(config))
    checked = run(stack, "validate", "--aws", str(path), "--name", SCALER)
    said = " ".join(checked.stdout.split())
    assert checked.returncode == FAILED, checked.stderr
    assert "thumbnail wrong container `no-such` is not in the task definition, which has `worker`" in said, said
    assert said.count("wrong there is no subnet subnet-0a1b2c3d") == 2, said
    assert "export ? the quota of Fargate On-Demand is not checked" in said, said
    assert "2 workers: 2 wrong." in said and "export wrong container" not in said, said


def test_no_room_is_said_in_words(stack: Stack) -> None:
    asked = ("start", "--cluster", "jobs", "--task-definition", "export", "--yes")
    nowhere = run(stack, *asked, "--subnet", "subnet-1")
    assert nowhere.returncode == FAILED, nowhere.stderr
    assert nowhere.stderr.startswith("! no instance has room for a task of export:1"), nowhere.stderr
    assert nowhere.stdout == "" and "\ufffd" not in nowhere.stderr + nowhere.stdout


def test_a_day_with_the_other_commands(stack: Stack, workers: str, tmp_path: Path) -> None:
    """From a tick that is explained to tasks that are stopped, by the real program."""
    stack.send("thumbnail", 1)
    result = tmp_path / "result.json"
    result.write_text(json.dumps(stack.invoke({"dryRun": True}).payload))
    explained = run(None, "explain", "thumbnail", "--from", str(result), "--set", "scaling.maxContainers=1")
    assert explained.returncode == DONE, explained.stderr
    assert "the same as was logged" in explained.stdout and "with             scaling.maxContainers=1" in explained.stdout
    wrong = run(None, "explain", "--from", workers)
    assert wrong.returncode == FAILED and "no line of a worker" in wrong.stderr
    future = run(stack, "explain", "--function", SCALER, "--at", "2999-01-01T00:00Z")
    assert future.returncode == WRONG_USE and "still to come" in future.stderr

    by_function = ("--function", SCALER)
    ran = run(stack, "run", "thumbnail", "--containers", "40", "--yes", *by_function)
    assert "thumbnail" in ran.stdout and ran.returncode in (DONE, FAILED), ran.stderr
    paste = run(stack, "pause", "thumbnail", "--why", "a test", *by_function)
    assert (paste.returncode, paste.stdout) == (DONE, '    paused: {why: "a test"}\n'), paste.stderr

    mine = [task for task in stack.tasks() if task["group"] == "worker:thumbnail"]
    stopped = run(stack, "stop", "thumbnail", "--all", "--yes", "--reason", "a test", *by_function)
    assert stopped.returncode == DONE, stopped.stderr
    assert f"stopped {len(mine)} task" in stopped.stdout and "queue-scaler: a test" in stopped.stdout
    assert [task for task in stack.tasks() if task["group"] == "worker:thumbnail"] == []
    nothing = run(stack, "stop", "thumbnail", "--all", "--yes", *by_function)
    assert nothing.returncode == FAILED and "no task that could be stopped" in nothing.stderr
    cleaned = run(stack, "clean", *by_function)
    assert cleaned.returncode == DONE and "needed" in cleaned.stdout, cleaned.stderr


def test_a_select_is_asked_of_what_is_there(stack: Stack, workers: str, tmp_path: Path) -> None:
    """By the real program, with a disk that is full: no file may be larger than a few bytes."""
    stack.send("thumbnail", 1)
    saved = tmp_path / "tables.db"
    select_of = "SELECT worker, name, visible FROM queues WHERE worker = 'thumbnail'"
    asked = ("query", select_of, "--name", SCALER, "--config", workers)
    rows = run(stack, *asked, "--json", "--save", str(saved))
    assert rows.returncode == DONE, rows.stderr
    answer = json.loads(rows.stdout)
    assert (answer["schema"], answer["missing"]) == ("queue-scaler.query", [])
    [row] = answer["rows"]
    assert row["worker"] == "thumbnail" and 0 < row["visible"]
    with closing(sqlite3.connect(saved)) as database:
        assert database.execute(select_of).fetchall() == [tuple(row[name] for name in ("worker", "name", "visible"))]
    line = f"{row['worker']},{row['name']},{row['visible']}\n"
    assert run(stack, *asked, "--csv").stdout == "worker,name,visible\n" + line

    unread = json.loads(Path(workers).read_text())
    [worker] = [it for it in unread["workers"] if it["name"] == "thumbnail"]
    worker["queue"] = "no-such-queue"
    broken = tmp_path / "broken.yaml"
    broken.write_text(json.dumps(unread))
    rows = run(stack, *asked[:-1], str(broken), "--csv")
    assert (rows.returncode, rows.stdout) == (FAILED, "worker,name,visible\n"), "it is not nothing"
    assert "the queue of thumbnail is missing: " in rows.stderr, rows.stderr
    broken.unlink()

    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    ended = run(stack, "query", endless, *asked[2:])
    assert (ended.returncode, ended.stdout) == (FAILED, "") and "longer than 5 s" in ended.stderr, ended.stderr

    command = [str(QUEUE_SCALER), *asked, "--save", str(tmp_path / "full.db")]
    full = subprocess.run(
        [*command, "--endpoint-url", stack.endpoint, "--region", REGION],
        capture_output=True,
        text=True,
        timeout=60,
        restore_signals=False,  # as a write that fails, not as a signal
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
    )
    assert (full.returncode, full.stdout) == (FAILED, ""), full.stderr
    assert full.stderr.startswith("cannot write `") and "full.db`: " in full.stderr, full.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tables.db", "workers.yaml"]


def answered(answer: str, stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The program on a terminal on which somebody types."""
    where = ["--endpoint-url", stack.endpoint, "--region", REGION]
    command = ["timeout", "60", str(QUEUE_SCALER), arguments[0], *where, *arguments[1:]]
    leader, follower = pty.openpty()
    with subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower) as asking:
        os.close(follower)
        shown, is_answered = b"", False
        while select.select([leader], [], [], 60)[0]:
            try:
                read = os.read(leader, 4096)
            except OSError:  # the other side is closed
                break
            shown += read
            if not read:
                break
            if b"Type `yes`" in shown and not is_answered:
                os.write(leader, f"{answer}\n".encode())
                is_answered = True
    os.close(leader)
    return subprocess.CompletedProcess(command, asking.returncode, shown.decode(), "")


def test_what_a_person_does_wrong_is_said_with_what_to_do(stack: Stack, workers: str) -> None:
    def said(*arguments: str, **more: str) -> tuple[int, str]:
        ended = run(stack, *arguments, **more)
        assert ended.stdout == ""
        return ended.returncode, ended.stderr

    code, text = said("plan", "--config", "no-such.yaml")
    assert code == WRONG_USE and "cannot read `no-such.yaml`" in text and "--config" in text
    code, text = said("plan", "--function", SCALER, "--remote", "--config", workers)
    assert code == WRONG_USE, "it would plan another configuration"
    code, text = said("plan", "--config", workers, "--worker", "thumbnial")
    assert code == FAILED and "did you mean `thumbnail`?" in text
    code, text = said("plan", "--function", "no-such")
    assert code == FAILED and "GetFunctionConfiguration of no-such failed" in text
    code, text = said("plan", "--function", SCALER, "--name", "x")
    assert code == WRONG_USE and "cannot be used with" in text
    code, text = said("plan", "--remote")
    assert code == WRONG_USE and "--function" in text
    code, text = said("plan", "--from", workers)
    assert code == WRONG_USE and "cannot be used with" in text, "it asks nothing of AWS"
    ended = run(None, "plan", "--from", workers)
    assert ended.returncode == WRONG_USE and "it is no plan" in ended.stderr


def test_without_a_region_or_credentials_it_says_what_is_missing(workers: str) -> None:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    bare |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    bare |= {"AWS_EC2_METADATA_DISABLED": "true"}
    command = [str(QUEUE_SCALER), "plan", "--config", workers]
    ended = subprocess.run(command, capture_output=True, text=True, env=bare, timeout=60)
    assert ended.returncode == WRONG_USE
    assert "set AWS_REGION" in ended.stderr
    ended = subprocess.run(
        [*command, "--region", REGION], capture_output=True, text=True, env=bare, timeout=60
    )
    assert "no AWS credentials" in ended.stdout + ended.stderr


def test_whoever_has_read_enough_ends_nothing_badly(stack: Stack, workers: str) -> None:
    command = f"'{QUEUE_SCALER}' plan --all --config '{workers}' --region {REGION}"
    command += f" --endpoint-url {stack.endpoint} 2> /dev/null | head -n 1"
    ended = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (DONE, "")


def test_a_watched_status_is_a_line_each_time(stack: Stack, workers: str) -> None:
    where = ["--endpoint-url", stack.endpoint, "--region", REGION, "--name", SCALER]
    command = [str(QUEUE_SCALER), "status", "--watch", "5", "--config", workers, *where]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout
        lines = [json.loads(watching.stdout.readline()) for _ in range(2)]
        # A shell's background job, as CI may be one, has Ctrl-C ignored.
        watching.terminate()
        assert watching.wait(timeout=10) == -signal.SIGTERM
    assert [line["schema"] for line in lines] == ["queue-scaler.status"] * 2
    assert lines[0]["at"] < lines[1]["at"]
    assert run(stack, "status", "--watch", "1").returncode == WRONG_USE, "ECS's rates are the function's, too"


def test_a_terminal_is_redrawn(stack: Stack, workers: str) -> None:
    where = f"--endpoint-url {stack.endpoint} --region {REGION} --name {SCALER}"
    command = f"stty cols 100; '{QUEUE_SCALER}' status --watch 5 --all --config '{workers}' {where}"
    leader, follower = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "NO_COLOR": "1"}
    shell = ["timeout", "60", "bash", "-c", command]
    with subprocess.Popen(shell, stdin=follower, stdout=follower, env=environment) as watching:
        os.close(follower)
        shown = b""
        while shown.count(b"\x1b[2J") < 2 and select.select([leader], [], [], 30)[0]:
            shown += os.read(leader, 4096)
        watching.terminate()
    os.close(leader)
    page = shown.split(b"\x1b[2J")[1].decode()
    assert page.lstrip().startswith("WORKER") and "2 workers: 2 shown" in page, page
