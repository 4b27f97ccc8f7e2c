"""A terminal on which `queue-scaler` runs and somebody types."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager

from stack import built_binary

QUEUE_SCALER = str(built_binary().with_name("queue-scaler"))

CTRL_C = b"\x03"


class Screen:
    """A terminal on which the program runs, alone as in a shell."""

    def __init__(self, leader: int, program: subprocess.Popen[bytes]) -> None:
        self.leader, self.program, self.shown, self.read_to = leader, program, "", 0
        self.decoder = codecs.getincrementaldecoder("utf-8")()
        """A character may come in two parts."""

    def read(self) -> bool:
        """What is shown next; nothing where the program has ended."""
        if not select.select([self.leader], [], [], 30)[0]:
            return False
        try:
            more = os.read(self.leader, 65536)
        except OSError:  # the other side is closed
            return False
        self.shown += self.decoder.decode(more)
        return bool(more)

    def until(self, text: str) -> None:
        """Waits for a text that was not waited for before."""
        while (found := self.shown.find(text, self.read_to)) < 0:
            assert self.read(), f"`{text}` is not in {self.shown}"
        self.read_to = found + len(text)

    def type(self, keys: bytes) -> None:
        os.write(self.leader, keys)

    def end(self) -> int:
        """How the program ends, as a shell says it."""
        while self.read():
            pass
        code = self.program.wait(timeout=30)
        assert "panicked" not in self.shown, self.shown
        return code if 0 <= code else 128 - code


@contextmanager
def screen(*arguments: str, columns: int = 120, **more: str) -> Iterator[Screen]:
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    with subprocess.Popen(
        [QUEUE_SCALER, *arguments],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env=os.environ | {"TERM": "xterm", "NO_COLOR": "1"} | more,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    ) as program:
        os.close(follower)
        try:
            yield Screen(leader, program)
        finally:
            program.kill()
            os.close(leader)
