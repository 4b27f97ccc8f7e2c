"""The kinds of jobs. A kind is called `<module><Subject>`: `exportOrders` is done by `export.py`
and is about "Orders". Each module has one function, `work`, from a stream of bytes to another; it
knows nothing of queues, of AWS or of containers.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

Document = Callable[[], BinaryIO]
"""Opens the document at its beginning, as often as a job needs it: the bytes are the same each
time."""


@dataclass(frozen=True)
class Product:
    """What a job makes of a document."""

    suffix: str
    media_type: str
    body: Iterator[bytes]
    """Made while it is stored. Whatever is raised on the way leaves no result."""


Work = Callable[[Document], Product]
"""Does the job; `Unfit`, with a sentence, for a document that it cannot do it for."""


def job_of(kind: str) -> Work:
    """The work of a kind. `ValueError` when there is no module for it."""
    parts = re.fullmatch(r"([a-z]+)([A-Z][A-Za-z0-9]*)?", kind)
    if not parts:
        raise ValueError(f"{kind!r} is not <module><Subject>, such as exportOrders")
    module, subject = parts[1], parts[2] or ""
    try:
        work = importlib.import_module(f"worker.kinds.{module}").work
    except ModuleNotFoundError as error:
        raise ValueError(f"there is no module for {kind!r}: kinds/{module}.py") from error
    return partial(work, subject)
