"""What the log may say of an exception: what it is and where it happened. Never its text, which may
quote the message that was worked on, nor a line of source; and the same of what caused it."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from pathlib import Path
from traceback import walk_tb

ROOT = Path(__file__).parents[1]
LIBRARIES = (*(sysconfig.get_path(name) for name in ("stdlib", "platlib", "purelib")), "<frozen ")


class Unfit(ValueError):
    """A job cannot be done, for a reason that can be told: its text is logged, so it may say where
    something is wrong ("line 3 is no JSON") and never quote what is there."""


def described(error: BaseException) -> list[dict[str, str]]:
    """The exception first, then what led to it."""
    return [one(each) for each in chain(error)]


def one(error: BaseException) -> dict[str, str]:
    told = {"type": type(error).__qualname__, "at": place(error)}
    if isinstance(error, Unfit):
        told["says"] = str(error)
    if code := aws_code(error):
        told["code"] = code
    return told


def chain(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in seen:
        yield following
        seen.append(following)
        following = following.__cause__ or (
            None if following.__suppress_context__ else following.__context__
        )


def place(error: BaseException) -> str:
    """The line of our own code that was left last."""
    ours = [
        f"{file.removeprefix(f'{ROOT}/')}:{line}"
        for frame, line in walk_tb(error.__traceback__)
        if not (file := frame.f_code.co_filename).startswith(LIBRARIES)
    ]
    return ours[-1] if ours else "unknown"


def aws_code(error: BaseException) -> str | None:
    """AWS's word for it, such as AccessDenied, where it is botocore's `ClientError`."""
    answer = getattr(error, "response", None)
    code = answer.get("Error", {}).get("Code") if isinstance(answer, dict) else None
    return code if isinstance(code, str) else None
