"""Every `aws` command of the pages against the AWS CLI's own parser; nothing is sent anywhere.

The parser is that of the CLI v1, which alone is on PyPI. Both have the same operations.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass

import pytest

from pages import ALARMS, PREAMBLE, inline, pages, ran, scripts
from stack import CREDENTIALS, ROOT

PARSER = ROOT / "tests" / "local" / "aws_parser.py"
PYTHON = ROOT / ".tools" / "awscli" / "bin" / "python"
SECONDS = 120

TEXT = ["--output", "text"]

# What only the CLI v2 has, and why a page wants it all the same. Such an option takes one value.
V2_OPTIONS = {"--cli-binary-format": "v2 takes a payload for base64 unless it is told otherwise"}
V2_COMMANDS = {
    ("configure", "export-credentials"): "it alone reads an SSO profile",
    ("logs", "tail"): "it alone follows a log",
}
V2_IN_WORDS = "AWS CLI v2"

NAME = 2
"""So many arguments, in backquotes, name an operation and do not call it."""
MISSING = "the following arguments are required"

# What the service refuses and the parser does not know: an option, and those that must not be beside
# it. ECS API, `ListTasksRequest.startedBy`: "this parameter must be the only filter".
NOT_BESIDE = {
    ("ecs", "list-tasks", "--started-by"): {
        "--family",
        "--service-name",
        "--desired-status",
        "--launch-type",
        "--container-instance",
    }
}


@dataclass(frozen=True)
class Call:
    """An `aws` of a page."""

    page: str
    arguments: list[str]
    is_name: bool = False

    @property
    def operation(self) -> tuple[str, ...]:
        return tuple(self.arguments[:2])

    @property
    def text(self) -> str:
        return f"{self.page}: aws {' '.join(self.arguments)}"

    def v2_options(self) -> list[str]:
        return [argument for argument in self.arguments if argument in V2_OPTIONS]

    def is_of_v2(self) -> bool:
        return bool(self.v2_options()) or self.operation in V2_COMMANDS

    def for_v1(self) -> list[str]:
        """Without the options that v1 does not know."""
        after = [""] + self.arguments
        pairs = zip(after, self.arguments)
        return [arg for before, arg in pairs if arg not in V2_OPTIONS and before not in V2_OPTIONS]


def calls_of(page: str, text: str) -> list[Call]:
    done = [ran(script) for script in scripts(page, text)]
    trouble = [script.trouble for script in done if script.trouble]
    assert not trouble, f"{page}: {trouble}"
    in_blocks, *in_backquotes = [script.calls for script in done]
    named = [arguments for calls in in_backquotes for arguments in calls]
    return [
        *(Call(page, arguments) for arguments in in_blocks),
        *(Call(page, arguments, is_name=len(arguments) == NAME) for arguments in named),
    ]


@pytest.fixture(scope="module")
def calls() -> list[Call]:
    return [call for page, text in pages().items() for call in calls_of(page, text)]


def complaints(calls: list[Call]) -> list[str]:
    """What is said against the calls, by the parser and by the services' own rules."""
    once = {(tuple(call.arguments), call.is_name): call for call in calls}.values()
    known = [call for call in once if call.operation not in V2_COMMANDS]
    environment = {**CREDENTIALS, "PATH": os.environ["PATH"], "AWS_CONFIG_FILE": os.devnull}
    parsed = subprocess.run(
        [PYTHON, PARSER],
        input=json.dumps([call.for_v1() for call in known]),
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert parsed.returncode == 0, parsed.stderr
    said = [
        f"{call.text}\n  {why}"
        for call, why in zip(known, json.loads(parsed.stdout))
        if why and not (call.is_name and MISSING in why)
    ]
    return said + [f"{call.text}\n  refused beside: {why}" for call in once if (why := beside(call))]


def beside(call: Call) -> list[str]:
    """Options that the service refuses beside others."""
    given = set(call.arguments)
    excluded = [
        sorted(others & given)
        for (*operation, option), others in NOT_BESIDE.items()
        if call.operation == tuple(operation) and option in given
    ]
    return sorted({option for options in excluded for option in options})


def sample(block: str) -> list[Call]:
    return calls_of("sample.md", f"# Sample\n\n```sh\n{block}\n```\n")


def test_every_command_is_one_that_the_cli_takes(calls: list[Call]) -> None:
    assert complaints(calls) == []


def test_commands_are_found_wherever_they_stand(calls: list[Call]) -> None:
    """Else the test above would be content with none."""
    named = [line for text in pages().values() for line in re.findall(r"\baws [a-z0-9-]+ [a-z-]+", text)]
    found = {call.operation for call in calls}
    assert {tuple(name.split()[1:]) for name in named} <= found
    assert len(calls) >= len(named) > 40


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ("aws sqs get-queue-url --queue thumbnail", "required: --queue-name"),
        ("aws sqs purge-queue --queue-url x --force", "Unknown options: --force"),
        ("aws sqs purge-queues --queue-url x", ""),
        ("aws ecs list-tasks --desired-status STOPED", "STOPED is none of RUNNING"),
        ("aws ecs list-tasks --query 'taskArns['", "Bad value for --query"),
        ("aws ecs run-task --task-definition x --count five", "invalid literal"),
        ("aws autoscaling set-instance-protection --no-protected-from-scale-in", "--instance-ids"),
        ("aws s3 cp only-one", "required: paths"),
        (
            'for arn in $(aws ecs list-tasks --started-by me); do\n  echo "$arn" | aws ecs stop-task\ndone',
            "required: --task",
        ),
        (
            "aws ecs list-tasks --started-by me \\\n  --desired-status STOPPED",
            "refused beside: ['--desired-status']",
        ),
    ],
)
def test_a_command_that_is_wrong_is_told(block: str, said: str) -> None:
    [told] = complaints(sample(block))
    assert said in told


