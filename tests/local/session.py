"""A session with the command line against a local AWS: what docs/cli.md shows of it, `make docs` plays anew.

    session.py PAGE
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from scenario import CONFIG, prepare
from stack import CREDENTIALS, ROOT, SCALER, Stack, built_binary, event, local_aws

PAGE = ROOT / "docs" / "cli.md"
BEGIN, END = "<!-- session: played by make docs -->", "<!-- end of session -->"

# What stands in the place of what is of the moment or by chance. Each is as long as what it stands for.
TIME = r"2026-11-21\g<1>21:04:07\g<2>UTC"
INSTANT = "2026-11-21T21:04:07Z"
SUBNET = "subnet-0a1b2c3d4e5f60718"
MOMENT = 1_795_295_047  # the same, in seconds since 1970
IDS = ("0f3c1a2b", "1d9e4c70", "27b6f5a1", "3a8d0e9c", "4c51b7f2", "5e0a9d36", "6b7c2f18", "7f24e8d5")


class Shell:
    """A folder in which somebody types."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack, self.folder, self.lines = stack, folder, [""]
        self.ids: dict[str, str] = {}

    def type(self, line: str) -> None:
        """Runs a command, and keeps what it prints."""
        shown = self.run(line)
        self.lines += [f"$ {line}", *self.settled(shown).rstrip().splitlines(), ""]

    def run(self, line: str) -> str:
        """What a command prints, which has to end well."""
        program, *arguments = shlex.split(line)
        assert program == "queue-scaler"
        ended = subprocess.run(
            [built_binary().with_name("queue-scaler"), *arguments],
            cwd=self.folder,
            env=CREDENTIALS | {"PATH": os.environ["PATH"], "AWS_ENDPOINT_URL": self.stack.endpoint, "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert ended.returncode == 0, f"{line}: {ended.returncode}\n{ended.stdout}{ended.stderr}"
        return ended.stdout

    def settled(self, text: str) -> str:
        """The same whenever it is played."""
        text = re.sub(r"\d{4}-\d\d-\d\d(\s)\d\d:\d\d:\d\d(\s)UTC", TIME, text)
        text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", INSTANT, text)
        text = re.sub(r"\bsubnet-[0-9a-f]{17}\b", SUBNET, text)
        # It differs by one from one time to the next.
        text = re.sub(r"\b2\d calls\.", "22 calls.", text)
        text = re.sub(r" *\b\d+s\b(?= ago|  )", lambda age: "0s".rjust(len(age[0])), text)
        return re.sub(r"\b(?=[0-9a-f]*\d)[0-9a-f]{8}\b", lambda found: self.named(found[0]), text)

    def named(self, identity: str) -> str:
        return self.ids.setdefault(identity, IDS[len(self.ids)])

    def note(self, text: str) -> None:
        self.lines += [f"# {text}"]


def play(stack: Stack, folder: Path) -> str:
    """From an account with queues and definitions to tasks that are stopped again."""
    prepare(stack)
    ec2 = stack.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    config = json.loads(json.dumps(CONFIG).replace("subnet-0a1b2c3d", subnet))
    shell = Shell(stack, folder)
    shell.type("queue-scaler init")
    shell.note("the network and the bounds are filled in")
    workers = folder / "workers.yaml"
    workers.write_text(json.dumps(config))
    os.utime(workers, (MOMENT, MOMENT))
    shell.type("queue-scaler validate --aws")
    stack.send("thumbnail", 9)
    shell.type("queue-scaler plan")
    shell.type("queue-scaler apply --yes")
    shell.type("queue-scaler status")
    shell.note("with the function deployed, which goes by a parameter")
    stack.client("ssm").put_parameter(Name="/jobs/workers", Value=json.dumps(config), Type="String")
    stack.deploy(built_binary(), "ssm:/jobs/workers")
    stack.send("thumbnail", 5)
    by = f"--function {SCALER}"
    # Another minute's than the one above, which would end it.
    answer = stack.invoke(event("schedule.json", minute=1))
    assert not answer.failed, answer.payload
    shell.type(f"queue-scaler explain thumbnail --since 10m {by}")
    shell.type(f"queue-scaler status thumbnail {by}")
    task = json.loads(shell.run(f"queue-scaler status thumbnail --json {by}"))["alive"][0]["task"][:8]
    shell.type(f"queue-scaler stop thumbnail {task} --reason 'it hangs' --yes {by}")
    shell.lines = [line.replace(task, shell.named(task)) for line in shell.lines]
    shell.type(f"queue-scaler clean {by}")
    return "\n".join(shell.lines).strip()


def played() -> str:
    with local_aws() as stack, tempfile.TemporaryDirectory() as folder:
        return play(stack, Path(folder))


def replaced(page: str, session: str) -> str:
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.S)
    assert pattern.search(page), f"the page has no place for a session ({BEGIN})"
    return pattern.sub(lambda _: f"{BEGIN}\n\n```text\n{session}\n```\n\n{END}", page)


def main(page: str) -> None:
    path = Path(page)
    path.write_text(replaced(path.read_text(), played()))


if __name__ == "__main__":
    main(*sys.argv[1:])
