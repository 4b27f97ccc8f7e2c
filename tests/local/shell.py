"""A person's terminal beside the emulator: the commands of a page, run as they stand there.

`aws` is the CLI of `.tools/awscli`. It is v1, so that what only v2 needs is taken away from what is
given to it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from pages import blocks, pages, preamble, section
from stack import CLUSTER, CREDENTIALS, ROOT, Stack, built_binary

AWS = ROOT / ".tools" / "awscli" / "bin" / "aws"
SECONDS = 240

V1 = """\
#!/bin/sh
left=$#
while [ "$left" -gt 0 ]; do
  argument=$1; shift; left=$((left - 1))
  case $argument in
    --cli-binary-format) shift; left=$((left - 1)) ;;
    *) set -- "$@" "$argument" ;;
  esac
done
# The first look of a waiter then sees what is done, and it does not wait for half a minute.
[ "${2-}" != wait ] || sleep 2
# For SQS, v1 does not heed the variable.
exec {aws} --endpoint-url "$AWS_ENDPOINT_URL" "$@"
"""

# What builds and deploys is another matter: `test_schedule.py` deploys, `test_package.py` builds.
LEFT_OUT = ("sam", "make", "git", "cargo")
NOTHING = "#!/bin/sh\n"


@dataclass(frozen=True)
class Terminal:
    """A shell with its own `aws`, for one stack."""

    programs: Path
    stack: Stack
    stack_name: str

    def type_block(self, heading: str, number: int = 0) -> str:
        """One of the blocks of a section of docs/operations.md, and what it prints."""
        return self.type(blocks(section(pages()["docs/operations.md"], heading), "sh")[number])

    def type(self, block: str) -> str:
        """Fails where any command of the block does. What is marked as `# yours` is this stack's."""
        mine = f'export STACK="{self.stack_name}" CLUSTER="{CLUSTER}"'
        before = "".join(
            f"{mine}\n" if line.endswith("# yours") else f"{line}\n"
            for line in preamble().splitlines()
        )
        done = subprocess.run(
            ["/bin/bash", "-c", f"set -euo pipefail\n{before}{block}"],
            cwd=self.programs.parent,
            env={
                **os.environ,
                **CREDENTIALS,
                "AWS_ENDPOINT_URL": self.stack.endpoint,
                "PATH": self.path(),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
        return done.stdout

    def path(self) -> str:
        """With this Python's `python3` before any other."""
        return os.pathsep.join([str(self.programs), sys.exec_prefix + "/bin", os.environ["PATH"]])


def opened(home: Path, stack: Stack, stack_name: str) -> Terminal:
    programs = home / "bin"
    programs.mkdir()
    scripts = {"aws": V1.replace("{aws}", str(AWS)), **dict.fromkeys(LEFT_OUT, NOTHING)}
    for name, script in scripts.items():
        program = programs / name
        program.write_text(script)
        program.chmod(0o755)
    (programs / "queue-scaler").symlink_to(built_binary().with_name("queue-scaler"))
    return Terminal(programs, stack, stack_name)
