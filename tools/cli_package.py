"""Usage: cli_package.py BINARY FOLDER

Packs the command line into FOLDER, as queue-scaler-VERSION-SYSTEM-MACHINE.tar.gz: the program, what completes
its commands in each shell, its manual pages, and the licences. The same bytes from the same files; the pages
have the day of SOURCE_DATE_EPOCH, else of the last commit.
"""

from __future__ import annotations

import gzip
import io
import os
import platform
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHELLS = ("bash", "elvish", "fish", "powershell", "zsh")
LICENCES = ("LICENSE-APACHE", "LICENSE-MIT")


def said(*command: str | Path, **more: str) -> bytes:
    return subprocess.run(command, check=True, capture_output=True, cwd=ROOT, env=os.environ | more).stdout


def epoch() -> str:
    """When it was made, in seconds since 1970."""
    return os.environ.get("SOURCE_DATE_EPOCH") or said("git", "log", "-1", "--format=%ct").decode().strip()


def contents(binary: Path) -> dict[str, bytes]:
    """All files by their names, in the order of the archive."""
    files = {"queue-scaler": binary.read_bytes()}
    for shell in SHELLS:
        files[f"completions/queue-scaler.{shell}"] = said(binary, "completions", shell)
    with tempfile.TemporaryDirectory() as folder:
        said(binary, "man", folder, SOURCE_DATE_EPOCH=epoch())
        for page in sorted(Path(folder).iterdir()):
            files[f"man/man1/{page.name}"] = page.read_bytes()
    for licence in LICENCES:
        files[licence] = (ROOT / licence).read_bytes()
    return files


def pack(name: str, files: dict[str, bytes]) -> bytes:
    """An archive of no time and of nobody, below one folder."""
    packed = io.BytesIO()
    # The file's name and the time would be in the first bytes.
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9, mtime=0, filename="") as gz:
        with tarfile.open(fileobj=gz, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for path, content in files.items():
                entry = tarfile.TarInfo(f"{name}/{path}")
                entry.size = len(content)
                entry.mode = 0o755 if path == "queue-scaler" else 0o644
                archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def main(binary: str, folder: str) -> None:
    program = Path(binary).resolve()
    version = said(program, "--version").decode().split()[1]
    name = f"queue-scaler-{version}-{platform.system().lower()}-{platform.machine()}"
    made = Path(folder) / f"{name}.tar.gz"
    made.parent.mkdir(parents=True, exist_ok=True)
    made.write_bytes(pack(name, contents(program)))
    print(made)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
