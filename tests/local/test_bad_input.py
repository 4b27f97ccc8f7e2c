"""What goes wrong around `queue-scaler`, as a person meets it: files that are none, profiles whose credentials
have ended, another Region, a clock that is off, hundreds of workers, Ctrl-C, a full disk."""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from between import Answer, Conversation, Held, between, refused
from moto_stack import MotoStack
from scenario import CONFIG, DEFINITIONS
from screen import CTRL_C, QUEUE_SCALER, screen
from stack import CLUSTER, CREDENTIALS, REGION, Stack

DONE, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130

# The most that a reading command takes, whatever AWS does.
LONGEST = 15

OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What a terminal would obey."""


def run(*arguments: str, folder: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    """The program, which ends orderly, and obeys nobody whose text it shows."""
    return ended(*arguments, folder=folder, environment=os.environ | more)


def ended(
    *arguments: str, environment: Mapping[str, str], folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    came = subprocess.run(
        [QUEUE_SCALER, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    said = came.stdout + came.stderr
    assert "panicked" not in said and not OBEYED.search(said), said
    return came


def at(endpoint: str, region: str = REGION) -> tuple[str, ...]:
    return ("--endpoint-url", endpoint, "--region", region)


def one_line(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture()
def workers(tmp_path: Path) -> str:
    return written(tmp_path / "workers.yaml", json.dumps(CONFIG))


def written(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


# Credentials.

NOWHERE = "http://127.0.0.1:9"
"""Where nobody answers: without credentials nobody is asked."""

PROFILES = """
[profile work]
sso_session = company
sso_account_id = 123456789012
sso_role_name = Developer
region = us-east-1
[sso-session company]
sso_start_url = https://company.awsapps.com/start
sso_region = us-east-1
[profile keys]
aws_access_key_id = AKIAOFPROFILE
aws_secret_access_key = secret
region = eu-west-3
[profile process]
credential_process = {process}
region = us-east-1
"""


@dataclass(frozen=True)
class Home:
    """Of somebody who has profiles, and a program that gives credentials."""

    folder: Path

    def environment(self, **more: str) -> dict[str, str]:
        own = {"HOME": str(self.folder), "AWS_CONFIG_FILE": str(self.folder / "config")}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return kept | own | {"AWS_EC2_METADATA_DISABLED": "true"} | more

    def sign_in_until(self, end: str) -> None:
        """What `aws sso login` leaves behind."""
        cache = self.folder / ".aws" / "sso" / "cache"
        cache.mkdir(parents=True)
        token = {"accessToken": "token", "expiresAt": end, "region": REGION}
        name = hashlib.sha1(b"company").hexdigest()
        (cache / f"{name}.json").write_text(json.dumps(token | {"startUrl": "https://company.awsapps.com/start"}))

    def process(self, script: str) -> None:
        path = self.folder / "process"
        path.write_text(f"#!/bin/sh\necho >> '{self.folder}/runs'\n{script}\n")
        path.chmod(0o755)

    def runs(self) -> int:
        return len((self.folder / "runs").read_text().splitlines())


@pytest.fixture()
def home(tmp_path: Path) -> Home:
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "config").write_text(PROFILES.format(process=folder / "process"))
    return Home(folder)


def printed(**more: str) -> str:
    """A script that prints credentials."""
    keys = {"Version": 1, "AccessKeyId": "AKIAOFPROCESS", "SecretAccessKey": "secret"}
    return f"echo '{json.dumps(keys | more)}'"


@pytest.mark.parametrize("was_signed_in", [True, False])
def test_who_is_signed_in_no_more_reads_how_to_do_it(home: Home, workers: str, was_signed_in: bool) -> None:
    if was_signed_in:
        home.sign_in_until("2020-01-01T00:00:00Z")
    for command in ("plan", "status"):
        asked = (command, "--config", workers, "--endpoint-url", NOWHERE)
        named = ended(*asked, "--profile", "work", environment=home.environment())
        assert (named.returncode, named.stdout) == (FAILED, ""), named.stderr
        [line] = named.stderr.splitlines()
        assert "aws sso login --profile work" in line and "profile `work`" in line, "once, and not a worker"
        by_variable = ended(*asked, environment=home.environment(AWS_PROFILE="work"))
        assert by_variable.returncode == FAILED
        assert "aws sso login (" in by_variable.stderr, by_variable.stderr


def test_a_profile_that_is_named_is_meant(stack: Stack, home: Home, workers: str) -> None:
    """Also where the environment has keys, as for the AWS CLI; a Region of the environment counts more."""
    keys = {"AWS_ACCESS_KEY_ID": "AKIAOFENVIRONMENT", "AWS_SECRET_ACCESS_KEY": "secret"}
    for more, signed in (
        ({}, "AKIAOFPROFILE eu-west-3"),
        (keys, "AKIAOFPROFILE eu-west-3"),
        (keys | {"AWS_REGION": REGION}, f"AKIAOFPROFILE {REGION}"),
    ):
        with between(stack.endpoint) as there:
            asked = ("plan", "--config", workers, "--endpoint-url", there.endpoint, "--profile", "keys")
            ended(*asked, environment=home.environment(**more))
            assert there.signed == {signed}
    typo = ("plan", "--config", workers, "--endpoint-url", NOWHERE, "--profile", "kyes")
    wrong = ended(*typo, environment=home.environment(**keys, AWS_REGION=REGION))
    assert (wrong.returncode, wrong.stdout) == (FAILED, ""), "never as somebody else"
    assert "profile `kyes`" in wrong.stderr and "not defined" in wrong.stderr, wrong.stderr
    unplaced = ended(*typo, environment=home.environment(**keys))
    assert "profile `kyes`" in unplaced.stderr, "before the Region that it would have named"


def test_a_process_gives_credentials_once(stack: Stack, home: Home, workers: str) -> None:
    home.process(printed())
    with between(stack.endpoint) as there:
        asked = ("status", "--config", workers, "--endpoint-url", there.endpoint, "--profile", "process")
        seen = ended(*asked, environment=home.environment())
        assert seen.returncode == DONE, seen.stderr
        assert there.signed == {f"AKIAOFPROCESS {REGION}"}
    assert home.runs() == 1


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo 'the vault is sealed' >&2; exit 3", "the vault is sealed"),
        (r"printf 'please log in \033[31m\n'", "could not parse"),
        (r"printf '\377\376'", "could not decode output as UTF-8"),
        ("exit 0", "could not parse"),
        (printed(SessionToken="token", Expiration="2020-01-01T00:00:00Z"), "ended at 2020-01-01T00:00:00Z"),
    ],
)
def test_a_process_that_gives_none_is_run_once_and_named(
    home: Home, workers: str, script: str, says: str
) -> None:
    home.process(script)
    asked = ("plan", "--config", workers, "--endpoint-url", NOWHERE, "--profile", "process")
    failed = ended(*asked, environment=home.environment())
    assert (failed.returncode, failed.stdout) == (FAILED, ""), failed.stderr
    [line] = failed.stderr.splitlines()
    assert "profile `process`" in line and says in line, line
    assert home.runs() == 1, "it may ask a person"


# Another Region, another time.


def test_where_nothing_is_the_region_is_named(stack: Stack, workers: str) -> None:
    elsewhere = at(stack.endpoint, "eu-west-3")
    for command in (("plan", "--config"), ("status", "--config"), ("validate", "--aws")):
        came = run(*command, workers, *elsewhere)
        said = one_line(came.stdout)
        assert came.returncode == FAILED, said
        assert "no queue of these workers is in eu-west-3" in said and "--region" in said, said
        assert "thumbnail" in said, said
        here = one_line(run(*command, workers, *at(stack.endpoint)).stdout)
        assert "no queue of these workers" not in here, here


def test_a_clock_that_is_off_is_corrected_by_the_answers(stack: Stack, workers: str) -> None:
    with between(stack.endpoint) as there:
        there.ahead = timedelta(minutes=10)
        refusals = []

        def within_five_minutes(call: Conversation) -> Answer | None:
            signed = datetime.strptime(call.headers["X-Amz-Date"] + "+0000", "%Y%m%dT%H%M%SZ%z")
            if abs(there.now() - signed) < timedelta(minutes=5):
                return None
            refusals.append(call.action)
            return refused("InvalidSignatureException", f"Signature expired: {signed} is now earlier than it may be")

        there.replies = within_five_minutes
        planned = run("plan", "--config", workers, *at(there.endpoint), "--detailed-exitcode")
    assert refusals, "the clock was checked"
    assert planned.returncode == DONE, planned.stdout + planned.stderr


@pytest.mark.parametrize(
    ("kind", "words", "is_of_time"),
    [
        (
            "InvalidSignatureException",
            "Signature expired: 20261121T210407Z is now earlier than 20261121T210907Z (20261121T211407Z - 5 min.)",
            True,
        ),
        (
            "SignatureDoesNotMatch",
            "Signature not yet current: 20261121T211407Z is still later than 20261121T210907Z (20261121T210407Z + 5 min.)",
            True,
        ),
        (
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
            True,
        ),
        (
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
            "Access Key and signing method. Consult the service documentation for details.",
            False,
        ),
    ],
)
def test_a_clock_that_stays_wrong_is_named_with_what_to_do(
    workers: str, kind: str, words: str, is_of_time: bool
) -> None:
    with between(NOWHERE) as there:
        there.replies = lambda _: refused(kind, words)
        held = run("plan", "--config", workers, *at(there.endpoint), **CREDENTIALS)
    assert held.returncode == FAILED
    said = one_line(held.stdout)
    assert one_line(words) in said, said
    assert ("the clock of this machine is wrong: set it" in said) == is_of_time, said


# Hundreds of workers.


@pytest.fixture()
def hundreds(tmp_path: Path) -> str:
    """Two whose queues are there, and 498 more."""
    first = CONFIG["workers"][0]
    others = [first | {"name": f"absent-{n}", "queue": f"absent-{n}"} for n in range(498)]
    return written(tmp_path / "hundreds.yaml", json.dumps(CONFIG | {"workers": CONFIG["workers"] + others}))


def test_five_hundred_workers_are_shown_in_time(stack: Stack, hundreds: str) -> None:
    by_hand = (hundreds, *at(stack.endpoint))
    began = time.monotonic()
    assert run("validate", hundreds).stdout == f"{hundreds}: valid, 500 workers\n"
    planned = run("plan", "--detailed-exitcode", "--config", *by_hand)
    seen = run("status", "--config", *by_hand)
    assert time.monotonic() - began < LONGEST
    assert planned.returncode == FAILED, "what could not be planned is not nothing to do"
    plan = one_line(planned.stdout)
    assert plan.count("QueueDoesNotExist") + plan.count("NonExistentQueue") == 498
    assert "none of 500 workers launches anything" in plan and "2 are idle" in plan, plan[-300:]
    assert seen.returncode == FAILED, seen.stderr
    rows = [line for line in seen.stdout.splitlines() if line.startswith("absent-")]
    assert len(rows) == 498 and all(row.endswith("not read no such queue") for row in rows), rows[:3]
    assert all(row.split()[1:3] == ["?", "?"] for row in rows), "what is not read is not zero"
    assert "500 workers: 498 shown, 498 need a look, 2 idle" in one_line(seen.stdout)


def test_five_hundred_workers_fit_a_narrow_terminal(stack: Stack, hundreds: str) -> None:
    by_hand = (hundreds, *at(stack.endpoint))
    began = time.monotonic()
    with screen("status", "--config", *by_hand, columns=40) as narrow:
        assert narrow.end() == FAILED
    assert time.monotonic() - began < LONGEST
    lines = narrow.shown.replace("\r\n", "\n").rpartition("\r\x1b[2K")[2].splitlines()
    assert all(len(line) <= 40 for line in lines), max(lines, key=len)
    assert sum(line.startswith("absent-") and "not read" in line for line in lines) == 498, lines[:5]
    assert "500 workers: 498 shown, 498 need a look" in one_line(" ".join(lines)), lines[-4:]


# Files that are none.

MANIFEST = """
kind: ScaledJob
metadata:
  name: thumbnail
