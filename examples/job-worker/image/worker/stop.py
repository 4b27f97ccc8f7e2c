"""When the running job is to end at once: on SIGTERM, and when its message is no longer ours.

Imports nothing slow: until the handler is set, process 1 of a container does not hear SIGTERM.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


class Interrupted(BaseException):
    """The job is to end. No `Exception`, so that no job takes it for an error of its own."""


@dataclass
class Stop:
    """Whether the container is to stop, as SIGTERM says: `stopTimeout` seconds before SIGKILL, on
    Fargate Spot when AWS wants its capacity back."""

    asked: bool = False
    _goes_on: Callable[[], bool] | None = None
    """Of the running job: whether it may go on."""

    @classmethod
    def on_sigterm(cls) -> Stop:
        stop = cls()
        signal.signal(signal.SIGTERM, stop._ask)
        signal.signal(signal.SIGUSR1, stop._look)
        return stop

    def look_again(self) -> None:
        """From another thread: the running job may have to end. A signal, as nothing else breaks a
        call off that waits."""
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    @contextmanager
    def interrupting(self, goes_on: Callable[[], bool]) -> Iterator[None]:
        """While the block runs, `Interrupted` is raised right there as soon as the container is to
        stop, or a look finds that the job may not go on. Elsewhere nothing is raised: an answer of
        SQS that is thrown away is a message that nobody has for a while."""
        self._goes_on = goes_on
        try:
            if self.asked or not goes_on():
                raise Interrupted
            yield
        finally:
            self._goes_on = None

    def _ask(self, _signal: int, _frame: FrameType | None) -> None:
        self.asked = True
        self._look(_signal, _frame)

    def _look(self, _signal: int, _frame: FrameType | None) -> None:
        if self._goes_on and (self.asked or not self._goes_on()):
            # Once: what cleans up after the first is not interrupted again.
            self._goes_on = None
            raise Interrupted
