"""The Markdown pages, and the commands in them as a shell finds them.

A page's blocks of the language `sh` are run from top to bottom in one bash, and so is each command
that stands in backquotes, `aws` at its beginning. What bash then calls `aws` with, after quotes,
variables and substitutions, is recorded; nothing else is run.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path

from stack import ROOT

ALARMS = "docs/alarms/README.md"
PREAMBLE = "Once in each terminal"
"""The heading of that page under which stands what other pages use."""

# Whatever else a page calls is left out, and so is what would change the shell.
NOTHING_ELSE = """\
command_not_found_handle() { return 0; }
cd() { return 0; }
source() { return 0; }
set -u
"""

# An answer, so that a loop over it has a round; written as a stack's parameters are.
RECORDER = """\
#!/bin/sh
{ printf '%d\\0' "$#"; printf '%s\\0' "$@"; } >> "$RECORD"
echo ParameterKey=ANSWER
"""

REAL = ("date",)
"""Programs that a page needs for the arguments of others."""


@dataclass(frozen=True)
class Ran:
    """What a script did."""

    calls: list[list[str]]
    """The arguments of each `aws`."""
    trouble: str
    """What the shell says is wrong with the script; empty if nothing is."""


def pages() -> dict[str, str]:
    """All pages by their path from the root."""
    paths = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
    ours = [path for path in sorted(paths) if "node_modules" not in path.parts]
    return {str(path.relative_to(ROOT)): path.read_text() for path in ours}


def section(page: str, heading: str) -> str:
    """What stands under a heading, up to the next one of its level or above."""
    found = re.search(rf"^(#+) {re.escape(heading)}\n", page, re.M)
    assert found, f"there is no heading {heading!r}"
    rest = page[found.end() :]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", outside_blocks(rest), re.M)
    return rest[: end.start()] if end else rest


def outside_blocks(page: str) -> str:
    """A page whose blocks are blank, so that each place keeps its offset."""
    return re.sub(r"^ *```.*?^ *```$", lambda block: " " * len(block[0]), page, flags=re.M | re.S)


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a language, also those within a list."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", page, re.M | re.S)
    return [textwrap.dedent(text) for _, text in found]


def inline(page: str) -> list[str]:
    """Commands in backquotes."""
    found = re.findall(r"`(aws [^`]+)`", outside_blocks(page))
    return [" ".join(text.split()) for text in found]


def preamble() -> str:
    [block] = blocks(section(pages()[ALARMS], PREAMBLE), "sh")
    return block


def uses_preamble(page: str, text: str) -> bool:
    return page != ALARMS and "#once-in-each-terminal" in text


def scripts(page: str, text: str) -> list[str]:
    """What of a page is to be run, each with what it needs before it."""
    before = [preamble()] if uses_preamble(page, text) else []
    in_order = "\n".join([*before, *blocks(text, "sh")])
    return [in_order, *("\n".join([*before, command]) for command in inline(text))]


def ran(script: str) -> Ran:
    """Runs a script with an `aws` that only records."""
    with tempfile.TemporaryDirectory(prefix="ecs-queue-scaler-") as home:
        record, programs = Path(home, "record"), Path(home, "bin")
        programs.mkdir()
        recorder = programs / "aws"
        recorder.write_text(RECORDER)
        recorder.chmod(0o755)
        for program in REAL:
            found = shutil.which(program)
            assert found, f"there is no {program}"
            (programs / program).symlink_to(found)
        shell = subprocess.run(
            ["/bin/bash", "-c", f"{NOTHING_ELSE}{script}\nexit 0"],
            cwd=home,
            env={"PATH": str(programs), "RECORD": str(record), "HOME": home},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        calls = recorded(record.read_bytes()) if record.exists() else []
        return Ran(calls, shell.stderr)


def recorded(record: bytes) -> list[list[str]]:
    """Each call is the number of its arguments, and then these."""
    fields = iter(record.decode().split("\0")[:-1])
    return [[next(fields) for _ in range(int(count))] for count in fields]
