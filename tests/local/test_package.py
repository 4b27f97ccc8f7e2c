"""The package has the same bytes from the same files, and Lambda can start what is in it."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from stack import built_binary
from template import ROOT

PROGRAM = ROOT / "tools" / "package.py"
GOOD = b"\x7fELF\0GLIBC_2.2.5\0GLIBC_2.34\0.dep-v0\0"


def package(folder: Path, binary: bytes, workers: str = "workers: []\n") -> tuple[Path, str]:
    """Where the zip is, or would be, and what the program says."""
    folder.mkdir(exist_ok=True)
    (folder / "bootstrap").write_bytes(binary)
    (folder / "workers.yaml").write_text(workers)
    made = folder / "function.zip"
    files = [folder / "bootstrap", folder / "workers.yaml", made]
    done = subprocess.run([sys.executable, PROGRAM, *files], capture_output=True, text=True)
    assert (done.returncode == 0) == made.exists() == (done.stderr == "")
    return made, done.stderr


def test_the_same_files_give_the_same_bytes_whenever_and_wherever(tmp_path: Path) -> None:
    binary = GOOD + built_binary().read_bytes()[:1_000_000]
    first, _ = package(tmp_path / "first", binary)
    os.utime(tmp_path / "first" / "bootstrap", (0, 0))
    (tmp_path / "second").mkdir(mode=0o700)
    second, _ = package(tmp_path / "second", binary)
    assert first.read_bytes() == second.read_bytes()
    other, _ = package(tmp_path / "other", binary, workers="workers: [ ]\n")
    assert first.read_bytes() != other.read_bytes()


def test_the_package_has_the_binary_and_the_configuration(tmp_path: Path) -> None:
    made, _ = package(tmp_path / "one", GOOD)
    assert subprocess.run([sys.executable, PROGRAM, made.parent / "bootstrap"]).returncode == 0
    with zipfile.ZipFile(made) as archive:
        assert archive.namelist() == ["bootstrap", "workers.yaml"]
        assert archive.read("bootstrap") == GOOD
        assert archive.getinfo("bootstrap").external_attr >> 16 == 0o100755


@pytest.mark.parametrize(
    ("binary", "says"),
    [
        (GOOD.replace(b"2.34", b"2.35"), "it needs glibc 2.35"),
        (GOOD.replace(b"2.34", b"2.100"), "it needs glibc 2.100"),
        (GOOD.replace(b".dep-v0", b""), "no list of its dependencies"),
        (b"#!/bin/sh\n" + GOOD, "no Linux binary"),
    ],
)
def test_what_lambda_could_not_start_is_not_packed(
    tmp_path: Path, binary: bytes, says: str
) -> None:
    assert says in package(tmp_path / "one", binary)[1]
    alone = [sys.executable, PROGRAM, tmp_path / "one" / "bootstrap"]
    assert subprocess.run(alone, capture_output=True).returncode == 1


def test_the_command_line_is_packed_with_completions_and_manual_pages(tmp_path: Path) -> None:
    program = built_binary().with_name("queue-scaler")

    def packed(folder: str) -> Path:
        command = [sys.executable, ROOT / "tools" / "cli_package.py", program, tmp_path / folder]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return Path(done.stdout.strip())

    first, second = packed("first"), packed("second")
    assert first.read_bytes() == second.read_bytes()
    with tarfile.open(first) as archive:
        archive.extractall(tmp_path, filter="data")
        entries = archive.getmembers()
    assert {(entry.mtime, entry.uid, entry.uname) for entry in entries} == {(0, 0, "")}
    there = tmp_path / first.name.removesuffix(".tar.gz")
    version = subprocess.run([there / "queue-scaler", "--version"], capture_output=True, text=True).stdout
    assert first.name.startswith(version.strip().replace(" ", "-") + "-")
    files = {str(path.relative_to(there)) for path in there.rglob("*") if path.is_file()}
    shells = {f"completions/queue-scaler.{shell}" for shell in ("bash", "elvish", "fish", "powershell", "zsh")}
    pages = {"man/man1/queue-scaler.1", "man/man1/queue-scaler-plan.1"}
    assert shells | pages | {"LICENSE-MIT", "LICENSE-APACHE"} < files, files


def test_release_notes_are_what_the_changelog_says(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    notes = tmp_path / "tools" / "notes.sh"
    notes.write_text((ROOT / "tools" / "notes.sh").read_text())
    changelog = "# Changelog\n\n## 1.2.0 (2026-12-01)\n\n- New.\n\n## 1.1.0\n\n## 1.0.0\n- Old.\n"
    (tmp_path / "CHANGELOG.md").write_text(changelog)

    def told(version: str) -> tuple[int, list[str]]:
        done = subprocess.run(["sh", notes, version], capture_output=True, text=True)
        return done.returncode, done.stdout.split("\n")

    assert told("1.2.0") == (0, ["", "- New.", "", ""])
    assert told("1.0.0") == (0, ["- Old.", ""])
    assert told("1.1.0")[0] == told("1.2")[0] == told("2.0.0")[0] == 1