spec:
  triggers:
    - type: aws-sqs-queue
      metadata: {queueURL: https://sqs.us-east-1.amazonaws.com/123456789012/thumbnail}
"""

BOM, LARGE = b"\xef\xbb\xbf", 10_000_000

BROKEN = {
    "latin1": "größe: é\n".encode("latin-1"),
    "utf16": "workers: []\n".encode("utf-16"),
    "binary": b"\x7fELF\x1b[2J\x00\xff" + bytes(range(256)),
    "empty": b"",
    "large": b"- \x1b[2J\n" * (LARGE // 7),
}

COMMANDS = ("plan --from", "explain --from", "import keda", "render --base", "explain --with")


@pytest.fixture(scope="module")
def saved(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan in a file, beside a configuration."""
    folder = tmp_path_factory.mktemp("saved")
    written(folder / "workers.yaml", json.dumps(CONFIG))
    stack.send("thumbnail", 3)
    made = run("plan", "--save", "plan.json", *at(stack.endpoint), folder=folder)
    assert made.returncode == DONE, made.stderr
    return folder


def given(command: str, file: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command with a file, where nothing else is wrong."""
    words = {
        "plan --from": ("plan", "--from", file),
        "explain --from": ("explain", "thumbnail", "--from", file),
        "import keda": ("import", "keda", file),
        "render --base": ("render", "thumbnail", "--containers", "2", "--base", file),
        "explain --with": ("explain", "thumbnail", "--from", "plan.json", "--with", file),
    }
    return run(*words[command], folder=folder)


def good(command: str, saved: Path) -> str:
    """What a command takes, in lines."""
    size = {"networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512"}
    definition = {"family": "thumbnail", "containerDefinitions": DEFINITIONS["thumbnail"], **size}
    return {
        "import keda": MANIFEST,
        "render --base": json.dumps(definition, indent=2),
        "explain --with": json.dumps(CONFIG, indent=2),
    }.get(command) or (saved / "plan.json").read_text()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_mark_of_an_editor_and_line_ends_of_windows_do_no_harm(
    saved: Path, tmp_path: Path, command: str
) -> None:
    text, file = good(command, saved), tmp_path / "file"
    file.write_text(text)
    plain = given(command, str(file), saved)
    assert plain.returncode == DONE and plain.stdout, plain.stderr
    crlf = text.replace("\n", "\r\n").encode()
    for content in (BOM + text.encode(), crlf, BOM + crlf):
        file.write_bytes(content)
        other = given(command, str(file), saved)
        assert (other.returncode, other.stdout) == (DONE, plain.stdout), other.stderr


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_that_is_none_is_named_with_what_is_wrong(
    saved: Path, tmp_path: Path, command: str, kind: str
) -> None:
    file = tmp_path / "broken.file"
    file.write_bytes(BROKEN[kind])
    began = time.monotonic()
    came = given(command, str(file), saved)
    assert time.monotonic() - began < 5
    assert came.returncode in (FAILED, WRONG_USE), came.stdout
    assert "broken.file" in came.stderr and len(came.stderr) < 1000, came.stderr[:2000]
    assert command == "import keda" or came.stdout == ""
    if command == "explain --from":  # a log may have lines of anybody
        assert "there is no line of a worker in it" in came.stderr, came.stderr
    elif kind in ("latin1", "utf16", "binary"):
        assert "this is not UTF-8: save the file in that encoding" in came.stderr, came.stderr
    else:
        of_empty = {
            "plan --from": "it is no plan: EOF",
            "import keda": "there is no manifest in it",
            "render --base": "it is no task definition: EOF",
            "explain --with": "it is empty; it needs at least `workers`",
        }
        of_others = {
            "plan --from": "it is no plan",
            "import keda": "it is no YAML",
            "render --base": "it is no task definition",
            "explain --with": "at most 1048576 are read",
        }
        said = of_empty if kind == "empty" else of_others
        assert said[command] in came.stderr, came.stderr


# Questions and Ctrl-C.

CLOCK = """
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t which, struct timespec *now) {
    int came = syscall(SYS_clock_gettime, which, now);
    if (which == LEAPS && access(ONCE, F_OK) == 0)
        now->tv_sec += 61;
    return came;
}
"""
"""A clock that is a minute ahead from the moment on in which there is a file."""


def clock(folder: Path, which: str) -> tuple[str, Path]:
    """What the program is loaded with, and the file."""
    once, source, made = folder / "once", folder / "clock.c", folder / "clock.so"
    source.write_text(CLOCK)
    defined = [f"-DLEAPS={which}", f'-DONCE="{once}"']
    subprocess.run(["cc", "-shared", "-fPIC", *defined, str(source), "-o", str(made)], check=True)
    return str(made), once


@pytest.mark.parametrize("which", ["CLOCK_MONOTONIC", "CLOCK_REALTIME"])
def test_an_old_plan_is_made_again_and_asked_again(
    stack: Stack, workers: str, tmp_path: Path, which: str
) -> None:
    """By both clocks: one of them stands still while a machine sleeps."""
    library, once = clock(tmp_path, which)
    stack.send("thumbnail", 1)
    asked = ("apply", "--name", f"old-{which[6]}", "--config", workers)
    with between(stack.endpoint) as there:
        with screen(*asked, *at(there.endpoint), LD_PRELOAD=library) as shown:
            shown.until("Type `yes`")
            looked = there.heard.count("GetQueueAttributes")
            once.touch()
            shown.type(b"yes\n")
            shown.until("that plan is older than a minute: it is made again")
            shown.until("Type `yes`")
            assert there.heard.count("GetQueueAttributes") == 2 * looked
            assert there.changes() == [], "that yes was to another plan"
            shown.type(b"no\n")
            assert shown.end() == FAILED
        assert "nothing was started" in shown.shown
        assert there.changes() == []


def test_ctrl_c_at_the_question_starts_nothing(stack: Stack, workers: str) -> None:
    stack.send("thumbnail", 1)
    with between(stack.endpoint) as there:
        with screen("apply", "--name", "at-question", "--config", workers, *at(there.endpoint)) as shown:
            shown.until("Type `yes`")
            shown.type(CTRL_C)
            assert shown.end() == INTERRUPTED
        assert there.changes() == []


def test_ctrl_c_lets_no_further_call_out_and_says_what_was_started(stack: Stack, workers: str) -> None:
    """A worker's tasks are started, and another one's definition is not registered yet."""
    stack.send("thumbnail", 4)
    stack.send("export", 5)
    with between(stack.endpoint) as there:
        there.replies = held = Held("RegisterTaskDefinition")
        with screen("apply", "--name", "interrupted", "--config", workers, *at(there.endpoint)) as shown:
            shown.until("Type `yes`")
            shown.type(b"yes\n")
            shown.until(", RunTask 1")
            shown.type(CTRL_C)
            shown.until("nothing more is started; waiting for the calls that are out")
            held.may_go.set()
            assert shown.end() == INTERRUPTED
        said = one_line(shown.shown)
        assert "+ export started 1 task of 1 container" in said, said
        assert "! thumbnail" in said and "interrupted: it was not called" in said, said
        assert "Done: 1 container started in 1 task" in said, said
        assert there.heard.count("RunTask") == 1


def test_a_second_ctrl_c_ends_at_once_and_names_what_may_run(stack: Stack, workers: str) -> None:
    stack.send("export", 5)
    with between(stack.endpoint) as there:
        there.replies = held = Held("RunTask")
        asked = ("apply", "--name", "twice", "--config", workers, "--worker", "export")
        with screen(*asked, *at(there.endpoint)) as shown:
            shown.until("Type `yes`")
            shown.type(b"yes\n")
            shown.until("calls: RunTask 1")
            shown.type(CTRL_C)
            shown.until("Ctrl-C again ends at once")
            shown.type(CTRL_C)
            began = time.monotonic()
            assert shown.end() == INTERRUPTED
            assert time.monotonic() - began < 2, "the call is still out"
        held.may_go.set()
    said = one_line(shown.shown)
    assert re.search(r"up to \d tasks? of export may have been started; `queue-scaler status` shows", said), said


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_ends_a_start_as_well(running: MotoStack, times: int) -> None:
    running.begin()
    running.register("report", 256, 512)
    running.launch_instances(1)
    asked = ("start", "--cluster", CLUSTER, "--task-definition", "report", "--count", "3")
    with between(running.proxy.endpoint) as there:
        there.replies = held = Held("StartTask")
        with screen(*asked, *at(there.endpoint)) as shown:
            shown.until("Start them? [y/N]")
            shown.type(b"y\n")
            shown.until("calls: StartTask 1")
            shown.type(CTRL_C)
            shown.until("nothing more is started")
            if times == 1:
                held.may_go.set()
            else:
                shown.type(CTRL_C)
            assert shown.end() == INTERRUPTED
        held.may_go.set()
        assert there.changes() == ["StartTask"], "on one instance each task is a call"
    said = one_line(shown.shown)
    if times == 1:
        assert "started 1 task of 3" in said and "interrupted: it was not called" in said, said
    else:
        assert "up to 3 tasks may have been started; `aws ecs list-tasks --cluster jobs" in said, said


# A full disk.


@pytest.mark.parametrize(
    ("command", "file"), [(("plan", "--save", "plan.json"), "plan.json"), (("init", "new.yaml"), "new.yaml")]
)
def test_a_full_disk_leaves_no_half_a_file(
    stack: Stack, workers: str, tmp_path: Path, command: tuple[str, ...], file: str
) -> None:
    """No file may be larger than a few bytes."""

    def written_to(limit: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [QUEUE_SCALER, *command, *at(stack.endpoint)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=60,
            restore_signals=False,  # as a write that fails, not as a signal
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        )

    full = written_to(100)
    assert full.returncode in (FAILED, WRONG_USE)
    assert f"cannot write `{file}`: " in full.stderr, full.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["workers.yaml"]
    assert written_to(1_000_000).returncode == DONE
    whole = (tmp_path / file).read_text()
    assert written_to(100).returncode in (FAILED, WRONG_USE)
    assert (tmp_path / file).read_text() == whole, "what was there stays"
    assert len(list(tmp_path.iterdir())) == 2
