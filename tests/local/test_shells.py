"""Completions in the shells that load them, manual pages by mandoc, and a terminal that is redrawn."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from scenario import CONFIG
from shells import environment, program, said, zsh_start
from stack import REGION, SCALER, Stack, built_binary
from tmux import Screen

QUEUE_SCALER = built_binary().with_name("queue-scaler")


@pytest.fixture()
def path(tmp_path: Path) -> str:
    """A PATH on which the program is called as people call it."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "queue-scaler").symlink_to(QUEUE_SCALER)
    return f"{tmp_path / 'bin'}:{os.environ['PATH']}"


def test_bash_completes_commands_and_options(tmp_path: Path, path: str) -> None:
    script = """
        source <(queue-scaler completions bash)
        registered=($(complete -p queue-scaler))
        COMP_WORDS=(queue-scaler "$@"); COMP_CWORD=$#
        "${registered[-2]}" queue-scaler "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\\n' "${COMPREPLY[@]}"
    """

    def completed(*words: str) -> list[str]:
        command = ["bash", "--norc", "-c", script, "bash", *words]
        return said(command, tmp_path, PATH=path).splitlines()

    assert sorted(completed("sta")) == ["start", "status"]
    assert sorted(completed("status", "--w")) == ["--watch", "--wide"]


def test_zsh_completes_commands(tmp_path: Path, path: str) -> None:
    """By a pseudo-terminal on which somebody presses Tab."""
    script = zsh_start() + """
        autoload -U compinit && compinit -D -u
        source <(queue-scaler completions zsh)
        [[ $_comps[queue-scaler] == _queue-scaler ]] || exit 3
        whence -w _queue-scaler
        zmodload zsh/zpty
        zpty inner zsh -f -i
        zpty -w inner "module_path=($module_path) fpath=($fpath) PS1='> '"
        zpty -w inner 'autoload -U compinit && compinit -D -u; source <(queue-scaler completions zsh); echo ready'
        while zpty -r inner line && [[ $line != *ready* || $line == *echo* ]]; do :; done
        zpty -w -n inner $'queue-scaler expl\\t'
        sleep 1
        zpty -w -n inner $'\\n'
        for (( i = 0; i < 40; i++ )); do zpty -r -t inner line && print -r -- $line; sleep 0.05; done
    """
    home = tmp_path / "bin"
    (home / "zsh").symlink_to(program("zsh"))
    shown = said([program("zsh"), "-f", "-c", script], tmp_path, PATH=path, TERM="xterm")
    assert "_queue-scaler: function" in shown, shown
    assert "queue-scaler explain" in shown, shown


def test_fish_completes_commands_and_options(tmp_path: Path, path: str) -> None:
    script = "queue-scaler completions fish | source; complete -C 'queue-scaler expl'; complete -C 'queue-scaler plan --ma'"
    lines = said([program("fish"), "--no-config", "-c", script], tmp_path, PATH=path).splitlines()
    assert [line.split("\t")[0] for line in lines] == ["explain", "--markdown"], lines


def test_mandoc_finds_nothing_wrong_with_the_manual_pages(tmp_path: Path) -> None:
    pages = tmp_path / "man"
    pages.mkdir()
    subprocess.run([QUEUE_SCALER, "man", pages], check=True, timeout=60)
    names = sorted(page.name for page in pages.iterdir())
    assert "queue-scaler.1" in names and "queue-scaler-plan.1" in names and len(names) > 20, names
    ended = subprocess.run(
        [program("mandoc"), "-T", "lint", "-W", "warning", *sorted(pages.iterdir())],
        capture_output=True,
        text=True,
        env=environment(tmp_path),
        timeout=60,
    )
    assert (ended.returncode, ended.stdout) == (0, ""), ended.stdout
    whole = (pages / "queue-scaler.1").read_text()
    assert "Exit codes" in whole and "130" in whole
    text = said([program("mandoc"), "-T", "ascii", str(pages / "queue-scaler-status.1")], tmp_path)
    text = re.sub(".\b", "", text)  # what is bold is struck twice
    assert "--watch <SECONDS>" in text and "Possible values" in text, text


def test_a_watched_status_follows_the_terminal_and_leaves_it_as_it_was(
    stack: Stack, tmp_path: Path, path: str
) -> None:
    stack.send("thumbnail", 5)
    workers = tmp_path / "workers.yaml"
    workers.write_text(json.dumps(CONFIG))
    screen = Screen(tmp_path, path)
    try:
        screen.type(f"cd {tmp_path}; PS1='$ '; stty -g > before")
        credentials = {name: os.environ[name] for name in os.environ if name.startswith("AWS_")}
        settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in credentials.items())
        where = f"--endpoint-url {stack.endpoint} --region {REGION} --name {SCALER}"
        screen.type(f"clear; {settings} queue-scaler status --watch 5 --all --config workers.yaml {where}")
        page = screen.until(lambda shown: "2 workers: 2 shown" in shown.replace("\n", " "))
        assert page.startswith("WORKER") and "LAST LAUNCH" in page, page

        screen.run("resize-window", "-x", "62", "-y", "20")
        page = screen.until(lambda shown: shown.startswith("WORKER") and "LAST LAUNCH" not in shown)
        assert all(len(line) <= 62 for line in page.splitlines()), page
        assert page.count("WORKER") == 1, "nothing of the last page stays"

        screen.run("send-keys", "C-c")
        screen.until(lambda shown: shown.rstrip().endswith("$"))
        screen.type("echo $? > code; clear; stty -g > after; echo it has ended")
        screen.until(lambda shown: shown.startswith("it has ended"))
        cursor = screen.run("display-message", "-p", "#{cursor_flag} #{alternate_on}").strip()
        assert cursor == "1 0", "the cursor is seen, on the usual screen"
    finally:
        screen.run("kill-server")
    assert (tmp_path / "after").read_text() == (tmp_path / "before").read_text()
    assert (tmp_path / "code").read_text() == "130\n"
