"""Usage: package.py BINARY [WORKERS ZIP]

Refuses a binary that Lambda could not start, or whose dependencies cannot be read from it. Makes the
function's package, if asked to: the same bytes from the same files, whenever and wherever.
"""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path

# What provided.al2023 has. Source: Amazon Linux 2023 release notes (glibc 2.34).
NEWEST_GLIBC = (2, 34)

# The first moment that a zip file can tell.
MOMENT = (1980, 1, 1, 0, 0, 0)

UNIX = 3


def add(archive: zipfile.ZipFile, name: str, content: bytes, level: int = 9) -> None:
    """Adds a file that anybody may read and start, of no time and of no machine."""
    entry = zipfile.ZipInfo(name, MOMENT)
    entry.create_system = UNIX
    entry.external_attr = 0o100755 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, content, compresslevel=level)


def glibc_needed(binary: bytes) -> tuple[int, int]:
    """The newest version of glibc whose symbols the binary names; (0, 0) when it names none."""
    versions = re.findall(rb"\0GLIBC_(\d+)\.(\d+)(?:\.\d+)?(?=\0)", binary)
    return max(((int(major), int(minor)) for major, minor in versions), default=(0, 0))


def obstacles(binary: bytes) -> list[str]:
    """What keeps the binary from being packed, a sentence each."""
    found = []
    if not binary.startswith(b"\x7fELF"):
        found.append("it is no Linux binary")
    needed = glibc_needed(binary)
    if NEWEST_GLIBC < needed:
        found.append(
            f"it needs glibc {needed[0]}.{needed[1]}, and provided.al2023 has"
            f" {NEWEST_GLIBC[0]}.{NEWEST_GLIBC[1]}: build it with `make build`"
        )
    if b"\0.dep-v0\0" not in binary:
        found.append("it has no list of its dependencies: build it with `make build`")
    return found


def main(binary: str, files: list[str]) -> int:
    content = Path(binary).read_bytes()
    found = obstacles(content)
    for obstacle in found:
        print(f"{binary}: {obstacle}", file=sys.stderr)
    if files and not found:
        pack(content, *files)
    return 1 if found else 0


def pack(content: bytes, workers: str, package: str) -> None:
    with zipfile.ZipFile(package, "w") as archive:
        add(archive, "bootstrap", content)
        add(archive, "workers.yaml", Path(workers).read_bytes())


if __name__ == "__main__":
    if len(sys.argv) not in (2, 4):
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