def test_the_shell_makes_the_arguments() -> None:
    block = """\
name=thumbnail
url() { aws sqs get-queue-url --queue-name "$1" --output text; }   # a comment
aws sqs send-message --queue-url "$(url "$name")" --message-body '{"a": "b c"}' | head
"""
    looked_up, sent = sample(block)
    assert looked_up.arguments == ["sqs", "get-queue-url", "--queue-name", "thumbnail", *TEXT]
    assert sent.arguments[-2:] == ["--message-body", '{"a": "b c"}']
    assert complaints([looked_up, sent]) == []


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ('aws sqs purge-queue --queue-url "$nobody_set_it"', "unbound variable"),
        ('x=$(aws sqs purge-queue --queue-url "$nobody_set_it")', "unbound variable"),
        ('aws sqs purge-queue --queue-url "x', "unexpected EOF"),
    ],
)
def test_what_a_shell_does_not_take_is_told(block: str, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        sample(block)


def test_a_command_in_backquotes_is_whole_or_only_a_name() -> None:
    page = "Stop it (`aws ecs stop-task --cluster a\n--task b`).\n```text\n`aws no command`\n```\n"
    assert inline(page) == ["aws ecs stop-task --cluster a --task b"]
    assert complaints(calls_of("sample.md", page)) == []
    names = "`aws ecs stop-task`, `aws ecs stop-job` and `aws ecs stop-task --cluster a`"
    there_is_none, half = complaints(calls_of("sample.md", names))
    assert "aws ecs stop-job\n" in there_is_none
    assert f"{MISSING}: --task" in half


def test_what_only_v2_has_is_used_and_named(calls: list[Call]) -> None:
    of_v2 = [call for call in calls if call.is_of_v2()]
    assert {option for call in of_v2 for option in call.v2_options()} == set(V2_OPTIONS)
    assert {call.operation for call in of_v2} - {("lambda", "invoke")} == set(V2_COMMANDS)
    # A page that only calls what the preamble defines has the word there.
    written = {page: text for page, text in pages().items() if any(w in text for w in words_of_v2())}
    assert ALARMS in written
    for page, text in written.items():
        assert V2_IN_WORDS in text, f"{page} does not say that it needs the {V2_IN_WORDS}"


def words_of_v2() -> list[str]:
    return [*V2_OPTIONS, *(" ".join(command) for command in V2_COMMANDS)]


def test_every_page_that_calls_the_preambles_functions_says_where_they_are() -> None:
    for page, text in pages().items():
        if page.startswith("docs/alarms/") and page != ALARMS:
            assert "](README.md#once-in-each-terminal)" in text, page
    assert f"## {PREAMBLE}\n" in pages()[ALARMS]


# -- what is not the CLI's --


def unportable_dates(text: str) -> list[str]:
    """Uses of `date` that GNU's and BSD's do not share: any option but `-u`."""
    called = re.findall(r"(?:^|[\s(`])date((?: +(?:-[^\s)`]+|\+[^\s)`]+))+)", text, re.M)
    return [use.strip() for use in called if re.sub(r"^-u\s+", "", use.strip())[0] != "+"]


def test_dates_are_portable() -> None:
    assert unportable_dates("$(date +%s) or `date -u +%FT%TZ`, up to date - and so on") == []
    assert unportable_dates("$(date -u -d -30min +%F) `date -v-1H +%s` (date --date=now +%s)") == [
        "-u -d -30min +%F",
        "-v-1H +%s",
        "--date=now +%s",
    ]
    assert {page: uses for page, text in pages().items() if (uses := unportable_dates(text))} == {}
